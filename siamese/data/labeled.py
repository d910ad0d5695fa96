"""Labeled pairs that join the training pairs of a data source: what a person said of pairs that a model was unsure of."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from siamese.data.columns import LABEL, PAIR
from siamese.data.dialects import Reading
from siamese.data.files import read_pair_file
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.questions import question_key
from siamese.data.texts import Texts


def with_labeled(splits: PairSplits, path: str | None, reading: Reading) -> PairSplits:
    """The splits with the pairs of a file, as `mine label=` writes it, in train; None changes nothing.

    Dev and test stay as they are, ordinary pairs, to judge by. A pair that shares a question with them is left out, as is
    a row without a label; a note says how many.

    Raises:
        FileNotFoundError, ValueError: as `read_pair_file`, which needs at least one row with a label.
    """
    if path is None:
        return splits
    left, right, label, bad_rows = read_pair_file(path, *PAIR, LABEL, "skip", reading=reading)
    held_out = {question_key(question) for pairs in splits.held_out().values() for question in pairs.questions}
    new = np.array([held_out.isdisjoint(map(question_key, pair)) for pair in zip(left, right, strict=True)], bool)
    train, rows = splits.train, np.flatnonzero(new)
    questions = Texts.of(train.questions)
    joined = QuestionPairs.from_texts(
        [*questions.take(train.left), *left.take(rows)],
        [*questions.take(train.right), *right.take(rows)],
        np.concatenate([train.label, label[rows]]),
    )
    reading.tell(
        f"{len(rows):,} labeled pairs of {Path(path).name} were added to train; left out were {len(bad_rows):,} rows without a "
        f"label, and {len(new) - len(rows):,} pairs with a question of dev or test"
    )
    return replace(splits, train=joined)
