"""Search: the most similar of many embeddings, exactly in one reading of them or approximately in a part of them.

Similarity is the inner product; of `normalised` vectors that is the cosine, in [-1, 1], where 1 means "same".
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 128  # vectors that share one maximum, below
BLOCKS_AT_ONCE = 256
SCORES_AT_ONCE = 4_096_000  # 16 MB, so that they are reduced while in the cache
LONE_BLOCKS_AT_ONCE = 1_024  # of a lone query: few calls, and scores that stay in a core's own cache
QUERIES_AT_ONCE = 1_000
ROWS_AT_ONCE = 4_096  # that are compared in float64

CELLS_PROBED = 144  # of the some 4,000 cells of a million vectors
POINTS_PER_CELL = 40  # that k-means learns from; below 39 faiss warns
TRAINING_ROUNDS = 8


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Vectors `float32[vectors, dimension]` brought to length 1; a vector of zeros stays zero.

    >>> normalised(np.array([[3, 4], [0, 0]], np.float32))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return vectors / np.where(length > 0, length, 1)[:, None]


def exact_top(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar vectors of each query, best first, ties in the order of `vectors`.

    A similarity is the float32 nearest to the inner product in float64, so it depends neither on the place
    of a vector, nor on how many queries or threads there are, nor on the BLAS.

    Args:
        queries: `float32[queries, dimension]`.
        vectors: `float32[vectors, dimension]`, no longer than 1 (see `normalised`), perhaps an `np.memmap`.
            Rounding decides among near ties of much longer ones.
        k: how many to find; there are fewer if there are fewer vectors.

    Returns:
        Similarities `float32[queries, min(k, vectors)]` and rows of `vectors`, `int64` of the same shape.

    >>> similarity, index = exact_top(np.eye(1, 2, dtype=np.float32), np.float32([[0, 1], [1, 0], [1, 0]]), k=2)
    >>> similarity.tolist(), index.tolist()
    ([[1.0, 1.0]], [[1, 2]])
    """
    vectors = np.asarray(vectors)  # a plain view of an np.memmap, whose slices are slow to make
    _check_vectors("vectors", vectors)
    _check_search(queries, vectors.shape[1], k)
    k = min(k, len(vectors))
    similarity = np.empty((len(queries), k), np.float32)
    index = np.empty((len(queries), k), np.int64)
    if k == 0:
        return similarity, index
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        some = queries[start : start + QUERIES_AT_ONCE]
        for row, maxima in enumerate(_block_maxima(some, vectors)):
            similarity[start + row], index[start + row] = _top_of_blocks(some[row], vectors, maxima, k)
    return similarity, index


