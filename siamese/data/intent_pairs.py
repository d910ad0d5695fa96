"""Intents → pairs: questions of one intent become duplicates, questions of two intents negatives."""

import numpy as np

from siamese.data.intents import IntentQuestions
from siamese.data.pairs import QuestionPairs

LISTED = 2**24  # pairs of an intent that are drawn by listing all, 134 MB; of more each is drawn by itself
DRAWN_TOGETHER = 2**16
RETRIES = 20  # draws for each negative wanted before the corpus counts as exhausted


def pairs_from_intents(
    corpus: IntentQuestions,
    duplicates_per_question: float,
    duplicate_share: float,
    hard_negative_share: float,
    seed: int,
    duplicates_per_intent: int | None = None,
) -> QuestionPairs:
    """Draw labeled pairs: duplicates within an intent, negatives across intents.

    Args:
        corpus: the questions of one part.
        duplicates_per_question: duplicate pairs drawn from an intent for each of its questions, at most all.
        duplicate_share: duplicates among all pairs, in (0, 1].
        hard_negative_share: share of the negatives whose two intents have one topic, in [0, 1]; the others come
            from any two intents.
        duplicates_per_intent: the most duplicate pairs of one intent, above 0; None for no limit.
        seed: of the draw; the same corpus and seed give the same pairs.

    Returns:
        The pairs in random order, none twice in either direction.

    Raises:
        ValueError: a share is out of its range, or the corpus has one intent only, or no intent with two questions.
    """
    if duplicates_per_intent is not None and duplicates_per_intent < 1:
        raise ValueError(f"data.duplicates_per_intent must be at least 1, or null, got {duplicates_per_intent}")
    if not (0 < duplicate_share <= 1 and 0 <= hard_negative_share <= 1 and 0 < duplicates_per_question < np.inf):
        raise ValueError(
            "expected data.duplicate_share in (0, 1], data.hard_negative_share in [0, 1] and data.duplicates_per_question "
            f"above 0; got {duplicate_share}, {hard_negative_share} and {duplicates_per_question}"
        )
    generator = np.random.default_rng(seed)
    left, right = _duplicates(corpus, duplicates_per_question, duplicates_per_intent, generator)
    if not len(left) or len(np.unique(corpus.intent)) < 2:
        raise ValueError(
            "pairs need at least two intents, one of them with two questions or more; got "
            f"{len(np.unique(corpus.intent))} intents with {len(corpus.question)} questions in a part; "
            "add questions or raise data.dev and data.test"
        )
    wanted = round(len(left) * (1 - duplicate_share) / duplicate_share)
    wanted = min(wanted, len(corpus.question) ** 2 + 100)  # more than there are; tries beyond that would only take long
    known: set[int] = set()
    confusable = _negatives(corpus, round(wanted * hard_negative_share), True, known, generator)
    anywhere = _negatives(corpus, wanted - len(confusable), False, known, generator)
    pairs = np.concatenate([np.stack([left, right], axis=1), confusable, anywhere])
    label = np.repeat([1.0, 0.0], [len(left), len(pairs) - len(left)])
    order = generator.permutation(len(pairs))
    flip = generator.random(len(pairs)) < 0.5
    pairs[flip] = pairs[flip][:, ::-1]
    return QuestionPairs(corpus.question, pairs[order, 0], pairs[order, 1], label[order])


def _duplicates(
    corpus: IntentQuestions, per_question: float, per_intent: int | None, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Left and right questions of duplicate pairs, each pair once; in the order of intents."""
    left, right = [], []
    for intent in np.unique(corpus.intent):
        rows = np.flatnonzero(corpus.intent == intent)
        pairs = len(rows) * (len(rows) - 1) // 2
        wanted = min(pairs, round(per_question * len(rows)), per_intent or pairs)
        listed = pairs <= LISTED
        drawn = generator.permutation(pairs)[:wanted] if listed else generator.choice(pairs, wanted, replace=False)
        first, second = _pairs_at(drawn, len(rows))
        left.append(rows[first])
        right.append(rows[second])
    return np.concatenate(left), np.concatenate(right)


def _pairs_at(places: np.ndarray, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs at some places in the list of all pairs, as `np.triu_indices(questions, 1)` gives it.

    >>> [side.tolist() for side in _pairs_at(np.array([0, 2, 3, 5]), 4)]
    [[0, 0, 1, 2], [1, 3, 2, 3]]
    """
    shorter = np.arange(questions - 1, 0, -1)  # pairs that begin with each question
    starts = np.cumsum(shorter) - shorter
    first = np.searchsorted(starts, places, side="right") - 1
    return first, places - starts[first] + first + 1


def _negatives(
    corpus: IntentQuestions, wanted: int, same_topic: bool, known: set[int], generator: np.random.Generator
) -> np.ndarray:
    """Draw `wanted` new pairs of different intents, `int64[pairs, 2]`: fewer if the corpus runs out.

    The keys of the pairs, left * questions + right, are added to `known`. The draws are made in blocks; of the last as many
    as single draws would have taken, so that what is drawn next does not depend on the blocks.
    """
    count = len(corpus.question)
    by_topic = np.argsort(corpus.topic, kind="stable")
    topics, starts, sizes = np.unique(corpus.topic[by_topic], return_index=True, return_counts=True)
    topic = np.searchsorted(topics, corpus.topic)
    drawn: list[int] = []
    lefts = generator.integers(count, size=wanted * RETRIES)
    for first in range(0, len(lefts), DRAWN_TOGETHER):
        left = lefts[first : first + DRAWN_TOGETHER]
        highs = sizes[topic[left]] if same_topic else np.full(len(left), count)
        before = generator.bit_generator.state
        picks = generator.integers(highs)
        right = by_topic[starts[topic[left]] + picks] if same_topic else picks
        keys = np.minimum(left, right) * count + np.maximum(left, right)
        for place in np.flatnonzero(corpus.intent[left] != corpus.intent[right]).tolist():
            key = int(keys[place])
            if key not in known:
                known.add(key)
                drawn.append(key)
                if len(drawn) == wanted:
                    generator.bit_generator.state = before
                    generator.integers(highs[: place + 1])
                    return _ends(drawn, count)
    return _ends(drawn, count)


def _ends(keys: list[int], count: int) -> np.ndarray:
    return np.stack(np.divmod(np.array(keys, np.int64), count), axis=1)
