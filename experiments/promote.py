"""Put the model of a run into the MLflow registry, under the alias by which others ask for it.

python -m experiments.promote run=ID
python -m experiments.predict run=models:/duplicate-questions@champion "…" "…"
"""

import hydra
from omegaconf import DictConfig

from siamese import tracking
from siamese.commands.errors import plain, report_user_errors
from siamese.registry import publish
from siamese.registry.publish import Version


def run(cfg: DictConfig) -> Version:
    """Promote, and say what that replaces; gives the version that has the alias now."""
    config = plain(cfg)
    tracking.connect(**config["tracking"])
    promoted, replaced = publish.promote(cfg.run, cfg.name, cfg.alias)
    print(f"models:/{cfg.name}@{cfg.alias} is now {_in_words(promoted, cfg.metric)}")
    if replaced is not None:
        print(f"it replaces {_in_words(replaced, cfg.metric)}")
        if replaced.measured_by != promoted.measured_by:
            print("note: they were measured on other dev pairs or by other code, so these figures do not compare")
    return promoted


def _in_words(version: Version, metric: str) -> str:
    value = f"{version.metrics[metric]:.4f}" if metric in version.metrics else "unknown"
    return f"version {version.number}, run {version.run}, {metric} {value}"


@hydra.main(version_base="1.3", config_path="../conf", config_name="promote")
def main(cfg: DictConfig) -> None:
    """Promote once."""
    with report_user_errors():
        run(cfg)


if __name__ == "__main__":
    main()
