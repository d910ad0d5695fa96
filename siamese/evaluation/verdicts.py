"""Verdicts: what a detector says about pairs of questions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from siamese.text.inputs import as_shares


@dataclass(frozen=True)
class Verdicts:
    """What a detector says about pairs.

    Attributes:
        similarity: `float32[pairs]` in [0, 1].
        probability: `float64[pairs]` in [0, 1], that they ask the same.
        duplicate: `bool[pairs]`, at the detector's threshold.
        known_words: `float64[pairs, 2]` in [0, 1], the share of the words of each question that the vocabulary knows, see
            `Vectorizer.read`; NaN where an encoder does not tell. Under half the verdict is a guess.
        cut: `bool[pairs, 2]`, whether each question has more tokens than are read.
    """

    similarity: np.ndarray
    probability: np.ndarray
    duplicate: np.ndarray
    known_words: np.ndarray
    cut: np.ndarray

    def columns(self) -> dict[str, list[Any]]:
        """The values by name, a list each, as all programs write them.

        `cut` is the number of questions of the pair that were cut; what is unknown is None.
        """
        return {
            "similarity": self.similarity.tolist(),
            "probability": self.probability.tolist(),
            "duplicate": self.duplicate.tolist(),
            "known_words1": as_shares(self.known_words[:, 0]),
            "known_words2": as_shares(self.known_words[:, 1]),
            "cut": self.cut.sum(axis=1).tolist(),
        }
