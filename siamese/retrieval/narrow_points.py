"""Narrow points: a few coordinates of each point, whose distances are never greater than those of the points.

Comparing all points is a matrix product, but for a million points in 256 dimensions it takes 10¹⁴ multiplications. Most
of them can be saved. Let h be the coordinates of a point on the first principal axes, and r the length of the
remainder. For two points

    (h₁ - h₂)² + (r₁ - r₂)² <= (p₁ - p₂)²

by Pythagoras and the triangle inequality. So a product of narrow matrices finds every near pair and some others, whose
distance is then computed in full.
"""

from dataclasses import dataclass

import numpy as np

from siamese.inference.threads import Each
from siamese.retrieval.embedding_space import AXES_SAMPLE, evenly, principal_axes, products

WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384)  # candidates for the number of narrow dimensions
SAMPLE, SAMPLE_OTHERS = 300, 10_000  # points for the choice of the width
TURNED_AT_ONCE = 4_096
FULL_COST = 20_000  # multiplications of a matrix product that take as long as the full distance of a pair
PAIRS_AT_ONCE = 1_024  # whose full distance is computed


@dataclass(frozen=True)
class Axes:
    """Orthonormal axes for narrow points.

    Attributes:
        origin: `float64[dimension]`.
        directions: `float64[dimension, width]`, an axis in each column.
    """

    origin: np.ndarray
    directions: np.ndarray

    def turned(self, points: np.ndarray, each: Each) -> np.ndarray:
        """Coordinates of `float32[points, dimension]` on the axes, and the length of the remainder.

        Returns:
            `float32[points, width + 1]`.
        """
        turned = np.empty((len(points), self.directions.shape[1] + 1), np.float32)

        def turn(start: int) -> None:
            part = points[start : start + TURNED_AT_ONCE] - self.origin  # float64: the remainder is a small difference
            on_axes = part @ self.directions
            rest = np.einsum("nd,nd->n", part, part) - np.einsum("na,na->n", on_axes, on_axes)
            turned[start : start + TURNED_AT_ONCE] = np.column_stack([on_axes, np.sqrt(np.maximum(rest, 0))])

        each(turn, range(0, len(points), TURNED_AT_ONCE))
        return turned


def fastest_axes(points: np.ndarray, radius: float, each: Each) -> Axes | None:
    """The axes with which the pairs of `float32[points, dimension]` within a radius are found soonest; None without.

    The choice affects the time only, not the pairs.
    """
    widths = [width for width in WIDTHS if width + 1 < points.shape[1]]
    if not widths or not np.isfinite(radius) or radius < 0:
        return None
    origin, directions = principal_axes(points[evenly(len(points), AXES_SAMPLE)])
    sample, others = evenly(len(points), SAMPLE), evenly(len(points), SAMPLE_OTHERS)
    some = points[np.concatenate([sample, others])]
    costs = {}
    for width in widths:
        narrow = Axes(origin, directions[:, :width]).turned(some, each)
        costs[width] = width + FULL_COST * _share_within(narrow, len(sample), radius, np.isin(sample, others).sum())
    best = min(costs, key=costs.__getitem__)
    return Axes(origin, directions[:, :best]) if costs[best] < points.shape[1] else None


def pairs_expected(points: np.ndarray, radius: float) -> float:
    """About how many pairs of `float32[points, dimension]` are within a radius, from a sample."""
    sample, others = evenly(len(points), SAMPLE), evenly(len(points), SAMPLE_OTHERS)
    some = points[np.concatenate([sample, others])]
    return _share_within(some, len(sample), radius, np.isin(sample, others).sum()) * len(points) ** 2 / 2


def _share_within(points: np.ndarray, sample: int, radius: float, themselves: int) -> float:
    """The share of pairs of one of the first `sample` points and one of the others that are within the radius."""
    left, right, least = products(points, radius)
    near = np.count_nonzero(left[:sample] @ right[sample:].T >= least) - themselves
    return near / (sample * (len(points) - sample))


def are_near(points: np.ndarray, left: np.ndarray, right: np.ndarray, radius: float) -> np.ndarray:
    """Whether pairs of positions are within the radius, up to rounding: `bool[pairs]`."""
    square = np.empty(len(left), np.float32)
    for start in range(0, len(left), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        apart = points.take(left[part], axis=0) - points.take(right[part], axis=0)
        square[part] = np.einsum("nd,nd->n", apart, apart)
    return square <= (radius * (1 + 1e-4) + 1e-6) ** 2
