"""Put the model of a run into the MLflow registry, under the alias by which others ask for it.

python -m experiments.promote run=ID
python -m experiments.predict run=models:/duplicate-questions@champion "…" "…"
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program
from siamese.commands.errors import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from siamese.registry.publish import Version


def run(cfg: "DictConfig") -> "Version":
    """Promote, and say what that replaces; gives the version that has the alias now."""
    config = plain(cfg)
    from siamese import tracking  # starts MLflow, for which no help or mistake has to wait
    from siamese.registry import publish

    tracking.connect(**config["tracking"])
    promoted, replaced = publish.promote(cfg.run, cfg.name, cfg.alias)
    print(f"models:/{cfg.name}@{cfg.alias} is now {_in_words(promoted, cfg.metric)}")
    if replaced is not None:
        print(f"it replaces {_in_words(replaced, cfg.metric)}")
        if replaced.measured_by != promoted.measured_by:
            print("note: they were measured on other dev pairs or by other code, so these figures do not compare")
    return promoted


def _in_words(version: "Version", metric: str) -> str:
    value = f"{version.metrics[metric]:.4f}" if metric in version.metrics else "unknown"
    return f"version {version.number}, run {version.run}, {metric} {value}"


def main() -> None:
    """Promote once."""
    hydra_program("promote", __doc__, run)


if __name__ == "__main__":
    main()
