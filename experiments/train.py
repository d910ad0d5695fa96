"""Train a Siamese network, evaluate it, and track everything.

python -m experiments.train
python -m experiments.train tower=bilstm similarity=manhattan loss=contrastive data=qqp training.epochs=5
python -m experiments.train data=pairs_file data.train="my pairs.csv"
python -m experiments.train --multirun seed=0,1,2 hydra/launcher=workers
python -m experiments.train --config-dir=FOLDER tower=mine
"""

from experiments.cli import hydra_program

if __name__ == "__main__":
    hydra_program("config", __doc__, "experiments.training_run:train")
