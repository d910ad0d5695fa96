"""Nearest pairs: the nearest neighbors of each point, and the pairs that they form."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from siamese.inference.runtime import Runtime
from siamese.inference.threads import cores, side_by_side
from siamese.inference.workers import Prepare
from siamese.retrieval import embedding_space
from siamese.retrieval.approximate_index import ApproximateIndex
from siamese.retrieval.embedding_space import products
from siamese.retrieval.finished_blocks import FinishedBlocks
from siamese.retrieval.scored_pairs import Pairs, Score, ScoredPairs, joined, scored

ROWS, COLUMNS = 512, 2_048  # of a tile, 4 MB of distances
TILE_ROWS_AT_ONCE = 16
QUERIES_AT_ONCE = 1_000
PAIRS_AT_ONCE, PARTS_AT_ONCE = (2**14, 8)  # pairs scored by a core at once, and such parts before results are yielded
CELLS_PROBED = 16  # of an index; on 60,000 of Quora's questions 144 found no more than 0.1 % more duplicates
SEARCHING = 0.5  # share of the search in the work of `nearest_pairs`, for progress


def nearest_pairs(
    points: np.ndarray,
    top_k: int,
    exact: bool,
    score: Score,
    threshold: float,
    finished: FinishedBlocks = FinishedBlocks(),  # noqa: B008, it holds nothing
) -> Iterator[ScoredPairs]:
    """All pairs in which one point is among the nearest of the other and whose score reaches the threshold.

    They are ordered by left, then right. Memory: up to 16 bytes for each neighbor of each point.

    Args:
        points: `float32[points, dimension]`.
        top_k: neighbors of each point, without itself.
        exact: whether to compare all points, or only those in the nearest cells of an approximate index.
        score: of pairs of positions.
        threshold: least score.
        finished: blocks that need no computation.
    """
    nothing = np.empty(0, np.int64)
    keys = [nothing]
    for itself, neighbor in _nearest_neighbors(points, min(top_k + 1, len(points)), exact, finished):
        key = np.minimum(itself, neighbor) * len(points) + np.maximum(itself, neighbor)
        keys.append(key[itself != neighbor])
        yield ScoredPairs(nothing, nothing, np.empty(0, np.float32), SEARCHING * len(itself) / len(points))
    distinct = np.concatenate(keys)
    distinct.sort()  # ten times as fast as `np.unique`
    distinct = distinct[np.diff(distinct, prepend=-1) > 0]

    size = PAIRS_AT_ONCE * PARTS_AT_ONCE
    parts = [distinct[start : start + size] for start in range(0, len(distinct), size)]
    found = finished.workers.map(partial(_scores, len(points), score, threshold), parts)
    for part, pairs in zip(parts, found, strict=True):
        left, right, similarity = pairs
        yield ScoredPairs(left, right, similarity, (1 - SEARCHING) * len(part) / len(distinct))


def _scores(points: int, score: Score, threshold: float) -> Callable[[np.ndarray], Pairs]:
    """A function: pairs of points, left * `points` + right, `int64[pairs]` -> those whose score reaches the threshold."""

    def score_some(keys: np.ndarray) -> Pairs:
        return scored(*np.divmod(keys, points), score, threshold)

    def block(keys: np.ndarray) -> Pairs:
        parts = [keys[start : start + PAIRS_AT_ONCE] for start in range(0, len(keys), PAIRS_AT_ONCE)]
        with side_by_side(cores()) as each:
            return joined(each(score_some, parts))

    return block


def most_similar(network: Runtime, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other questions of each question, most similar first, as `retrieval_metrics` takes them.

    Returns:
        Positions `int64[questions, min(k, questions - 1)]` and similarities `float32` of the same shape.
    """
    points = embedding_space.points(network.comparison, embeddings)
    k = min(k, len(points) - 1)
    positions, similarities = [], []
    for itself, found in _nearest_neighbors(points, k + 1, exact=True, finished=FinishedBlocks()):
        # among many equal points a question may be missing from its own nearest: then the last one is dropped
        itself_last = np.argsort(found == itself, axis=1, kind="stable")
        others = np.take_along_axis(found, itself_last, axis=1)[:, :k]
        left = np.repeat(itself.ravel(), k)
        similarity = network.similarity(embeddings[left], embeddings[others.ravel()]).reshape(others.shape)
        best_first = np.lexsort((others, -similarity), axis=1)  # ties in the order of the questions
        positions.append(np.take_along_axis(others, best_first, axis=1))
        similarities.append(np.take_along_axis(similarity, best_first, axis=1))
    return np.concatenate(positions), np.concatenate(similarities)


