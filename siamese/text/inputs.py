"""Inputs of a network: the token ids of many questions, the vectors that an encoder gives in their place, or both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from siamese.data.texts import Texts, factorize

PADDING, UNKNOWN = 0, 1
LEAST_KNOWN = 0.5  # of the words of a question, for a verdict that is no guess


@dataclass(frozen=True)
class TokenIds:
    """Token ids of many questions, without padding.

    Attributes:
        values: `int32[tokens]`, the ids of all questions one after another.
        offsets: `int64[questions + 1]`; question i is `values[offsets[i]:offsets[i + 1]]`, never empty.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """`int64[questions]`: tokens in each question, at least 1."""
        return np.diff(self.offsets)

    @classmethod
    def of(cls, questions: Sequence[np.ndarray]) -> "TokenIds":
        """Those of `int32[tokens]` each."""
        return cls(np.concatenate(questions), np.cumsum([0, *map(len, questions)]))

    def take(self, rows: np.ndarray) -> "TokenIds":
        """The questions at `rows`, `int64[n]`."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return TokenIds(self.values[shift + np.arange(offsets[-1])], offsets)

    def numbered(self) -> np.ndarray:
        """Number questions so that those with the same tokens have the same number: `int32[questions]`."""
        return factorize(Texts(self.values.view(np.uint8), 4 * self.offsets))[0]

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The questions at `rows` as `int32[rows, length]`, as long as the longest, zeros behind the last token."""
        starts, lengths = self.offsets[rows], self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        column = np.arange(lengths.max(initial=1))
        inside = column < lengths[:, None]
        padded = np.zeros(inside.shape, np.int32)
        padded[inside] = self.values[(starts[:, None] + column)[inside]]
        return padded


@dataclass(frozen=True)
class QuestionVectors:
    """Vectors of many questions, where an encoder gives them instead of token ids; a question counts as one token.

    Attributes:
        values: `float32[questions, width]`.
    """

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def lengths(self) -> np.ndarray:
        """`int64[questions]`: ones."""
        return np.ones(len(self), np.int64)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The questions at `rows` as `float32[rows, width]`."""
        return self.values[rows]

    def take(self, rows: np.ndarray) -> "QuestionVectors":
        """The questions at `rows`, `int64[n]`."""
        return QuestionVectors(self.values[rows])

    def numbered(self) -> np.ndarray:
        """`int32[questions]`: questions with the same vector have the same number, counted from 0."""
        offsets = np.arange(len(self) + 1) * self.values.shape[1] * 4
        return factorize(Texts(np.ascontiguousarray(self.values).view(np.uint8).ravel(), offsets))[0]


@dataclass(frozen=True)
class WordsAndVectors:
    """Token ids of many questions, and beside them the vectors that an encoder gives of the same questions.

    Attributes:
        token_ids: of the words.
        vectors: of the questions, as many as there are in `token_ids`.
    """

    token_ids: TokenIds
    vectors: QuestionVectors

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def lengths(self) -> np.ndarray:
        """`int64[questions]`: tokens in each question, at least 1."""
        return self.token_ids.lengths

    @property
    def values(self) -> np.ndarray:
        """`int32[tokens]`, those of the token ids."""
        return self.token_ids.values

    def take(self, rows: np.ndarray) -> "WordsAndVectors":
        """The questions at `rows`, `int64[n]`."""
        return WordsAndVectors(self.token_ids.take(rows), self.vectors.take(rows))

    def numbered(self) -> np.ndarray:
        """`int32[questions]`: questions with the same tokens and the same vector have the same number, counted from 0."""
        both = np.stack([self.token_ids.numbered(), self.vectors.numbered()], axis=1)
        return factorize(Texts(both.view(np.uint8).ravel(), np.arange(len(self) + 1) * both.itemsize * 2))[0]

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The questions at `rows` as `float32[rows, width + length]`, in one array: the vector, then the token ids.

        Zeros stand behind the last token. float32 holds each id exactly, as there are fewer than 2^24.
        """
        ids = self.token_ids.padded(rows).astype(np.float32)
        return np.concatenate([self.vectors.padded(rows), ids], axis=1)


@dataclass(frozen=True)
class Coverage:
    """How much of each question a model reads.

    Attributes:
        known_words: `float64[questions]` in [0, 1], the share of its words that the vocabulary knows; NaN where an encoder does
            not tell.
        cut: `bool[questions]`, whether it has more tokens than are read.
    """

    known_words: np.ndarray
    cut: np.ndarray

    @property
    def unread(self) -> np.ndarray:
        """`bool[questions]`: whether under half of its words is known, so that a verdict on it is a guess."""
        return self.known_words < LEAST_KNOWN


def as_shares(known_words: np.ndarray) -> list[float | None]:
    """Shares of known words as outputs have them: 4 digits, None where an encoder does not tell.

    >>> as_shares(np.array([1 / 3, np.nan]))
    [0.3333, None]
    """
    shares = known_words.tolist()
    rounded = {share: None if share != share else round(share, 4) for share in set(shares)}  # few differ
    return list(map(rounded.__getitem__, shares))


Inputs = TokenIds | QuestionVectors | WordsAndVectors  # of a network


def parts(inputs: Inputs) -> tuple[TokenIds | None, QuestionVectors | None]:
    """Token ids and vectors of inputs, None for those that they do not hold."""
    if isinstance(inputs, WordsAndVectors):
        return inputs.token_ids, inputs.vectors
    return (inputs, None) if isinstance(inputs, TokenIds) else (None, inputs)
