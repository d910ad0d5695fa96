"""Measure how fast the project is on this machine, and track it so that a regression shows.

python -m experiments.benchmark
python -m experiments.benchmark parts=[search] search.repeats=9
"""

from experiments.cli import hydra_program

if __name__ == "__main__":
    hydra_program("benchmark", __doc__, "experiments.benchmark.run:run")
