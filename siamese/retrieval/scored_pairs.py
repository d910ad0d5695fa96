"""Scored pairs: pairs of positions in a collection with their similarity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from siamese.inference.runtime import Runtime

SAMPLE = 1_000  # texts whose pairs stand for all pairs of a collection
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # left and right, int[pairs], and similarity, float32[pairs]
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


def scored(left: np.ndarray, right: np.ndarray, score: Score, threshold: float) -> Pairs:
    """The pairs whose score reaches the threshold, and their scores."""
    similarity = score(left, right)
    kept = similarity >= threshold
    return left[kept], right[kept], similarity[kept]


def joined(found: Sequence[Pairs]) -> Pairs:
    """The pairs of several parts, at least one, in one."""
    left, right, similarity = map(np.concatenate, zip(*found, strict=True))
    return left, right, similarity


def sampled_similarities(network: Runtime, embeddings: np.ndarray) -> np.ndarray:
    """Similarities `float32[pairs]` of all pairs of at most 1,000 texts, always the same, of `float32[texts, dimension]`."""
    texts = len(embeddings)
    sample = np.sort(np.random.default_rng(0).choice(texts, min(SAMPLE, texts), replace=False))
    left, right = np.triu_indices(len(sample), 1)
    return network.compare(embeddings[sample], left, right)
