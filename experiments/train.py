"""Train a Siamese network, evaluate it, and track everything.

python -m experiments.train
python -m experiments.train tower=bilstm similarity=manhattan loss=contrastive data=qqp training.epochs=5
python -m experiments.train data=pairs_file data.train="my pairs.csv"
python -m experiments.train --multirun seed=0,1,2 hydra/launcher=workers
python -m experiments.train --config-dir=FOLDER tower=mine
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program
from experiments.hydra_words import as_words

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(cfg: "DictConfig") -> None:
    """Train once."""
    from hydra.core.hydra_config import HydraConfig

    from experiments.training_run import Job, run  # imports TensorFlow, which help and errors do not need

    hydra_config = HydraConfig.get()
    tags = {"experiment": hydra_config.runtime.choices.get("experiment") or ""}
    run(cfg, Job(as_words(hydra_config.overrides.task), tags=tags))


def main() -> None:
    """Train once; with --multirun, once for each choice."""
    hydra_program("config", __doc__, train)


if __name__ == "__main__":
    from experiments import train as program  # other processes can import what it sends them

    program.main()
