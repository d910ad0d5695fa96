"""Measure how fast the project is on this machine, and track it so that a regression shows.

python -m experiments.benchmark
python -m experiments.benchmark parts=[search] search.repeats=9
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program

if TYPE_CHECKING:
    from omegaconf import DictConfig


def benchmark(cfg: "DictConfig") -> None:
    """Measure once."""
    from experiments.benchmark.run import run  # starts MLflow, for which no help or mistake has to wait

    run(cfg)


def main() -> None:
    """Measure with the settings of the command line."""
    hydra_program("benchmark", __doc__, benchmark)


if __name__ == "__main__":
    main()
