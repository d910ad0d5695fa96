"""ApproximateIndex: its recall against exact search, vectors that come and go, and the file that keeps it."""

import sys

import numpy as np
import pytest

from siamese.retrieval.approximate_index import ApproximateIndex
from siamese.retrieval.exact_search import exact_top, normalized

DIMENSION = 16


def clustered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = normalized(np.random.default_rng(0).standard_normal((200, DIMENSION), dtype=np.float32))
    return normalized(
        centres[rng.integers(0, 200, count)] + 0.1 * rng.standard_normal((count, DIMENSION), dtype=np.float32)
    )


GOOD = np.zeros((2, DIMENSION), np.float32)


@pytest.fixture(scope="module")
def index() -> ApproximateIndex:
    pytest.importorskip("faiss")
    return ApproximateIndex.build(clustered(20_000, seed=1), cells_probed=24)


@pytest.mark.slow
def test_index_recall(index):
    vectors, queries = clustered(20_000, seed=1), clustered(100, seed=2)
    similarity, found = index.search(queries, 10)
    best_similarity, best = exact_top(queries, vectors, 10)
    recall = np.mean([len(set(some) & set(all_)) / 10 for some, all_ in zip(found, best, strict=True)])
    assert recall >= 0.95
    assert (similarity.dtype, found.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(similarity, np.einsum("qd,qkd->qk", queries, vectors[found]), atol=1e-3)
    np.testing.assert_allclose(similarity[:, 0], best_similarity[:, 0], atol=1e-2)
    assert (np.diff(similarity, axis=1) <= 0).all()


def test_index_fills_k_from_all_cells(index):
    """More than the probed cells hold: every vector is found, once."""
    found = index.search(clustered(2, seed=3), 30_000)[1]
    assert found.shape == (2, 20_000)
    assert (np.sort(found, axis=1) == np.arange(20_000)).all()


def test_index_is_deterministic(index):
    again = ApproximateIndex.build(clustered(20_000, seed=1), cells_probed=24)
    queries = clustered(50, seed=4)
    for one, other in zip(index.search(queries, 10), again.search(queries, 10), strict=True):
        np.testing.assert_array_equal(one, other)


def test_index_saves_and_loads(index, tmp_path):
    index.save(tmp_path / "questions.index")
    loaded = ApproximateIndex.load(tmp_path / "questions.index")
    queries = clustered(5, seed=5)
    assert len(loaded) == 20_000
    assert loaded.memory == index.memory == pytest.approx((tmp_path / "questions.index").stat().st_size, rel=0.05)
    for one, other in zip(index.search(queries, 10), loaded.search(queries, 10), strict=True):
        np.testing.assert_array_equal(one, other)


def test_index_of_few():
    pytest.importorskip("faiss")
    vectors = np.eye(3, DIMENSION, dtype=np.float32)
    similarity, found = ApproximateIndex.build(vectors).search(vectors, 10)
    assert similarity.shape == (3, 3)
    assert found[:, 0].tolist() == [0, 1, 2]


def test_index_refuses(index, tmp_path):
    with pytest.raises(ValueError, match="at least one vector"):
        ApproximateIndex.build(GOOD[:0])
    with pytest.raises(ValueError, match="float64"):
        ApproximateIndex.build(GOOD.astype(np.float64))
    with pytest.raises(ValueError, match="NaN"):
        ApproximateIndex.build(np.full_like(GOOD, np.nan))
    with pytest.raises(ValueError, match="cells_probed is 0"):
        ApproximateIndex.build(GOOD, cells_probed=0)
    with pytest.raises(ValueError, match="3 dimensions"):
        index.search(GOOD[:, :3], 1)
    with pytest.raises(ValueError, match="3 dimensions"):
        index.add(np.ascontiguousarray(GOOD[:, :3]), np.arange(2))
    with pytest.raises(ValueError, match="metric must be one of inner_product, euclidean; got 'cosine'"):
        ApproximateIndex.build(GOOD, metric="cosine")
    with pytest.raises(ValueError, match="no file"):
        ApproximateIndex.load(tmp_path / "absent")
    (tmp_path / "noise").write_bytes(b"no index at all")
    with pytest.raises(ValueError, match="no index that faiss can read"):
        ApproximateIndex.load(tmp_path / "noise")


def test_index_refuses_another_kind(tmp_path):
    faiss = pytest.importorskip("faiss")
    faiss.write_index(faiss.IndexFlatIP(4), str(tmp_path / "flat"))
    with pytest.raises(ValueError, match="IndexFlat"):
        ApproximateIndex.load(tmp_path / "flat")


def test_euclidean_distances():
    """Of 3, 0 and 10 on a line, 3 and then 0 are nearest to 2; the inner product would have 10 first."""
    pytest.importorskip("faiss")
    vectors = np.float32([[3, 0], [0, 0], [10, 0]])
    distance, found = ApproximateIndex.build(vectors, metric="euclidean").search(np.float32([[2, 0]]), 2)
    assert found.tolist() == [[0, 1]]
    np.testing.assert_allclose(distance, [[1, 4]], atol=0.01)
    assert ApproximateIndex.build(vectors).search(np.float32([[2, 0]]), 1)[1].tolist() == [[2]]


def test_vectors_come_and_go_and_keep_their_numbers():
    pytest.importorskip("faiss")
    index = ApproximateIndex.build(np.eye(3, dtype=np.float32))
    index.remove(np.array([0, 77]))
    index.add(np.float32([[0.9, 0, 0]]), np.array([3]))
    similarity, found = index.search(np.eye(3, dtype=np.float32), 1)
    assert len(index) == 3
    assert found.tolist() == [[3], [1], [2]]
    np.testing.assert_allclose(similarity, [[0.9], [1], [1]], atol=1e-3)


def test_a_choice_among_some(index):
    """The nearest of those that may be chosen, however far away, and no others."""
    queries = clustered(5, seed=6)
    among = np.array([5, 17, 4_000, 19_999])
    found = index.search(queries, 10, among)[1]
    assert found.shape == (5, 4)
    expected = among[np.argsort(-queries @ clustered(20_000, seed=1)[among].T, axis=1)]
    np.testing.assert_array_equal(found, expected)
    assert index.search(queries, 10, among[:0])[1].shape == (5, 0)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install faiss-cpu"):
        ApproximateIndex.build(GOOD)


def test_imports_the_library_only_when_it_is_used(run_python):
    program = (
        "import sys, siamese.retrieval.approximate_index; print({'tensorflow', 'mlflow', 'faiss'} & set(sys.modules))"
    )
    assert run_python("-c", program).stdout == "set()\n"