def _nearest_neighbors(
    points: np.ndarray, k: int, exact: bool, finished: FinishedBlocks
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """In blocks, positions of points, `int64[n, 1]`, and of the k nearest of each, `int64[n, k]`."""
    size = ROWS * TILE_ROWS_AT_ONCE if exact else QUERIES_AT_ONCE
    blocks = {f"rows-{start}": start for start in range(0, len(points), size)}
    if exact:
        prepare: Prepare = partial(_exact_blocks, points, k)
    else:
        # of which a finished search has no need
        index = None if finished.hold(blocks) else ApproximateIndex.build(points, CELLS_PROBED, "euclidean")
        prepare = partial(_approximate_blocks, index, points, k)
    for start, [found] in zip(blocks.values(), finished.blocks(blocks, prepare), strict=True):
        yield np.arange(start, start + len(found))[:, None], found


def _exact_blocks(points: np.ndarray, k: int) -> Callable[[int], tuple[np.ndarray]]:
    """A function: a multiple of ROWS -> the k nearest of the points from there on, TILE_ROWS_AT_ONCE times ROWS of them."""
    nearest = _exact_neighbors(points, k)

    def block(start: int) -> tuple[np.ndarray]:
        with side_by_side(cores()) as each:
            return (np.concatenate(each(nearest, range(len(points))[start::ROWS][:TILE_ROWS_AT_ONCE])),)

    return block


def _approximate_blocks(
    index: ApproximateIndex | None, points: np.ndarray, k: int
) -> Callable[[int], tuple[np.ndarray]]:
    """A function: a position -> the k nearest of the QUERIES_AT_ONCE points from there on, as far as an index finds them."""

    def block(start: int) -> tuple[np.ndarray]:
        if index is None:
            raise ValueError("no index was built, as no block was missing")
        return (index.search(points[start : start + QUERIES_AT_ONCE], k)[1],)

    return block


def _exact_neighbors(points: np.ndarray, k: int) -> Callable[[int], np.ndarray]:
    """A function: a multiple of ROWS -> positions of the k nearest of the ROWS points from there on, `int64[ROWS, k]`."""
    left, right, _ = products(points, np.inf)

    def nearest(start: int) -> np.ndarray:
        rows = left[start : start + ROWS]
        nearness, found = np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.int64)
        for first in range(0, len(points), COLUMNS):
            product = rows @ right[first : first + COLUMNS].T
            if nearness.shape[1] < k:
                row, column = np.divmod(np.arange(product.size), product.shape[1])
            else:  # only points nearer than the k-th best so far, of which there are soon few
                row, column = np.divmod(np.flatnonzero(product > nearness.min(axis=1)[:, None]), product.shape[1])
            nearness, found = _best(nearness, found, row, product[row, column], column + first, k)
        return found

    return nearest


def _best(
    nearness: np.ndarray, found: np.ndarray, row: np.ndarray, nearness_of_more: np.ndarray, more: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of each row, unordered, among those found so far, `float32[rows, n]` and `int64[rows, n]`, and more.

    Args:
        nearness, found: so far; what is returned has at most k columns.
        row: `int64[m]`, ascending; the row that each of the others belongs to.
        nearness_of_more, more: `float32[m]`, `int64[m]`.
        k: kept of each row.
    """
    count = np.bincount(row, minlength=len(found))
    place = found.shape[1] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    columns = found.shape[1] + int(count.max(initial=0))
    wide_nearness = np.full((len(found), columns), -np.inf, np.float32)
    wide_found = np.zeros((len(found), columns), np.int64)
    wide_nearness[:, : found.shape[1]], wide_found[:, : found.shape[1]] = nearness, found
    wide_nearness[row, place], wide_found[row, place] = nearness_of_more, more
    best = np.argpartition(wide_nearness, -min(k, columns), axis=1)[:, -min(k, columns) :]
    return np.take_along_axis(wide_nearness, best, axis=1), np.take_along_axis(wide_found, best, axis=1)
