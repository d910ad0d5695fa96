"""Search the hyperparameters of a tower with Optuna, and test whether the best ones beat the default.

python -m experiments.sweep sweep=bilstm sweep.trials=40
python -m experiments.sweep sweep=dense sweep/sampler=random sweep/pruner=successive_halving sweep.workers=2

The same command continues an interrupted sweep. Several such processes can share a sweep.
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program

if TYPE_CHECKING:
    from omegaconf import DictConfig


def sweep(cfg: "DictConfig") -> None:
    """Sweep once."""
    from hydra.core.hydra_config import HydraConfig

    from experiments.sweep.run import run  # imports TensorFlow, which help and errors do not need

    run(cfg, HydraConfig.get().overrides.task)


def main() -> None:
    """Sweep with the settings of the command line."""
    hydra_program("sweep", __doc__, sweep)


if __name__ == "__main__":
    main()
