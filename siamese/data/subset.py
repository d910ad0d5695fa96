"""Subset: a random sample of the training pairs."""

from dataclasses import replace

import numpy as np

from siamese.data.pairs import PairSplits


def sample(splits: PairSplits, seed: int, pairs: int | None = None) -> PairSplits:
    """Draw `pairs` training pairs at random, from 2 to all of them; dev and test stay whole. None for all.

    Samples of one seed are nested: a smaller one is part of every larger one, so a learning curve shows the effect of
    more pairs. Another seed draws another sample. A number out of its range raises ValueError.
    """
    if pairs is None:
        return splits
    if not 2 <= pairs <= len(splits.train):
        raise ValueError(f"subset.pairs must lie between 2 and the {len(splits.train):,} training pairs, got {pairs:,}")
    drawn = np.random.default_rng(seed).permutation(len(splits.train))[:pairs]
    return replace(splits, train=splits.train.take(np.sort(drawn)))
