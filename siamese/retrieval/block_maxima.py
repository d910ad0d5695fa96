"""Block maxima: one pass over all vectors, which leaves the greatest score of each query in each block of them."""

import numpy as np

from siamese.inference.threads import ReusedArray, cores, side_by_side

BLOCK = 64  # vectors that share one maximum
ROWS_AT_ONCE = 32 * BLOCK  # vectors multiplied with QUERIES_AT_ONCE queries: 2 MB of scores, which fit the cache
QUERIES_AT_ONCE = 256
ROWS_OF_KEPT = 8 * BLOCK  # vectors that are multiplied with all queries then
LONE_BLOCKS_AT_ONCE = 1_024  # for a single query: few calls, and scores fit the cache of a core
ONE_THREAD_BYTES = 8_000_000  # read in less time than threads take to start


def block_maxima(queries: np.ndarray, vectors: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    """The greatest score of each query in each block of BLOCK vectors, `float32[blocks, queries]`.

    All scores are written into `scores`, `float32[vectors, queries]`, if it is given.
    """
    if len(queries) == 1:
        maxima = _maxima_of_one(queries[0], vectors, None if scores is None else scores[:, 0])[:, None]
    elif scores is not None:
        maxima = _maxima_of_few(queries, vectors, scores)
    else:
        maxima = _maxima_of_many(queries, vectors)
    if not np.isfinite(maxima).all():
        block = np.flatnonzero(~np.isfinite(maxima).all(axis=1))[0]
        raise ValueError(
            f"rows {block * BLOCK} to {min((block + 1) * BLOCK, len(vectors)) - 1} of vectors hold NaN, infinity or "
            "numbers too great for float32; remove such rows, or normalize them"
        )
    return maxima


def _maxima_of_one(query: np.ndarray, vectors: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    """The greatest score of one query in each block, `float32[blocks]`, in the time of reading the vectors.

    A single query is bound by memory bandwidth. Each thread has products of its own, which do not wait for each other as
    the threads of a BLAS do when another program takes a core.
    """
    blocks = -(-len(vectors) // BLOCK)
    maxima = np.empty(blocks, np.float32)
    threads = cores() if vectors.nbytes > ONE_THREAD_BYTES else 1

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error by `block_maxima`
    def reduce_share(thread: int) -> None:
        end = blocks * (thread + 1) // threads
        for first in range(blocks * thread // threads, end, LONE_BLOCKS_AT_ONCE):
            last = min(first + LONE_BLOCKS_AT_ONCE, end)
            rows = slice(first * BLOCK, last * BLOCK)
            scores = np.matmul(vectors[rows], query, out=None if kept is None else kept[rows])
            maxima[first:last] = _maxima(scores)

    with side_by_side(threads) as each:
        each(reduce_share, range(threads))
    return maxima


def _maxima_of_few(queries: np.ndarray, vectors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """As `_maxima_of_many`, where `scores` has room for all."""
    maxima = np.empty((-(-len(vectors) // BLOCK), len(queries)), np.float32)

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error by `block_maxima`
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

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error by `block_maxima`
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
