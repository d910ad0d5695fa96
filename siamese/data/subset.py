"""Subset: a random sample of the training pairs."""

from dataclasses import replace

import numpy as np

from siamese.data.pairs import PairSplits


def sample(splits: PairSplits, seed: int, pairs: int | None = None) -> PairSplits:
    """Draw `pairs` training pairs at random, from 2 to all of them; dev and test stay whole. None for all.

    Samples of one seed are nested: a smaller one is part of every larger one, so a learning curve shows the effect of
    more pairs. Another seed draws another sample. A number out of its range raises ValueError. Intents are known of those
    training questions that are drawn.
    """
    if pairs is None:
        return splits
    if not 2 <= pairs <= len(splits.train):
        raise ValueError(f"subset.pairs must lie between 2 and the {len(splits.train):,} training pairs, got {pairs:,}")
    drawn = np.random.default_rng(seed).permutation(len(splits.train))[:pairs]
    train = splits.train.take(np.sort(drawn))
    intents = dict(splits.intents)
    if intents:
        kept = set(train.questions)
        rows = [row for row, question in enumerate(intents["train"].question) if question in kept]
        intents["train"] = intents["train"].take(np.array(rows))
    return replace(splits, train=train, intents=intents)
