"""Drawn parts: train, dev and test of questions with intents, and the pairs that are drawn in each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from siamese.data.intent_splits import split_intents
from siamese.data.intents import IntentQuestions
from siamese.data.pairs import QuestionPairs
from siamese.data.splits import split_by_pair

DOMINANT, MANY_TIMES = 0.2, 3  # an intent dominates with this share of the duplicates that is so many times the mean


def draw_parts(
    columns: Sequence[Sequence[str]],
    split: str,
    dev: float,
    test: float | None,
    seed: int,
    draw: Callable[..., QuestionPairs],
) -> dict[str, Any]:
    """Train, dev and test pairs: drawn within each part of the questions, or drawn from all and split by pair.

    The columns are questions, intents and topics; `draw` is `pairs_from_intents` for a corpus and a seed. Pairs that are
    drawn within the parts come with the questions of each part, as "intents".
    """
    questions = IntentQuestions.from_columns(*columns)
    if split == "pair":
        return split_by_pair(draw(questions, seed=seed), dev, test or 0, seed)
    return with_pairs(split_intents(questions, split, dev, test or 0, seed), draw, seed)


def with_pairs(parts: dict[str, IntentQuestions], draw: Callable[..., QuestionPairs], seed: int) -> dict[str, Any]:
    """Pairs drawn within each part, by the names of the parts, and the parts themselves as "intents"."""
    seeds = np.random.SeedSequence(seed).generate_state(len(parts)).tolist()
    drawn = [draw(part, seed=own) for part, own in zip(parts.values(), seeds, strict=True)]
    return {**dict(zip(parts, drawn, strict=True)), "intents": parts}


def note_intents(parts: dict[str, Any], split: str, tell: Callable[[str], None]) -> None:
    """Tell how many intents are too rare for dev, and of one that gives far more of the duplicates than its share."""
    if "intents" not in parts:
        return
    train, pairs = parts["intents"]["train"], parts["train"]
    intents = np.unique(train.intent)
    rare = np.setdiff1d(
        intents, np.concatenate([part.intent for name, part in parts["intents"].items() if name != "train"])
    )
    if split == "question" and len(rare):
        question = train.question[np.flatnonzero(train.intent == rare[0])[0]]
        tell(
            f"{len(rare):,} of {len(intents):,} intents have few questions and are in train only, among them that of {question!r}"
        )
    of_intent = np.bincount(train.intent[pairs.left[pairs.duplicate]])
    largest, share = int(of_intent.argmax()), float(of_intent.max() / of_intent.sum())
    if share > max(DOMINANT, MANY_TIMES / len(intents)):
        question = train.question[np.flatnonzero(train.intent == largest)[0]]
        tell(
            f"one of {len(intents):,} intents gives {share:.0%} of the duplicates of train, that of {question!r}; "
            "data.duplicates_per_intent= limits how many an intent gives"
        )
