"""Time-major packing of the words of some questions."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from siamese.text.inputs import TokenIds


@dataclass(frozen=True)
class Packing:
    """Time-major packing: all first words, longest question first, then all second words, and so on.

    The words of a step are contiguous, and the questions of a step are the first ones of the step before. So a layer
    processes whole arrays step by step, without padding and masks.

    Attributes:
        word: `int64[tokens]`, the row of each token's word in the table of distinct words.
        step: `int64[tokens]`, the position of each token in its question, from 0.
        question: `int64[tokens]`, the question of each token.
        length: `int64[questions]`, tokens of each question, not increasing.
        starts: the first token of each step, and the end of the last step.
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
            rows: `int64[questions]`, those to pack, longest first.
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

    @classmethod
    @lru_cache(maxsize=256)
    def of_one(cls, length: int) -> "Packing":
        """The packing of one question, whose words are the rows 0, 1, … of their table: the same for all of its length."""
        step, zeros = np.arange(length), np.zeros(length, np.int64)
        return cls(step, step, zeros, np.array([length]), list(range(length + 1)))

    @property
    def is_one(self) -> bool:
        """Whether this is one question, so that its tokens are in their order."""
        return len(self.length) == 1

    @cached_property
    def reverse(self) -> np.ndarray:
        """`int64[tokens]`: the token at the mirrored position of the same question."""
        from_end = self.length[self.question] - 1 - self.step
        return np.array(self.starts)[from_end] + self.question

    def shifted(self, offset: int) -> tuple[np.ndarray, np.ndarray]:
        """The token `offset` words further on in the same question, `int64[tokens]` (0 if none), and the tokens without one."""
        if offset not in self._shifted:
            step = self.step + offset
            inside = (step >= 0) & (step < self.length[self.question])
            token = np.array(self.starts)[step * inside] + self.question
            self._shifted[offset] = token * inside, np.flatnonzero(~inside)
        return self._shifted[offset]
