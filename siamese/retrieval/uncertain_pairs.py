"""Uncertain pairs: those whose labels teach a detector the most."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from siamese.retrieval.scored_pairs import ScoredPairs

PAIRS_OF_A_QUESTION = 2  # more would tell about the question rather than about the model
CANDIDATES = 20  # for each pair that is wanted, as most may be of the same few questions


def most_uncertain(
    found: Iterable[ScoredPairs],
    probability: Callable[[np.ndarray], np.ndarray],
    wanted: int,
    known: Callable[[int, int], bool],
    known_pairs: int = 0,
) -> list[tuple[int, int]]:
    """The pairs whose probability is nearest to 1/2, the nearest first (uncertainty sampling, Lewis & Gale 1994).

    A question comes in at most two of them, so that a batch of labels is about many questions.

    Args:
        found: scored pairs, each once, in any number of blocks; only the most uncertain are kept.
        probability: of similarities, `float32[pairs]` -> `float64[pairs]`.
        wanted: number of pairs, at least 1; there may be fewer.
        known: whether a pair of positions has a label.
        known_pairs: how many have one.

    Returns:
        Positions, left and right, of `found`.
    """
    kept = CANDIDATES * wanted + known_pairs
    pairs, distance = np.empty((0, 2), np.int64), np.empty(0)
    for some in found:
        pairs = np.concatenate([pairs, np.stack([some.left, some.right], axis=1)])
        distance = np.concatenate([distance, np.abs(probability(some.similarity) - 0.5)])
        if len(distance) > kept:
            nearest = np.sort(np.argpartition(distance, kept)[:kept])
            pairs, distance = pairs[nearest], distance[nearest]
    chosen: list[tuple[int, int]] = []
    times = Counter[int]()
    for left, right in pairs[np.argsort(distance, kind="stable")].tolist():
        if len(chosen) == wanted:
            break
        if max(times[left], times[right]) < PAIRS_OF_A_QUESTION and not known(left, right):
            chosen.append((left, right))
            times.update((left, right))
    return chosen
