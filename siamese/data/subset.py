"""Subset: how much of the training pairs a run may learn from."""

from dataclasses import replace

import numpy as np

from siamese.data.pairs import PairSplits


def everything(splits: PairSplits) -> PairSplits:
    """All training pairs."""
    return splits


def sample(splits: PairSplits, pairs: int, seed: int) -> PairSplits:
    """So many training pairs, drawn at random; dev and test stay whole.

    With one seed a smaller subset is part of every larger one, so that a curve over sizes shows what more
    pairs add.

    Args:
        splits: with the training pairs to draw from.
        pairs: how many, from 2 to all of them.
        seed: of the draw.

    Raises:
        ValueError: there are not so many.
    """
    if not 2 <= pairs <= len(splits.train):
        raise ValueError(f"subset.pairs must lie between 2 and the {len(splits.train):,} training pairs, got {pairs:,}")
    drawn = np.random.default_rng(seed).permutation(len(splits.train))[:pairs]
    return replace(splits, train=splits.train.take(np.sort(drawn)))
