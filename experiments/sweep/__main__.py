"""Search the hyperparameters of a tower with Optuna, and test whether the best ones beat the default.

python -m experiments.sweep sweep=bilstm sweep.trials=40
python -m experiments.sweep sweep=dense sweep/sampler=random sweep/pruner=successive_halving sweep.workers=2

The same command continues an interrupted sweep. Several such processes can share a sweep.
"""

from experiments.cli import hydra_program

if __name__ == "__main__":
    hydra_program("sweep", __doc__, "experiments.sweep.run:run")
