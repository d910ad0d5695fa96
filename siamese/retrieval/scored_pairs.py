"""Scored pairs: pairs of positions in a collection with their similarity."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]  # int64[pairs] twice -> float32[pairs]


@dataclass(frozen=True)
class ScoredPairs:
    """Some pairs of points; each pair of a collection comes once.

    Attributes:
        left, right: `int64[pairs]`, positions of the points, left < right.
        similarity: `float32[pairs]`.
        share: of the total work, for progress; all shares add up to 1.
    """

    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    share: float


def scored(
    left: np.ndarray, right: np.ndarray, score: Score, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs whose score reaches the threshold, and their scores."""
    similarity = score(left, right)
    kept = similarity >= threshold
    return left[kept], right[kept], similarity[kept]
