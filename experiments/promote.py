"""Promote the model of a run: give it an alias in the MLflow model registry.

python -m experiments.promote run=ID
python -m experiments.predict run=models:/duplicate-questions@champion "…" "…"
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from siamese.registry.publish import Version


def run(cfg: "DictConfig") -> "Version":
    """Promote, and print what it replaces; returns the version that has the alias now."""
    config = plain(cfg)
    from siamese import tracking  # imports MLflow, which help and errors do not need
    from siamese.registry import publish

    tracking.open_store(config["tracking"]["uri"], config["tracking"]["experiment"])
    promoted, replaced = publish.promote(cfg.run, cfg.name, cfg.alias)
    print(f"models:/{cfg.name}@{cfg.alias} is now {_in_words(promoted, cfg.metric)}")
    if replaced is not None:
        print(f"it replaces {_in_words(replaced, cfg.metric)}")
        if replaced.measured_by != promoted.measured_by:
            print("note: measured on other dev pairs or by another metrics version, so the figures do not compare")
    return promoted


def _in_words(version: "Version", metric: str) -> str:
    value = f"{version.metrics[metric]:.4f}" if metric in version.metrics else "unknown"
    return f"version {version.number}, run {version.run}, {metric} {value}"


if __name__ == "__main__":
    hydra_program("promote", __doc__, "experiments.promote:run")