def _block_maxima(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The greatest score of each query in each block of BLOCK vectors, `float32[queries, blocks]`."""
    maxima = _maxima_of_one(queries[0], vectors)[None] if len(queries) == 1 else _maxima_of_many(queries, vectors)
    if not np.isfinite(maxima).all():
        block = np.flatnonzero(~np.isfinite(maxima).all(axis=0))[0]
        raise ValueError(
            f"rows {block * BLOCK} to {min((block + 1) * BLOCK, len(vectors)) - 1} of vectors hold NaN, infinity or "
            "numbers too great for float32; remove such rows, or normalise them"
        )
    return maxima


def _maxima_of_one(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The greatest score of one query in each block, `float32[blocks]`, in the time of reading the vectors.

    A lone query is bound by memory, which einsum in a few threads reads as fast as any BLAS, and it does not
    stall, as threads of a BLAS do when another program takes a core. Each thread reads on from where it is.
    """
    blocks = -(-len(vectors) // BLOCK)
    maxima = np.empty(blocks, np.float32)
    threads = os.cpu_count() or 1

    @np.errstate(invalid="ignore", over="ignore")  # told above, as an error
    def reduce_share(thread: int) -> None:
        end = blocks * (thread + 1) // threads
        for first in range(blocks * thread // threads, end, LONE_BLOCKS_AT_ONCE):
            last = min(first + LONE_BLOCKS_AT_ONCE, end)
            scores = np.einsum("nd,d->n", vectors[first * BLOCK : last * BLOCK], query)
            np.maximum.reduceat(scores, np.arange(0, len(scores), BLOCK), out=maxima[first:last])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(reduce_share, range(threads)))
    return maxima


@np.errstate(invalid="ignore", over="ignore")  # told above, as an error
def _maxima_of_many(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The greatest score of each query in each block, `float32[queries, blocks]`."""
    maxima = np.empty((len(queries), -(-len(vectors) // BLOCK)), np.float32)
    rows_at_once = max(1, min(BLOCKS_AT_ONCE, SCORES_AT_ONCE // (len(queries) * BLOCK))) * BLOCK
    for start in range(0, len(vectors), rows_at_once):
        rows = vectors[start : start + rows_at_once]
        blocks = slice(start // BLOCK, -(-(start + len(rows)) // BLOCK))
        maxima[:, blocks] = np.maximum.reduceat(rows @ queries.T, np.arange(0, len(rows), BLOCK), axis=0).T
    return maxima


def _top_of_blocks(query: np.ndarray, vectors: np.ndarray, maxima: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The top k of one query, `float32[k]` and `int64[k]`, from the few blocks that can hold them.

    k blocks have a maximum of at least the k-th greatest maximum, so the top k reach it too, but for rounding: a
    float32 inner product of d terms is off by at most about d * 2^-24 times both lengths, in whichever order it is
    summed (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    rounding = (len(query) + 2) * 2.0**-24 * np.linalg.norm(query)
    enough = -np.inf if k > len(maxima) else np.partition(maxima, -k)[-k] - 2 * rounding
    blocks = np.flatnonzero(maxima >= enough)

    precise_query = query.astype(np.float64)
    index = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    index = index[index < len(vectors)]
    similarity = np.empty(len(index), np.float32)
    for start in range(0, len(index), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        similarity[part] = np.einsum("nd,d->n", vectors[index[part]].astype(np.float64), precise_query)

    # `index` ascends, so a stable sort leaves ties in the order of `vectors`
    candidates = np.flatnonzero(similarity >= np.partition(similarity, -k)[-k])
    best = candidates[np.argsort(-similarity[candidates], kind="stable")[:k]]
    return similarity[best], index[best]


class ApproximateIndex:
    """Vectors in cells around k-means centres (faiss IVF); a query is compared only with those of the nearest cells.

    They are kept as float16, which halves the memory and the time and moves a cosine by up to some 1e-4. Built twice
    from the same vectors on the same machine, it gives the same answers; ties come in any order.
    """

    def __init__(self, index: Any):
        self._index = index

    @classmethod
    def build(cls, vectors: np.ndarray, cells_probed: int = CELLS_PROBED) -> "ApproximateIndex":
        """An index of `float32[vectors, dimension]`, which it copies; `cells_probed` trades time for recall."""
        faiss = _faiss()
        vectors = np.asarray(vectors)
        _check_vectors("vectors", vectors)
        if len(vectors) == 0:
            raise ValueError("vectors is empty, and an index needs at least one vector to learn its cells from")
        if cells_probed < 1:
            raise ValueError(f"cells_probed is {cells_probed}; at least 1 is needed")
        if not np.isfinite(np.einsum("nd,nd->n", vectors, vectors)).all():
            raise ValueError("vectors hold NaN, infinity or numbers too great for float32; remove or normalise them")
        # a search reads about as many centres as vectors when there are some 4 * sqrt(vectors) cells
        cells = max(1, min(int(4 * len(vectors) ** 0.5), len(vectors) // POINTS_PER_CELL))
        index = faiss.index_factory(vectors.shape[1], f"IVF{cells},SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.cp.niter = TRAINING_ROUNDS
        index.cp.max_points_per_centroid = POINTS_PER_CELL
        index.nprobe = min(cells_probed, cells)
        index.train(vectors)
        index.add(vectors)
        return cls(index)

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def memory(self) -> int:
        """Bytes that vectors, their rows and the centres take."""
        centres = self._index.nlist * self._index.d * 4
        return len(self) * (self._index.code_size + 8) + centres

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `exact_top`, but each of the k is found only with the recall that `cells_probed` allows."""
        faiss = _faiss()
        _check_search(queries, self._index.d, k)
        k = min(k, len(self))
        similarity, index = self._index.search(queries, k)
        unfilled = (index < 0).any(axis=1)  # the cells probed hold fewer than k vectors: probe all
        if unfilled.any():
            everywhere = faiss.SearchParametersIVF(nprobe=self._index.nlist)
            similarity[unfilled], index[unfilled] = self._index.search(queries[unfilled], k, params=everywhere)
        return similarity, index

    def save(self, path: Path) -> None:
        """Write one file of numbers, half as large as the vectors; nothing in it is code."""
        _faiss().write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "ApproximateIndex":
        """Read a file that `save` wrote."""
        faiss = _faiss()
        if not path.is_file():
            raise ValueError(f"there is no file {path}; name one that ApproximateIndex.save wrote")
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as problem:
            raise ValueError(f"{path} is no index that faiss can read; build and save it again") from problem
        if not isinstance(index, faiss.IndexIVFScalarQuantizer) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise ValueError(f"{path} holds a faiss {type(index).__name__}, not one that ApproximateIndex.save wrote")
        return cls(index)


def _faiss() -> Any:
    """The index library, imported only where an index is wanted."""
    try:
        import faiss
    except ImportError as problem:
        raise ImportError("an ApproximateIndex needs faiss: pip install faiss-cpu==1.15.1") from problem
    return faiss


def _check_vectors(name: str, vectors: np.ndarray) -> None:
    if vectors.ndim != 2 or vectors.dtype != np.float32 or vectors.shape[1] == 0:
        raise ValueError(
            f"{name} came as {vectors.dtype}{list(vectors.shape)}, expected float32[{name}, dimension]; "
            f"convert with .astype(np.float32), and one vector to a row with [None, :]"
        )


def _check_search(queries: np.ndarray, dimension: int, k: int) -> None:
    _check_vectors("queries", queries)
    if queries.shape[1] != dimension:
        raise ValueError(
            f"queries have {queries.shape[1]} dimensions and vectors {dimension}; encode both with the same detector"
        )
    if not np.isfinite(queries).all():
        raise ValueError("queries hold NaN or infinity; remove such rows")
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 is needed")
