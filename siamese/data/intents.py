"""Intents: questions grouped by what they ask, and split into parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from siamese.data.pairs import question_key
from siamese.data.splits import check_shares

INTENTS_DEALT_TOGETHER = 2  # of one topic, so that each part has similar intents


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
