"""Train a Siamese network, evaluate it, and track everything.

python -m experiments.train
python -m experiments.train tower=bilstm similarity=manhattan loss=contrastive data=qqp training.epochs=5
python -m experiments.train data=pairs_file data.train="my pairs.csv"
python -m experiments.train --multirun seed=0,1,2 hydra/launcher=workers
python -m experiments.train --config-dir=FOLDER tower=mine
"""

from typing import TYPE_CHECKING

from experiments.cli import hydra_program, plain
from experiments.stages import doing

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(cfg: "DictConfig") -> None:
    """Check the settings and read the data before TensorFlow starts, which takes seconds; then train."""
    from experiments import config_checks, data_source  # which help and misspelt words do not need
    from experiments.start import identified

    config = plain(cfg)
    config_checks.check(config)
    if config["tracking"]["uri"].startswith("http"):
        from siamese.tracking import outages  # MLflow takes seconds, too, but less than to train without a server

        outages.prepare(config["tracking"]["uri"], config["tracking"]["experiment"])
    identified(config)
    doing("reading the data")
    data_source.read(config["data"], config["evaluation"])
    doing("starting TensorFlow")
    from experiments.training_run import train

    train(cfg)


if __name__ == "__main__":
    hydra_program("config", __doc__, "experiments.train:run")
