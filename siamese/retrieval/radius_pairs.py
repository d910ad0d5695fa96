"""Radius pairs: all pairs of points within a distance, without a square matrix in memory.

Comparing all points is a matrix product, but for 100,000 points in 600 dimensions it takes 3 · 10¹² multiplications.
Most of them can be saved. Let h be the coordinates of a point on the first principal axes, and r the length of the
remainder. For two points

    (h₁ - h₂)² + (r₁ - r₂)² <= (p₁ - p₂)²

by Pythagoras and the triangle inequality. So distances in these few dimensions are lower bounds: a product of narrow
matrices finds every near pair and some others, whose distance is then computed in full.
"""

import threading
from collections.abc import Callable, Iterator

import numpy as np

from siamese.inference.threads import Each, cores, side_by_side
from siamese.retrieval.embedding_space import AXES_SAMPLE, evenly, principal_axes, products
from siamese.retrieval.scored_pairs import Score, ScoredPairs, scored

ROWS, COLUMNS = 512, 2_048  # of a tile: 4 MB of distances, which fit the cache
TILE_ROWS_AT_ONCE = 16  # more than cores, so that no core waits long for the last
WIDTHS = (64, 96, 128, 192, 256, 384)  # candidates for the number of narrow dimensions
SAMPLE, SAMPLE_OTHERS = 300, 10_000  # points for the choice of the width
TURNED_AT_ONCE = 4_096
FULL_COST = 50_000  # multiplications of a matrix product that take as long as the full distance of a pair
PAIRS_AT_ONCE = 1_024  # whose full distance is computed


def pairs_within(points: np.ndarray, radius: float, score: Score, threshold: float) -> Iterator[ScoredPairs]:
    """All pairs of points, `float32[points, dimension]`, within `radius` whose score reaches the threshold.

    They are ordered by left, then right. A pair farther apart must have a lower score; several threads call `score`.
    """
    with side_by_side(cores()) as each:
        narrow = _narrowed(points, radius, each)
        row_of_tiles = _row_of_tiles(points, narrow, radius, score, threshold)
        starts = range(0, len(points), ROWS)
        for some in range(0, len(starts), TILE_ROWS_AT_ONCE):
            yield from each(row_of_tiles, starts[some : some + TILE_ROWS_AT_ONCE])


def _row_of_tiles(
    points: np.ndarray, narrow: np.ndarray | None, radius: float, score: Score, threshold: float
) -> Callable[[int], ScoredPairs]:
    """A function: a multiple of ROWS -> the pairs of the points from there on, ROWS of them, with later points."""
    total = len(points) ** 2 / 2
    left, right, least = products(points if narrow is None else narrow, radius)
    scores = threading.local()  # an array that each thread reuses

    def row_of_tiles(start: int) -> ScoredPairs:
        found = []
        for first in range(start, len(points), COLUMNS):
            rows, columns = left[start : start + ROWS], right[first : first + COLUMNS]
            if not hasattr(scores, "array"):
                scores.array = np.empty(ROWS * COLUMNS, np.float32)
            product = scores.array[: len(rows) * len(columns)].reshape(len(rows), len(columns))
            np.matmul(rows, columns.T, out=product)
            one, other = np.divmod(np.flatnonzero(product >= least), len(columns))
            one, other = one + start, other + first
            above = one < other
            one, other = one[above], other[above]
            if narrow is not None:
                near = _are_near(points, one, other, radius)
                one, other = one[near], other[near]
            found.append(scored(one, other, score, threshold))
        one, other, similarity = map(np.concatenate, zip(*found, strict=True))
        order = np.argsort(one, kind="stable")  # tiles are visited from left to right
        height = min(ROWS, len(points) - start)
        share = height * (len(points) - start - height / 2) / total
        return ScoredPairs(one[order], other[order], similarity[order], share)

    return row_of_tiles


def _are_near(points: np.ndarray, left: np.ndarray, right: np.ndarray, radius: float) -> np.ndarray:
    """Whether pairs are within the radius, up to rounding: `bool[pairs]`."""
    square = np.empty(len(left), np.float32)
    for start in range(0, len(left), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        apart = points[left[part]] - points[right[part]]
        square[part] = np.einsum("nd,nd->n", apart, apart)
    return square <= (radius * (1 + 1e-4) + 1e-6) ** 2


def _narrowed(points: np.ndarray, radius: float, each: Each) -> np.ndarray | None:
    """Points in the number of dimensions with the fastest search, `float32[points, width + 1]`; None for all.

    The choice affects the time only, not the pairs.
    """
    widths = [width for width in WIDTHS if width + 1 < points.shape[1]]
    if not widths or not np.isfinite(radius) or radius < 0:
        return None
    center, axes = principal_axes(points[evenly(len(points), AXES_SAMPLE)])
    sample, others = evenly(len(points), SAMPLE), evenly(len(points), SAMPLE_OTHERS)
    themselves = np.isin(sample, others).sum()
    costs = {}
    for width in widths:
        narrow = _turned(points[np.concatenate([sample, others])], center, axes[:, :width], each)
        left, right, least = products(narrow, radius)
        near = np.count_nonzero(left[: len(sample)] @ right[len(sample) :].T >= least) - themselves
        costs[width] = width + FULL_COST * near / (len(sample) * len(others))
    best = min(costs, key=costs.__getitem__)
    return _turned(points, center, axes[:, :best], each) if costs[best] < points.shape[1] else None


def _turned(points: np.ndarray, center: np.ndarray, axes: np.ndarray, each: Each) -> np.ndarray:
    """Coordinates of points on orthonormal axes, and the length of the remainder: `float32[points, axes + 1]`.

    From `float32[points, dimension]`, the origin `float64[dimension]` and `float64[dimension, axes]`.
    """
    turned = np.empty((len(points), axes.shape[1] + 1), np.float32)

    def turn(start: int) -> None:
        part = points[start : start + TURNED_AT_ONCE] - center  # float64, because the remainder is a small difference
        on_axes = part @ axes
        rest = np.einsum("nd,nd->n", part, part) - np.einsum("na,na->n", on_axes, on_axes)
        turned[start : start + TURNED_AT_ONCE] = np.column_stack([on_axes, np.sqrt(np.maximum(rest, 0))])

    each(turn, range(0, len(points), TURNED_AT_ONCE))
    return turned
