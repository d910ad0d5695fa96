"""Radius pairs: all pairs of points within a distance, without a square matrix in memory.

Points are compared tile by tile, in a few dimensions (narrow_points.py). Of many points, if few pairs are expected, most
are not compared at all (cell_pairs.py).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from siamese.inference.threads import ReusedArray, cores, side_by_side
from siamese.retrieval.cell_pairs import pairs_of_cells
from siamese.retrieval.embedding_space import products
from siamese.retrieval.finished_blocks import FinishedBlocks
from siamese.retrieval.narrow_points import are_near, fastest_axes, pairs_expected
from siamese.retrieval.scored_pairs import Pairs, Score, ScoredPairs, joined, scored

ROWS, COLUMNS = 512, 2_048  # of a tile: 4 MB of distances, which fit the cache
TILE_ROWS_AT_ONCE = 16  # more than cores, so that no core waits long for the last
CELLS_FROM = 20_000  # points; fewer are compared in less time than cells take
MOST_IN_MEMORY = 20_000_000  # pairs expected, of which the cells need all at once


def pairs_within(
    points: np.ndarray,
    radius: float,
    score: Score,
    threshold: float,
    reach: float = 1.0,
    finished: FinishedBlocks = FinishedBlocks(),  # noqa: B008, it holds nothing
) -> Iterator[ScoredPairs]:
    """All pairs of points within `radius` whose score reaches the threshold, ordered by left, then right.

    Args:
        points: `float32[points, dimension]`.
        radius: a pair farther apart must have a lower score.
        score, threshold: decide about a pair; several threads call `score`.
        reach: in (0, 1]; below 1 the search among many points is faster and misses some pairs (see cell_pairs.py).
        finished: blocks that need no computation.
    """
    with side_by_side(cores()) as each:
        axes = fastest_axes(points, radius, each)
        by_cells = axes and len(points) >= CELLS_FROM and pairs_expected(points, radius) <= MOST_IN_MEMORY
        narrow = axes.turned(points, each) if axes else None
    if by_cells and narrow is not None:
        yield from pairs_of_cells(points, narrow, radius, score, threshold, reach, finished)
        return
    starts = range(0, len(points), ROWS)
    parts = (starts[first : first + TILE_ROWS_AT_ONCE] for first in range(0, len(starts), TILE_ROWS_AT_ONCE))
    blocks = {f"rows-{some[0]}": some for some in parts}
    prepare = partial(_rows_of_tiles, points, narrow, radius, score, threshold)
    for some, found in zip(blocks.values(), finished.blocks(blocks, prepare), strict=True):
        left, right, similarity = found
        yield ScoredPairs(left, right, similarity, _work(some[0], min(some[-1] + ROWS, len(points)), len(points)))


def _rows_of_tiles(
    points: np.ndarray, narrow: np.ndarray | None, radius: float, score: Score, threshold: float
) -> Callable[[Sequence[int]], Pairs]:
    """A function: starts of rows of tiles -> their pairs."""
    row_of_tiles = _row_of_tiles(points, narrow, radius, score, threshold)

    def block(starts: Sequence[int]) -> Pairs:
        with side_by_side(cores()) as each:
            return joined(each(row_of_tiles, starts))

    return block


def _work(first: int, last: int, points: int) -> float:
    """The share of all comparisons that the points from `first` to before `last` have with later ones."""
    return (last - first) * (2 * points - first - last) / points**2


def _row_of_tiles(
    points: np.ndarray, narrow: np.ndarray | None, radius: float, score: Score, threshold: float
) -> Callable[[int], Pairs]:
    """A function: a multiple of ROWS -> the pairs of the points from there on, ROWS of them, with later points."""
    left, right, least = products(points if narrow is None else narrow, radius)
    tile = ReusedArray()

    def row_of_tiles(start: int) -> Pairs:
        found = []
        for first in range(start, len(points), COLUMNS):
            rows, columns = left[start : start + ROWS], right[first : first + COLUMNS]
            one, other = np.divmod(np.flatnonzero(tile.product(rows, columns) >= least), len(columns))
            one, other = one + start, other + first
            above = one < other
            one, other = one[above], other[above]
            if narrow is not None:
                near = are_near(points, one, other, radius)
                one, other = one[near], other[near]
            found.append(scored(one, other, score, threshold))
        one, other, similarity = joined(found)
        order = np.argsort(one, kind="stable")  # tiles are visited from left to right
        return one[order], other[order], similarity[order]

    return row_of_tiles
