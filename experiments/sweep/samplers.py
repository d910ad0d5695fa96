"""Samplers: the choice of the parameters of the next trial.

Each takes the space, the seed of the sweep and the ordinal of the trial, and returns an Optuna sampler for this trial
alone. Its randomness depends on seed and ordinal only, so an interrupted sweep continues with the trials that it would
have had. A sampler with a new seed would repeat its first trials.
"""

import warnings
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler

from experiments.sweep import space as spaces
from experiments.sweep.space import Space


def tpe(space: Space, seed: int, ordinal: int, **options: Any) -> BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), with options of optuna.samplers.TPESampler."""
    return TPESampler(seed=_seed(seed, ordinal), **options)


def random(space: Space, seed: int, ordinal: int) -> BaseSampler:
    """Each parameter by chance: the fair contestant of every other sampler (Bergstra & Bengio 2012)."""
    return RandomSampler(seed=_seed(seed, ordinal))


def grid(space: Space, seed: int, ordinal: int) -> BaseSampler:
    """Every combination once, in order.

    Raises:
        ValueError: the space has an interval, or fewer combinations.
    """
    known = spaces.combinations(space)
    if ordinal >= known:
        many = f"so {ordinal + 1} trials are too many"
        raise ValueError(f"a grid over this space has {known} combinations, {many}; set sweep.trials={known} or fewer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this sampler is experimental
        return PartialFixedSampler(spaces.combination(space, ordinal), RandomSampler(seed=seed))


def _seed(seed: int, ordinal: int) -> int:
    return int(np.random.SeedSequence([seed, ordinal]).generate_state(1)[0])
