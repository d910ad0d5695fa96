"""Packing: the words of some questions in the order in which the layers read them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from siamese.text.vectorizer import TokenIds


@dataclass(frozen=True)
class Packing:
    """All first words, longest question first, then all second words of those that have one, and so on.

    So the words of one step stand together, each step's questions are the first ones of the step before,
    and a layer goes through the steps with whole arrays, without padding and without masks.

    Attributes:
        word: `int64[tokens]`, for each token the row of its word in the table of distinct words.
        step: `int64[tokens]`, which word of its question it is, from 0.
        question: `int64[tokens]`, the question that it belongs to.
        length: `int64[questions]`, tokens in each question, never growing.
        starts: where each step's tokens start, and behind the last one where it ends.
    """

    word: np.ndarray
    step: np.ndarray
    question: np.ndarray
    length: np.ndarray
    starts: list[int]
    _shifted: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, token_ids: TokenIds, rows: np.ndarray, word_row: np.ndarray) -> "Packing":
        """Pack some questions.

        Args:
            token_ids: all questions.
            rows: `int64[questions]`, the questions to pack, longest first.
            word_row: `int64[ids]`, token id -> row in the table of distinct words.
        """
        first = token_ids.offsets[rows]
        length = token_ids.offsets[rows + 1] - first
        steps = np.arange(length[0] if len(length) else 0)
        active = np.searchsorted(-length, -steps)  # questions longer than each step
        starts = np.concatenate([[0], np.cumsum(active)])
        step = np.repeat(steps, active)
        question = np.arange(starts[-1]) - starts[step]
        word = word_row[token_ids.values[first[question] + step]]
        return cls(word, step, question, length, starts.tolist())

    @cached_property
    def reverse(self) -> np.ndarray:
        """`int64[tokens]`: the token as far from the end of its question as this one is from the start."""
        from_end = self.length[self.question] - 1 - self.step
        return np.array(self.starts)[from_end] + self.question

    def shifted(self, offset: int) -> tuple[np.ndarray, np.ndarray]:
        """The token `offset` words further on in the same question.

        Returns:
            `int64[tokens]`, that token, and the tokens for which there is none (of them the first holds 0).
        """
        if offset not in self._shifted:
            step = self.step + offset
            inside = (step >= 0) & (step < self.length[self.question])
            token = np.array(self.starts)[step * inside] + self.question
            self._shifted[offset] = token * inside, np.flatnonzero(~inside)
        return self._shifted[offset]
