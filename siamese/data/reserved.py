"""Reserved pairs: a part of dev that chooses nothing, so that a threshold on it comes with a guarantee."""

from dataclasses import replace

import numpy as np

from siamese.data.pairs import PairSplits
from siamese.data.splits import has_both_kinds, question_components, question_numbers

LARGEST = 0.1  # of the questions that a component may hold, so that whole components can be dealt out
SEED = 0  # the same pairs for each seed of the training


def with_reserved(splits: PairSplits) -> PairSplits:
    """The splits with about half of the questions of dev set aside as `reserved`, and dev without them.

    No question is in both. Whole components of the graph of the pairs are dealt out; where one of them holds more than
    `LARGEST` of the questions, single questions are, and the pairs between the halves are left out. Of the reserved pairs
    none shares a question with another, since such pairs are not independent: they are drawn in random order, each whose
    questions are both new.

    Raises:
        ValueError: one of the parts would lack duplicates or others.
    """
    dev, dice = splits.dev, np.random.default_rng(SEED)
    (number,) = question_numbers(dev)
    group = question_components(dev)
    if np.bincount(group).max() > LARGEST * len(group):
        group = number
    aside = (dice.permutation(int(group.max()) + 1) % 2 == 0)[group]
    left, right = aside[dev.left], aside[dev.right]
    candidates = dice.permutation(np.flatnonzero(left & right))
    taken, rows = np.zeros(int(number.max()) + 1, bool), []
    for row in candidates.tolist():
        ends = number[[dev.left[row], dev.right[row]]]
        if not taken[ends].any():
            taken[ends] = True
            rows.append(row)
    rest, reserved = dev.take(~left & ~right), dev.take(np.sort(np.array(rows, np.int64)))
    for name, pairs in (("dev", rest), ("reserved", reserved)):
        if not has_both_kinds(pairs):
            raise ValueError(
                f"threshold=guarantee@… sets half of dev aside, but the {len(dev):,} dev pairs of {splits.name} leave "
                f"{len(pairs):,} for the part {name}, which needs duplicates and others; give more dev pairs, or "
                "threshold=precision@…, which promises nothing"
            )
    note = (
        f"threshold=guarantee@…: {len(reserved):,} of {len(dev):,} dev pairs, no two of which share a question, choose nothing "
        f"else; {len(rest):,} choose all the rest, and {len(dev) - len(rest) - len(reserved):,} share questions with these and "
        "are left out"
    )
    return replace(splits, dev=rest, reserved=reserved, notes=(*splits.notes, note))
