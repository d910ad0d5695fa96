"""Distill a table of word pieces, or a tower, from a sentence encoder: its knowledge, at the speed of a bag of words.

python -m experiments.distill questions=tickets.csv output=tickets_table
python -m experiments.train start=tickets_table data=pairs_file data.train=pairs.csv
python -m experiments.distill questions=tickets.csv output=tickets_tower tower=bilstm
python -m experiments.train start=tickets_tower tower=bilstm data=pairs_file data.train=pairs.csv

The questions need no labels. Killed at any moment, the same command goes on from the last finished epoch.
"""

from experiments.cli import hydra_program

if __name__ == "__main__":
    hydra_program("distill", __doc__, "experiments.distill_run:run")
