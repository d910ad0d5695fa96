"""Silver pairs: near neighbors among questions, which nobody labeled, with the label that several teachers give them.

A network that learns from them beside its labeled pairs learns what its teachers know together: a distillation of their
ensemble (Hinton et al. 2015), on pairs recombined from the questions of the labeled ones (Thakur et al. 2021, Augmented
SBERT, who found near neighbors to be the pairs that help).
"""

from collections.abc import Callable, Collection, Iterable

import numpy as np

from siamese.retrieval.nearest_pairs import nearest_pairs
from siamese.retrieval.scored_pairs import ScoredPairs

EXACT_POINTS = 20_000  # of more, only those in near cells of an index are compared
LEAST = 1e-6  # distance of a similarity from 0 and from 1 in the log-odds


def near_pairs(
    points: np.ndarray,
    top_k: int,
    wanted: int,
    known: Collection[tuple[int, int]] = (),
    seed: int = 0,
    on_part: Callable[[ScoredPairs], object] = lambda part: None,
) -> tuple[np.ndarray, np.ndarray]:
    """A random sample of the pairs in which one question is among the nearest of the other.

    Args:
        points: `float32[questions, dimension]`, in whose distances neighbors are near.
        top_k: neighbors of each question, at least 1.
        wanted: pairs at most, at least 1.
        known: pairs of positions that are left out, the smaller one first.
        seed: of the sample.
        on_part: called with each part of the search, whose share is the progress.

    Returns:
        Positions, `int64[pairs]` twice, left < right, in ascending order.

    Raises:
        ValueError: top_k or wanted is below 1, or there is no pair that is not known.
    """
    if top_k < 1 or wanted < 1:
        raise ValueError(f"top_k and pairs must be at least 1, got {top_k} and {wanted}")

    def alike(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.zeros(len(left), np.float32)

    keys = [np.empty(0, np.int64)]
    for part in nearest_pairs(points, top_k, len(points) <= EXACT_POINTS, alike, 0.0):
        keys.append(part.left * len(points) + part.right)
        on_part(part)
    left_out = np.fromiter((left * len(points) + right for left, right in known), np.int64, len(known))
    found = np.setdiff1d(np.concatenate(keys), left_out)
    if not len(found):
        raise ValueError(f"{len(points):,} questions have no near pair without a label")
    if len(found) > wanted:
        found = np.sort(np.random.default_rng(seed).choice(found, wanted, replace=False))
    left, right = np.divmod(found, len(points))
    return left, right


def ensemble(similarities: Iterable[np.ndarray]) -> np.ndarray:
    """The label that teachers give together: the probability at the mean of their log-odds, `float64[pairs]` in (0, 1).

    Args:
        similarities: of each teacher, `float[pairs]` in [0, 1].

    >>> ensemble([np.array([0.5, 0.9]), np.array([0.5, 0.1])]).round(2)
    array([0.5, 0.5])
    """
    log_odds = []
    for each in similarities:
        inside = np.clip(each.astype(np.float64), LEAST, 1 - LEAST)
        log_odds.append(np.log(inside) - np.log1p(-inside))
    return 1 / (1 + np.exp(-np.mean(log_odds, axis=0)))
