"""Block maxima: one pass over all vectors, which leaves the greatest score of each query in each block of them."""

import numpy as np

from siamese.inference.threads import ReusedArray, cores, side_by_side

BLOCK = 64  # vectors that share one maximum
ROWS_AT_ONCE = 32 * BLOCK  # vectors multiplied with QUERIES_AT_ONCE queries: 2 MB of scores, which fit the cache
QUERIES_AT_ONCE = 256
ROWS_OF_KEPT = 8 * BLOCK  # vectors that are multiplied with all queries then


def block_maxima(queries: np.ndarray, vectors: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    """The greatest score of each query in each block of BLOCK vectors, `float32[blocks, queries]`.

    All scores are written into `scores`, `float32[vectors, queries]`, if it is given.
    """
    maxima = _maxima_of_many(queries, vectors) if scores is None else _maxima_of_few(queries, vectors, scores)
    bad = np.flatnonzero(~np.isfinite(maxima).all(axis=1))
    if len(bad):
        rows = slice(bad[0] * BLOCK, (bad[0] + 1) * BLOCK)
        with np.errstate(invalid="ignore", over="ignore"):
            raise not_finite(vectors[rows] @ queries.T, rows.start)
    return maxima


def not_finite(scores: np.ndarray, first: int) -> ValueError:
    """The error that names the first row without finite scores, where those of the rows from `first` on came out so."""
    row = first + int(np.argmin(np.isfinite(scores.reshape(len(scores), -1)).all(axis=1)))
    return ValueError(
        f"row {row} of vectors holds NaN, infinity or numbers too great for float32; remove such rows, or normalize them"
    )


def _maxima_of_few(queries: np.ndarray, vectors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """As `_maxima_of_many`, where `scores` has room for all."""
    maxima = np.empty((-(-len(vectors) // BLOCK), len(queries)), np.float32)

    @np.errstate(invalid="ignore", over="ignore")  # `block_maxima` reports it as an error
    def reduce_rows(start: int) -> None:
        rows = slice(start, start + ROWS_OF_KEPT)
        own = np.matmul(vectors[rows], queries.T, out=scores[rows])
        maxima[start // BLOCK : -(-(start + len(own)) // BLOCK)] = _maxima(own)

    with side_by_side(cores()) as each:
        each(reduce_rows, range(0, len(vectors), ROWS_OF_KEPT))
    return maxima


def _maxima_of_many(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The greatest score of each query in each block, `float32[blocks, queries]`."""
    maxima = np.empty((-(-len(vectors) // BLOCK), len(queries)), np.float32)
    scores = ReusedArray()

    @np.errstate(invalid="ignore", over="ignore")  # `block_maxima` reports it as an error
    def reduce_rows(start: int) -> None:
        rows = vectors[start : start + ROWS_AT_ONCE]
        blocks = slice(start // BLOCK, -(-(start + len(rows)) // BLOCK))
        for first in range(0, len(queries), QUERIES_AT_ONCE):
            some = slice(first, first + QUERIES_AT_ONCE)
            maxima[blocks, some] = _maxima(scores.product(rows, queries[some]))

    with side_by_side(cores()) as each:
        each(reduce_rows, range(0, len(vectors), ROWS_AT_ONCE))
    return maxima


def _maxima(scores: np.ndarray) -> np.ndarray:
    """The maximum of each block of rows: `float32[rows, ...]` -> `float32[blocks, ...]`; the last block may be smaller."""
    whole = len(scores) // BLOCK * BLOCK
    of_whole = scores[:whole].reshape(-1, BLOCK, *scores.shape[1:]).max(axis=1)
    return np.concatenate([of_whole, scores[whole:].max(axis=0, keepdims=True)]) if whole < len(scores) else of_whole
