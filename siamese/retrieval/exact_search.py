"""Exact search: the most similar of many embeddings, in one pass over them.

Similarity is the inner product, which for `normalized` vectors is the cosine in [-1, 1]; 1 means "same".
"""

from functools import partial

import numpy as np

from siamese.inference.threads import ReusedArray, cores, side_by_side

BLOCK = 64  # vectors that share one maximum, below
ROWS_AT_ONCE = (
    32 * BLOCK
)  # vectors that are multiplied with QUERIES_AT_ONCE queries: 2 MB of scores, which fit the cache
QUERIES_AT_ONCE = 256
KEPT = 2**24  # scores that stay in memory, 64 MB: where all are fewer, none is computed again
ROWS_OF_KEPT = 8 * BLOCK  # vectors that are multiplied with all queries then
CANDIDATES_AT_ONCE = 4_096  # rows of the best blocks whose scores are computed again
BATCH = 1_000  # queries whose maxima are in memory at the same time
LONE_BLOCKS_AT_ONCE = 1_024  # for a single query: few calls, and scores fit the cache of a core
TOPS_AT_ONCE = 50  # queries that a core finishes at once
ONE_THREAD_BYTES = 8_000_000  # read in less time than threads take to start


def normalized(vectors: np.ndarray) -> np.ndarray:
    """Vectors `float32[vectors, dimension]` scaled to length 1; a zero vector stays zero.

    >>> normalized(np.array([[3, 4], [0, 0]], np.float32))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return vectors / np.where(length > 0, length, 1)[:, None]


def exact_top(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar vectors of each query, best first, ties in the order of `vectors`.

    A similarity is the inner product in float64, rounded to float32. It does not depend on the position of a vector,
    the number of queries or threads, or the BLAS.

    Args:
        queries: `float32[queries, dimension]`.
        vectors: `float32[vectors, dimension]`, no longer than 1 (see `normalized`), perhaps an `np.memmap`.
            Rounding decides among near ties of much longer ones.
        k: neighbors of each query, at most as many as there are vectors.

    Returns:
        Similarities `float32[queries, min(k, vectors)]` and rows of `vectors`, `int64` of the same shape.

    >>> similarity, index = exact_top(np.eye(1, 2, dtype=np.float32), np.float32([[0, 1], [1, 0], [1, 0]]), k=2)
    >>> similarity.tolist(), index.tolist()
    ([[1.0, 1.0]], [[1, 2]])
    """
    vectors = np.asarray(vectors)  # a plain view of an np.memmap, whose slices are slow
    check_vectors("vectors", vectors)
    check_search(queries, vectors.shape[1], k)
    k = min(k, len(vectors))
    similarity = np.empty((len(queries), k), np.float32)
    index = np.empty((len(queries), k), np.int64)
    if k == 0:
        return similarity, index
    for start in range(0, len(queries), BATCH):
        some = queries[start : start + BATCH]
        scores = np.empty((len(vectors), len(some)), np.float32) if len(vectors) * len(some) <= KEPT else None
        maxima = _block_maxima(some, vectors, scores)
        finish = partial(_fill_top, some, vectors, maxima, scores, similarity[start:], index[start:])
        if len(some) <= TOPS_AT_ONCE:
            finish(0)
        else:
            with side_by_side(cores()) as each:
                each(finish, range(0, len(some), TOPS_AT_ONCE))
    return similarity, index


def _fill_top(
    queries: np.ndarray,
    vectors: np.ndarray,
    maxima: np.ndarray,
    scores: np.ndarray | None,
    similarity: np.ndarray,
    index: np.ndarray,
    first: int,
) -> None:
    """Write the top of TOPS_AT_ONCE queries from `first` on into `similarity` and `index`."""
    for row in range(first, min(first + TOPS_AT_ONCE, len(queries))):
        own = None if scores is None else scores[:, row]
        found = _top_of_blocks(queries[row], vectors, maxima[:, row], own, similarity.shape[1])
        similarity[row], index[row] = found


def _block_maxima(queries: np.ndarray, vectors: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
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

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error by `_block_maxima`
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

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error by `_block_maxima`
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

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error by `_block_maxima`
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


def _top_of_blocks(
    query: np.ndarray, vectors: np.ndarray, maxima: np.ndarray, kept: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The top k of one query, `float32[k]` and `int64[k]`, from the few blocks that can hold them.

    `kept` are its scores, `float32[vectors]`, if they were kept.

    The top k reach the k-th greatest block maximum, and the k-th greatest score in those blocks, up to rounding: a
    float32 inner product of d terms has an error of at most about d * 2^-24 times both lengths, in any order of summation
    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    rounding = 2 * (len(query) + 2) * 2.0**-24 * np.linalg.norm(query)
    enough = -np.inf if k > len(maxima) else np.partition(maxima, -k)[-k] - rounding
    blocks = np.flatnonzero(maxima >= enough)
    index = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    if len(index) and index[-1] >= len(vectors):
        index = index[: np.searchsorted(index, len(vectors))]
    scores = kept[index] if kept is not None else _scores(query, vectors, index)
    index = index[scores >= np.partition(scores, -k)[-k] - rounding]

    precise_query = query.astype(np.float64)
    similarity = np.empty(len(index), np.float32)
    for start in range(0, len(index), CANDIDATES_AT_ONCE):
        part = slice(start, start + CANDIDATES_AT_ONCE)
        similarity[part] = np.einsum("nd,d->n", vectors[index[part]].astype(np.float64), precise_query)

    # `index` ascends, so a stable sort leaves ties in the order of `vectors`
    candidates = np.flatnonzero(similarity >= np.partition(similarity, -k)[-k])
    best = candidates[np.argsort(-similarity[candidates], kind="stable")[:k]]
    return similarity[best], index[best]


def _scores(query: np.ndarray, vectors: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The scores of some rows of the vectors, `float32[index]`."""
    parts = np.split(index, range(CANDIDATES_AT_ONCE, len(index), CANDIDATES_AT_ONCE))
    return np.concatenate([np.einsum("nd,d->n", vectors.take(part, axis=0), query) for part in parts])


def check_vectors(name: str, vectors: np.ndarray) -> None:
    """Raise ValueError unless `vectors` are `float32[vectors, dimension]`."""
    if vectors.ndim != 2 or vectors.dtype != np.float32 or vectors.shape[1] == 0:
        raise ValueError(
            f"{name} came as {vectors.dtype}{list(vectors.shape)}, expected float32[{name}, dimension]; "
            f"convert with .astype(np.float32), and one vector to a row with [None, :]"
        )


def check_search(queries: np.ndarray, dimension: int, k: int) -> None:
    """Raise ValueError unless `queries` are finite `float32[queries, dimension]` and k is at least 1."""
    check_vectors("queries", queries)
    if queries.shape[1] != dimension:
        raise ValueError(
            f"queries have {queries.shape[1]} dimensions and vectors {dimension}; encode both with the same detector"
        )
    if not np.isfinite(queries).all():
        raise ValueError("queries hold NaN or infinity; remove such rows")
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 is needed")
