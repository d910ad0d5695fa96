"""Search the hyperparameters of a tower with Optuna, and find out whether the best of them beat the default.

python -m experiments.sweep sweep=bilstm sweep.trials=40
python -m experiments.sweep sweep=dense sweep/sampler=random sweep/pruner=successive_halving sweep.workers=2

Started again with the same command after whatever stopped it, a sweep goes on where it was. Several such processes
may work on one sweep.
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program

if TYPE_CHECKING:
    from omegaconf import DictConfig


def sweep(cfg: "DictConfig") -> None:
    """Sweep once."""
    from hydra.core.hydra_config import HydraConfig

    from experiments.sweep.run import run  # starts TensorFlow, for which no help or mistake has to wait

    run(cfg, HydraConfig.get().overrides.task)


def main() -> None:
    """Sweep with the settings of the command line."""
    hydra_program("sweep", __doc__, sweep)


if __name__ == "__main__":
    main()
