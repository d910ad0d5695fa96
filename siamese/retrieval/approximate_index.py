"""ApproximateIndex: nearest neighbors among millions of vectors (faiss IVF)."""

from pathlib import Path
from typing import Any

import numpy as np

from siamese.retrieval.exact_search import check_search, check_vectors

CELLS_PROBED = 144  # of about 4,000 cells for a million vectors
POINTS_PER_CELL = 40  # for k-means; below 39 faiss warns
TRAINING_ROUNDS = 8


class ApproximateIndex:
    """Vectors in cells around k-means centers (faiss IVF); a query is compared only with those of the nearest cells.

    They are stored as float16, which halves memory and time and changes a cosine by up to about 1e-4. The same vectors
    on the same machine give the same index and answers; the order of ties is arbitrary. Each vector has a number, which
    it keeps when others are removed; the first ones are 0, 1, 2, …
    """

    def __init__(self, index: Any):
        self._index = index

    @classmethod
    def build(
        cls, vectors: np.ndarray, cells_probed: int = CELLS_PROBED, metric: str = "inner_product"
    ) -> "ApproximateIndex":
        """An index of `float32[vectors, dimension]`, which it copies.

        Args:
            vectors: duplicates are allowed.
            cells_probed: trades time for recall.
            metric: "inner_product" (large is near) or "euclidean" (small is near); equivalent for vectors of length 1.
        """
        faiss = _faiss()
        metrics = {"inner_product": faiss.METRIC_INNER_PRODUCT, "euclidean": faiss.METRIC_L2}
        vectors = np.asarray(vectors)
        _check_stored(vectors)
        if len(vectors) == 0:
            raise ValueError("vectors is empty; an index needs at least one vector")
        if cells_probed < 1:
            raise ValueError(f"cells_probed is {cells_probed}; at least 1 is needed")
        if metric not in metrics:
            raise ValueError(f"metric must be one of {', '.join(metrics)}; got {metric!r}")
        # with 4 * sqrt(vectors) cells a search reads about as many centers as vectors
        cells = max(1, min(int(4 * len(vectors) ** 0.5), len(vectors) // POINTS_PER_CELL))
        index = faiss.index_factory(vectors.shape[1], f"IVF{cells},SQfp16", metrics[metric])
        index.cp.niter = TRAINING_ROUNDS
        index.cp.max_points_per_centroid = POINTS_PER_CELL
        index.nprobe = min(cells_probed, cells)
        index.train(vectors)
        index.add(vectors)
        return cls(index)

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return int(self._index.d)

    @property
    def memory(self) -> int:
        """Bytes of vectors, numbers and centers."""
        centres = self._index.nlist * self._index.d * 4
        return len(self) * (self._index.code_size + 8) + centres

    def add(self, vectors: np.ndarray, numbers: np.ndarray) -> None:
        """Add `float32[vectors, dimension]` under `int64[vectors]` numbers that no other vector has.

        They go into the existing cells: after many additions of another kind, build a new index.
        """
        _check_stored(vectors)
        if vectors.shape[1] != self._index.d:
            raise ValueError(f"vectors have {vectors.shape[1]} dimensions and those of the index {self._index.d}")
        self._index.add_with_ids(vectors, np.asarray(numbers, np.int64))

    def remove(self, numbers: np.ndarray) -> None:
        """Remove the vectors with these numbers, `int64[n]`; unknown ones are ignored."""
        self._index.remove_ids(np.asarray(numbers, np.int64))

    def search(self, queries: np.ndarray, k: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest vectors of each of `float32[queries, dimension]`, with the recall that `cells_probed` gives.

        `among` are numbers in the index to choose from, `int64[n]`; None for all.

        Returns:
            Inner products, descending, or squared Euclidean distances, ascending, and the numbers of the vectors:
            `float32[queries, min(k, n)]` and `int64` of the same shape.
        """
        faiss = _faiss()
        check_search(queries, self._index.d, k)
        k = min(k, len(self) if among is None else len(among))
        if k == 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        chosen = {} if among is None else {"sel": faiss.IDSelectorBatch(np.asarray(among, np.int64))}
        some = faiss.SearchParametersIVF(nprobe=self._index.nprobe, **chosen)
        nearness, number = self._index.search(queries, k, params=some)
        unfilled = (number < 0).any(axis=1)  # the cells probed hold fewer than k vectors: probe all
        if unfilled.any():
            everywhere = faiss.SearchParametersIVF(nprobe=self._index.nlist, **chosen)
            nearness[unfilled], number[unfilled] = self._index.search(queries[unfilled], k, params=everywhere)
        return nearness, number

    def save(self, path: Path) -> None:
        """Write one file, half as large as the vectors; it holds no code."""
        _faiss().write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "ApproximateIndex":
        """Read a file that `save` wrote."""
        faiss = _faiss()
        if not path.is_file():
            raise ValueError(f"there is no file {path}; name one that ApproximateIndex.save wrote")
        try:
            index = faiss.read_index(str(path))
        except (RuntimeError, MemoryError) as problem:
            raise ValueError(f"{path} is no index that faiss can read; build and save it again") from problem
        if not isinstance(index, faiss.IndexIVFScalarQuantizer):
            raise ValueError(f"{path} holds a faiss {type(index).__name__}, not one that ApproximateIndex.save wrote")
        return cls(index)


def _faiss() -> Any:
    """The index library, imported only for an index."""
    try:
        import faiss
    except ImportError as problem:
        raise ImportError("an ApproximateIndex needs faiss: pip install faiss-cpu==1.15.1") from problem
    return faiss


def _check_stored(vectors: np.ndarray) -> None:
    check_vectors("vectors", vectors)
    if not np.isfinite(np.einsum("nd,nd->n", vectors, vectors)).all():
        raise ValueError("vectors hold NaN, infinity or numbers too great for float32; remove or normalise them")
