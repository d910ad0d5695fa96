"""Subset: how much of the training pairs a run may learn from."""

from dataclasses import replace

import numpy as np

from siamese.data.pairs import PairSplits


def sample(splits: PairSplits, seed: int, pairs: int | None) -> PairSplits:
    """So many training pairs, drawn at random; dev and test stay whole.

    With one seed a smaller sample is part of every larger one, so that a curve over sizes shows what more
    pairs add; another seed draws another sample, so that chance in the draw is part of what is measured.

    Args:
        splits: with the training pairs to draw from.
        seed: of the draw.
        pairs: how many, from 2 to all of them; None for all.

    Raises:
        ValueError: there are not so many.
    """
    if pairs is None:
        return splits
    if not 2 <= pairs <= len(splits.train):
        raise ValueError(f"subset.pairs must lie between 2 and the {len(splits.train):,} training pairs, got {pairs:,}")
    drawn = np.random.default_rng(seed).permutation(len(splits.train))[:pairs]
    return replace(splits, train=splits.train.take(np.sort(drawn)))
