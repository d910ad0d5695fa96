"""Cell pairs: all pairs of points within a distance, most of which are never compared.

Points lie in cells: those of a cell are nearer to its center than to any other. Let p be a point of the cell around c,
and q one of the cell around d. Their difference is at least as long as its projection on the line through c and d:

    |p - q| >= margin(p) + margin(q),   margin(p) = (|p - d|² - |p - c|²) / (2 |c - d|),   margin(q) likewise

where a margin is the distance of a point to the plane halfway between the centers, never negative. So a cell is compared
only with those points whose margin, and the smallest margin in the cell, add up to no more than the radius.

Neighbors lie in all directions, so the projection of their difference on a given line is mostly far smaller than its
length. With `reach` below 1 margins are compared with that share of the radius: this is several times as fast, and a few
pairs are missed.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from siamese.inference.threads import ReusedArray, cores, side_by_side
from siamese.retrieval.embedding_space import evenly, products
from siamese.retrieval.finished_blocks import FinishedBlocks
from siamese.retrieval.narrow_points import are_near
from siamese.retrieval.scored_pairs import Pairs, Score, ScoredPairs, joined, scored

POINTS_PER_CELL = 250
TRAINING_POINTS, TRAINING_ROUNDS = 40, 5  # points for each center, and rounds of k-means (Lloyd 1982)
ASSIGNED_AT_ONCE = 256
ASSIGNED_TOGETHER = 2**17  # points whose cells are a block
CELLS_AT_ONCE = 8  # whose center a core multiplies with all later points at once
PARTS_AT_ONCE = 8  # of CELLS_AT_ONCE cells: a block, which is finished as a whole
FILTERED_AT_ONCE, COLUMNS = 2**16, 4_096  # points whose distances fit the cache
PAIRS_AT_ONCE = 2**20  # that are yielded


def pairs_of_cells(
    points: np.ndarray,
    narrow: np.ndarray,
    radius: float,
    score: Score,
    threshold: float,
    reach: float,
    finished: FinishedBlocks,
) -> Iterator[ScoredPairs]:
    """All pairs of points, `float32[points, dimension]`, within `radius` whose score reaches the threshold.

    They come at the end, ordered by left, then right. Memory: about 50 bytes for each pair.

    Args:
        points: to compare.
        narrow: the narrow points, `float32[points, width]`.
        radius: a pair farther apart must have a lower score.
        score, threshold: decide about a pair; several threads call `score`.
        reach: share of the radius that margins are compared with, in (0, 1]; at 1 no pair is missed.
        finished: blocks that need no computation.
    """
    [centers] = finished.block("centers", partial(_centers, narrow))
    cell = _cells(narrow, centers, finished)
    parts = range(0, len(centers), CELLS_AT_ONCE)
    starts = range(0, len(parts), PARTS_AT_ONCE)
    blocks = {f"pairs-{start}": parts[start : start + PARTS_AT_ONCE] for start in starts}
    prepare = partial(_parts, points, narrow, centers, cell, radius, score, threshold, reach)
    found: list[Pairs] = []
    for some, (left, right, similarity) in zip(blocks.values(), finished.blocks(blocks, prepare), strict=True):
        found.append((left, right, similarity))
        nothing = np.empty(0, np.int64)
        yield ScoredPairs(nothing, nothing, np.empty(0, np.float32), _work(some, len(parts)))
    left, right, similarity = joined(found)
    order = np.argsort(left.astype(np.int64) * len(points) + right)
    for start in range(0, len(order), PAIRS_AT_ONCE):
        next_ones = order[start : start + PAIRS_AT_ONCE]
        whole = left[next_ones].astype(np.int64), right[next_ones].astype(np.int64)
        yield ScoredPairs(*whole, similarity[next_ones], 0.0)


def _part(
    points: np.ndarray,
    narrow: np.ndarray,
    centers: np.ndarray,
    cell: np.ndarray,
    radius: float,
    score: Score,
    threshold: float,
    reach: float,
) -> Callable[[int], Pairs]:
    """A function: a multiple of CELLS_AT_ONCE -> the pairs of the cells from there on with points of no earlier cell."""
    order = np.argsort(cell, kind="stable")
    size = np.bincount(cell, minlength=len(centers))
    start = np.concatenate([[0], np.cumsum(size)])
    sorted_cell = cell[order]
    left, right, least = products(narrow[order], radius)
    on_centers = _on_centers(centers)  # its product with a point grows with the nearness of the center
    own = np.einsum("nd,nd->n", left[:, : on_centers.shape[1]], on_centers[sorted_cell])
    tile, of_centers = ReusedArray(), ReusedArray()
    rounding = left.shape[1] * 2.0**-20 * float(np.abs(own).max(initial=0.0) + 1)

    def later_points(number: int, nearness: np.ndarray) -> np.ndarray:
        """Positions of the points of later cells to compare a cell with, from their nearness to its center."""
        of_cell = slice(start[number], start[number + 1])
        later = on_centers[number + 1 :]
        margin = (own[of_cell, None] - left[of_cell, : later.shape[1]] @ later.T).min(axis=0)
        apart = np.linalg.norm(centers[number + 1 :] - centers[number], axis=1)
        most = reach * radius * apart - margin + rounding
        most = np.concatenate([np.zeros(number + 1), most]).astype(np.float32)
        chosen = []
        for first in range(start[number + 1], len(own), FILTERED_AT_ONCE):
            some = slice(first, first + FILTERED_AT_ONCE)
            beyond = own[some] - nearness[first - len(own) :][:FILTERED_AT_ONCE]
            chosen.append(first + np.flatnonzero(beyond <= most.take(sorted_cell[some])))
        return np.concatenate(chosen)

    def part(first: int) -> Pairs:
        last = min(first + CELLS_AT_ONCE, len(centers))
        nearness = of_centers.product(on_centers[first:last], left[start[first] :, : on_centers.shape[1]])
        nothing = np.empty(0, np.int64)
        found: list[Pairs] = [(nothing, nothing, np.empty(0, np.float32))]  # cells may be empty
        for number in range(first, last):
            if size[number] == 0:
                continue
            others = np.arange(start[number], start[number + 1])
            if number + 1 < len(centers) and start[number + 1] < len(order):
                others = np.concatenate([others, later_points(number, nearness[number - first])])
            rows = left[start[number] : start[number + 1]]
            for column in range(0, len(others), COLUMNS):
                some = others[column : column + COLUMNS]
                near = tile.product(rows, right.take(some, axis=0)) >= least
                one, other = np.divmod(np.flatnonzero(near), len(some))
                one, other = one + start[number], some[other]
                once = one < other
                one, other = order[one[once]], order[other[once]]
                within = are_near(points, one, other, radius)
                one, other = one[within], other[within]
                found.append(scored(np.minimum(one, other), np.maximum(one, other), score, threshold))
        return joined(found)

    return part


def _parts(
    points: np.ndarray,
    narrow: np.ndarray,
    centers: np.ndarray,
    cell: np.ndarray,
    radius: float,
    score: Score,
    threshold: float,
    reach: float,
) -> Callable[[range], Pairs]:
    """A function: starts of parts -> their pairs, positions in half the memory."""
    part = _part(points, narrow, centers, cell, radius, score, threshold, reach)

    def block(starts: range) -> Pairs:
        with side_by_side(cores()) as each:
            left, right, similarity = joined(each(part, starts))
        return left.astype(np.int32), right.astype(np.int32), similarity

    return block


def _centers(narrow: np.ndarray) -> tuple[np.ndarray]:
    """Centers of cells by k-means, `float32[cells, width]`."""
    count = max(1, len(narrow) // POINTS_PER_CELL)
    training = narrow[evenly(len(narrow), TRAINING_POINTS * count)]
    centers = training[evenly(len(training), count)]
    for _ in range(TRAINING_ROUNDS):
        [cell] = _nearest_center(training, centers)(range(len(training)))
        filled, start = np.unique(np.sort(cell), return_index=True)
        sums = np.add.reduceat(training[np.argsort(cell, kind="stable")], start, axis=0)
        centers[filled] = sums / np.bincount(cell, minlength=count)[filled, None]
    return (centers,)


def _cells(narrow: np.ndarray, centers: np.ndarray, finished: FinishedBlocks) -> np.ndarray:
    """The cell of each point, `int64[points]`."""
    rows = range(len(narrow))
    blocks = {f"cells-{start}": rows[start : start + ASSIGNED_TOGETHER] for start in rows[::ASSIGNED_TOGETHER]}
    return np.concatenate([cell for [cell] in finished.blocks(blocks, partial(_nearest_center, narrow, centers))])


def _nearest_center(points: np.ndarray, centers: np.ndarray) -> Callable[[range], tuple[np.ndarray]]:
    """A function: rows of `float32[points, width]` -> the nearest center of each, `int64[rows]`."""
    on_centers, tile = _on_centers(centers), ReusedArray()

    def block(rows: range) -> tuple[np.ndarray]:
        nearest = np.empty(len(rows), np.int64)

        def assign(start: int) -> None:
            some = points[rows[start] : rows[-1] + 1][:ASSIGNED_AT_ONCE]
            nearness = tile.product(np.column_stack([some, np.ones(len(some), np.float32)]), on_centers)
            nearest[start : start + ASSIGNED_AT_ONCE] = nearness.argmax(axis=1)

        with side_by_side(cores()) as each:
            each(assign, range(0, len(rows), ASSIGNED_AT_ONCE))
        return (nearest,)

    return block


def _on_centers(centers: np.ndarray) -> np.ndarray:
    """`float32[cells, width + 1]`, whose product with [p, 1] is (|p|² - |p - c|²) / 2."""
    return np.column_stack([centers, np.einsum("cd,cd->c", centers, centers) / np.float32(-2)])


def _work(parts: range, total: int) -> float:
    """The share of the work of some parts: the first cells are compared with most others."""
    first, last = parts[0] / CELLS_AT_ONCE, parts[-1] / CELLS_AT_ONCE + 1
    return (last - first) * (2 * total - first - last) / total**2
