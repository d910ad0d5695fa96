"""Exact search: the most similar of many embeddings, in one pass over them.

Similarity is the inner product, which for `normalized` vectors is the cosine in [-1, 1]; 1 means "same".
"""

from functools import partial

import numpy as np

from siamese.inference.threads import cores, side_by_side
from siamese.retrieval.block_maxima import BLOCK, block_maxima, not_finite

KEPT = 2**24  # scores that stay in memory, 64 MB: where all are fewer, none is computed again
CANDIDATES_AT_ONCE = 4_096  # rows of the best blocks whose scores are computed again
CANDIDATES_EACH = 8  # times k, on average, that many queries are looked at together with
BATCH = 1_000  # queries whose maxima are in memory at the same time
TOPS_AT_ONCE = 50  # queries that a core finishes at once
LONE_BYTES_AT_ONCE = 6_000_000  # of vectors, for a single query: more than are read before a second thread wakes


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
        if len(some) == 1:
            similarity[start], index[start] = _top_of_one(some[0], vectors, k)
            continue
        scores = np.empty((len(vectors), len(some)), np.float32) if len(vectors) * len(some) <= KEPT else None
        maxima = block_maxima(some, vectors, scores)
        finish = partial(_fill_top, some, vectors, maxima, scores, similarity[start:], index[start:])
        if len(some) <= TOPS_AT_ONCE:
            finish(0)
            continue
        with side_by_side(cores()) as each:
            each(finish, range(0, len(some), TOPS_AT_ONCE))
    return similarity, index


def _top_of_one(query: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The top k of one query, `float32[k]` and `int64[k]`, in the time of reading the vectors."""
    scores = np.empty(len(vectors), np.float32)

    @np.errstate(invalid="ignore", over="ignore")  # reported as an error below
    def score(start: int) -> None:
        np.matmul(vectors[start : start + rows], query, out=scores[start : start + rows])

    # each thread has products of its own, which do not wait for each other as the threads of a BLAS do on a busy core
    rows = max(1, LONE_BYTES_AT_ONCE // vectors[:1].nbytes)
    with side_by_side(cores()) as each:
        each(score, range(0, len(vectors), rows))
    if not np.isfinite(scores).all():
        raise not_finite(scores, first=0)

    # the k-th greatest maximum of any k columns or more is at most the k-th greatest score, and faster to find
    columns = len(scores) // BLOCK
    high = scores if columns < k else scores[: columns * BLOCK].reshape(BLOCK, columns).max(axis=0)
    rounding = np.float32(_rounding(query))
    index = np.flatnonzero(scores >= np.partition(high, -k)[-k] - rounding)
    if len(index) > CANDIDATES_EACH * k:
        index = index[scores[index] >= np.partition(scores[index], -k)[-k] - rounding]
    return _best_of(index, query, vectors, k)


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
    some, k = slice(first, min(first + TOPS_AT_ONCE, len(queries))), similarity.shape[1]
    if scores is not None:
        found = _tops_of_scores(queries[some], vectors, maxima[:, some], scores[:, some], k)
        if found is not None:
            similarity[some], index[some] = found
            return
    for row in range(some.start, some.stop):
        own = None if scores is None else scores[:, row]
        similarity[row], index[row] = _top_of_blocks(queries[row], vectors, maxima[:, row], own, k)


def _tops_of_scores(
    queries: np.ndarray, vectors: np.ndarray, maxima: np.ndarray, scores: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """`_top_of_blocks` for many queries at once, whose scores `float32[vectors, queries]` were kept.

    None if ties leave too many candidates; then each query is searched by itself.
    """
    enough = np.full(len(queries), -np.inf)
    if k <= len(maxima):
        enough = np.partition(maxima, -k, axis=0)[-k] - _rounding(queries)
    row, query = np.divmod(np.flatnonzero(scores >= enough.astype(np.float32)), len(queries))
    if len(row) > CANDIDATES_EACH * k * len(queries):
        return None
    similarity = _precise(vectors[row], queries[query])
    # rows ascend, and a stable sort leaves ties in their order
    best = np.lexsort((-similarity, query))
    first = np.searchsorted(query[best], np.arange(len(queries)))
    best = best[first[:, None] + np.arange(k)]
    return similarity[best], row[best]


def _top_of_blocks(
    query: np.ndarray, vectors: np.ndarray, maxima: np.ndarray, kept: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The top k of one query, `float32[k]` and `int64[k]`, from the few blocks that can hold them.

    `kept` are its scores, `float32[vectors]`, if they were kept.

    The top k reach the k-th greatest block maximum, and the k-th greatest score in those blocks, up to rounding.
    """
    rounding = _rounding(query)
    enough = -np.inf if k > len(maxima) else np.partition(maxima, -k)[-k] - rounding
    blocks = np.flatnonzero(maxima >= enough)
    index = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    if len(index) and index[-1] >= len(vectors):
        index = index[: np.searchsorted(index, len(vectors))]
    scores = kept[index] if kept is not None else _scores(query, vectors, index)
    index = index[scores >= np.partition(scores, -k)[-k] - rounding]
    return _best_of(index, query, vectors, k)


def _best_of(index: np.ndarray, query: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The top k of a query among the rows `index` of the vectors, which ascend: `float32[k]` and `int64[k]`."""
    starts = range(0, len(index), CANDIDATES_AT_ONCE)
    parts = [_precise(vectors[index[start : start + CANDIDATES_AT_ONCE]], query) for start in starts]
    similarity = np.concatenate(parts)
    candidates = np.flatnonzero(similarity >= np.partition(similarity, -k)[-k])
    best = candidates[np.argsort(-similarity[candidates], kind="stable")[:k]]  # ties stay in the order of `vectors`
    return similarity[best], index[best]


def _rounding(queries: np.ndarray) -> np.ndarray:
    """What float32 scores of queries, `float32[..., dimension]`, are apart by, at most, where they should be equal.

    An inner product of d terms has an error of at most about d * 2^-24 times both lengths, in any order of summation
    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    return 2 * (queries.shape[-1] + 2) * 2.0**-24 * np.linalg.norm(queries, axis=-1)


def _precise(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Inner products in float64 of rows with the rows of `queries`, or with one query, as `float32[rows]`."""
    products = np.einsum("...d,...d->...", vectors.astype(np.float64), queries.astype(np.float64))
    return products.astype(np.float32)


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
