"""Intents → pairs: questions of one intent become duplicates, questions of two intents negatives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from siamese.data.pairs import QuestionPairs, question_key
from siamese.data.splits import check_shares

INTENTS_DEALT_TOGETHER = 2  # of one topic, so that each part has similar intents
LISTED = 2**24  # pairs of an intent that are drawn by listing all, 134 MB; of more each is drawn by itself
DRAWN_TOGETHER = 2**16
RETRIES = 20  # draws for each negative wanted before the corpus counts as exhausted


@dataclass(frozen=True)
class IntentQuestions:
    """Questions grouped by intent.

    Attributes:
        question: the texts, each once.
        intent: `int32[questions]`; questions of one intent ask the same thing.
        topic: `int32[questions]`; intents of one topic are easily confused. All 0 without topics.
    """

    question: tuple[str, ...]
    intent: np.ndarray
    topic: np.ndarray

    @classmethod
    def from_columns(cls, questions: Sequence[str], intents: Sequence[str], topics: Sequence[str]) -> "IntentQuestions":
        """Number the intents; a repeated question keeps its first place, and a name under two topics is two intents.

        Raises:
            ValueError: a question has two intents, so that its pairs have no label.
        """
        intent_number: dict[tuple[str, str], int] = {}
        topic_number: dict[str, int] = {}
        owner: dict[str, tuple[str, str]] = {}
        kept: list[str] = []
        intent, topic = [], []
        for text, name in zip(questions, zip(topics, intents, strict=True), strict=True):
            first = owner.setdefault(question_key(text), name)
            if first != name:
                raise ValueError(
                    f"the question {text!r} has two intents, {'/'.join(first)} and {'/'.join(name)}; keep one of them"
                )
            if len(owner) > len(kept):
                kept.append(text)
                intent.append(intent_number.setdefault(name, len(intent_number)))
                topic.append(topic_number.setdefault(name[0], len(topic_number)))
        return cls(tuple(kept), np.array(intent, np.int32), np.array(topic, np.int32))

    def take(self, rows: np.ndarray) -> "IntentQuestions":
        """The questions at `rows` (`int64[n]`), with their intents and topics."""
        return IntentQuestions(tuple(self.question[i] for i in rows), self.intent[rows], self.topic[rows])


def split_intents(corpus: IntentQuestions, by: str, dev: float, test: float, seed: int) -> dict[str, IntentQuestions]:
    """Split questions into train, dev and test, with a random assignment by `seed`.

    Args:
        by: "intent": each intent is in one part only; or "question": every part has all intents, in other wordings.
        dev, test: shares, together below 1, of the intents, or of each intent's questions (at least 2 each, so that
            every part has duplicates; an intent with too few for that gives 2 to one part, or stays in train).

    Raises:
        ValueError: `by` is neither, the shares are impossible, or no intent has enough questions.
    """
    check_shares(dev, test)
    generator = np.random.default_rng(seed)
    if by == "intent":
        part = _parts_by_intent(corpus, dev, test, generator)
    elif by == "question":
        part = _parts_by_question(corpus, dev, test, generator)
    else:
        raise ValueError(f"data.split must be intent, question or pair, got {by!r}")
    names = ("train", "dev", "test") if test else ("train", "dev")
    return {name: corpus.take(np.flatnonzero(part == index)) for index, name in enumerate(names)}


def draw_few(corpus: IntentQuestions, per_intent: int, seed: int) -> tuple[IntentQuestions, IntentQuestions]:
    """Some questions of each intent, drawn at random, all of an intent that has no more; and the others.

    Raises:
        ValueError: `per_intent` is below 2, so that nothing drawn would be a duplicate, or leaves no other question.
    """
    if per_intent < 2:
        raise ValueError(f"data.per_intent must be at least 2, so that each intent has duplicates; got {per_intent}")
    generator = np.random.default_rng(seed)
    intents = (np.flatnonzero(corpus.intent == intent) for intent in np.unique(corpus.intent))
    drawn = np.sort(np.concatenate([generator.permutation(rows)[:per_intent] for rows in intents]))
    others = np.setdiff1d(np.arange(len(corpus.question)), drawn)
    if not len(others):
        raise ValueError(
            f"no intent has more than data.per_intent={per_intent} questions, so none is left for test; "
            "lower it, or use data=intents_file"
        )
    return corpus.take(drawn), corpus.take(others)


def _parts_by_intent(corpus: IntentQuestions, dev: float, test: float, generator: np.random.Generator) -> np.ndarray:
    hands = []
    for topic in np.unique(corpus.topic):
        intents = generator.permutation(np.unique(corpus.intent[corpus.topic == topic]))
        hands.extend(np.split(intents, range(INTENTS_DEALT_TOGETHER, len(intents), INTENTS_DEALT_TOGETHER)))
    intents = np.concatenate([hands[i] for i in generator.permutation(len(hands))])
    first, second = round(len(intents) * dev), round(len(intents) * test)
    if first == 0 or (test and second == 0) or first + second >= len(intents):
        raise ValueError(
            f"{len(intents)} intents are too few to give dev {dev:.0%} and test {test:.0%} of them; "
            "raise data.dev and data.test, or use data.split=question"
        )
    part_of_intent = np.zeros(len(intents), np.int8)
    part_of_intent[intents[:first]] = 1
    part_of_intent[intents[first : first + second]] = 2
    return part_of_intent[corpus.intent]


def _parts_by_question(corpus: IntentQuestions, dev: float, test: float, generator: np.random.Generator) -> np.ndarray:
    part = np.zeros(len(corpus.question), np.int8)
    small = []
    for intent in np.unique(corpus.intent):
        rows = generator.permutation(np.flatnonzero(corpus.intent == intent))
        first, second = max(2, round(dev * len(rows))), max(2, round(test * len(rows))) if test else 0
        if len(rows) - first - second >= 2:
            part[rows[:first]] = 1
            part[rows[first : first + second]] = 2
        elif len(rows) >= 4:
            small.append(rows)
    for index in generator.permutation(len(small)):  # they give 2 to one part, while one is short of its share
        for number, share in ((1, dev), (2, test)):
            if np.count_nonzero(part == number) < round(share * len(part)):
                part[small[index][:2]] = number
                break
    if not (part == 1).any() or (test and not (part == 2).any()):
        raise ValueError(
            f"the largest intent has {np.bincount(corpus.intent).max()} questions, too few to leave 2 in each part; add "
            "questions or use data.split=intent"
        )
    return part


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
