"""Intents: questions grouped by what they ask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from siamese.data.questions import question_key


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
