"""Search: exact against every inner product, ties and edges by hand."""

import numpy as np
import pytest

from siamese.retrieval import block_maxima, exact_search
from siamese.retrieval.block_maxima import BLOCK
from siamese.retrieval.exact_search import exact_top, normalized

DIMENSION = 16
PRODUCT = 8 * BLOCK  # rows in one matrix product, here few, so that small data take several


@pytest.fixture(autouse=True, params=[0, 10**9], ids=["scores computed again", "scores kept"])
def small_products(monkeypatch, request):
    monkeypatch.setattr(exact_search, "KEPT", request.param)
    monkeypatch.setattr(block_maxima, "ROWS_OF_KEPT", 2 * BLOCK)
    monkeypatch.setattr(block_maxima, "ROWS_AT_ONCE", PRODUCT)
    monkeypatch.setattr(exact_search, "CANDIDATES_AT_ONCE", 100)
    monkeypatch.setattr(exact_search, "LONE_BYTES_AT_ONCE", 10_000)
    monkeypatch.setattr(exact_search, "TOPS_AT_ONCE", 5)


def random_vectors(count: int, seed: int, dimension: int = DIMENSION) -> np.ndarray:
    return normalized(np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32))


def every_inner_product(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """What `exact_top` promises, from the whole matrix: sorted by similarity, then by row."""
    similarity = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    index = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, index, axis=1), index


def assert_exact(queries: np.ndarray, vectors: np.ndarray, k: int) -> None:
    similarity, index = exact_top(queries, vectors, k)
    expected_similarity, expected_index = every_inner_product(queries, vectors, k)
    assert similarity.dtype == np.float32
    assert index.dtype == np.int64
    np.testing.assert_array_equal(similarity, expected_similarity)
    np.testing.assert_array_equal(index, expected_index)


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, PRODUCT, 2 * PRODUCT + BLOCK + 1])
@pytest.mark.parametrize("queries", [1, 2, 37])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_as_every_inner_product(count, queries, k):
    assert_exact(random_vectors(queries, seed=1), random_vectors(count, seed=2), min(k, count))


@pytest.mark.parametrize("dimension", [1, 3, 128, 1000])
def test_dimensions(dimension):
    assert_exact(random_vectors(5, 1, dimension), random_vectors(1000, 2, dimension), 7)


@pytest.mark.parametrize("rows", [BLOCK, 2 * BLOCK])
@pytest.mark.parametrize(("queries", "batch"), [(4, 1_000), (4, 6), (1_000, 7)])
def test_more_queries_than_at_once(monkeypatch, rows, queries, batch):
    """The result does not depend on how many queries and vectors are multiplied at once."""
    monkeypatch.setattr(block_maxima, "ROWS_AT_ONCE", rows)
    monkeypatch.setattr(block_maxima, "QUERIES_AT_ONCE", queries)
    monkeypatch.setattr(exact_search, "BATCH", batch)
    assert_exact(random_vectors(9, seed=1), random_vectors(500, seed=2), 5)


def test_one_thread_or_more(monkeypatch):
    """For a single query few vectors are read by one thread."""
    monkeypatch.setattr(exact_search, "LONE_BYTES_AT_ONCE", 10**9)
    assert_exact(random_vectors(1, seed=1), random_vectors(2 * PRODUCT + 3, seed=2), 9)


def test_duplicates_come_in_order_wherever_they_stand():
    """Three copies in the first, a middle and the last block, the last of an odd size, are equal to the last bit."""
    vectors = random_vectors(PRODUCT + 3 * BLOCK + 5, seed=3, dimension=100)
    copies = [7, PRODUCT + 11, len(vectors) - 1]
    vectors[copies] = random_vectors(1, seed=4, dimension=100)
    for queries in (vectors[[7]], vectors[[7, 0, 1]]):
        similarity, index = exact_top(queries, vectors, k=4)
        assert index[0, :3].tolist() == copies
        assert len(set(similarity[0, :3].tolist())) == 1
        assert exact_top(queries, vectors, k=2)[1][0].tolist() == copies[:2]


@pytest.mark.parametrize("queries", [1, 3])
def test_all_tied(queries):
    """A query of zeros is equally like everything, and so is any query to copies of one vector."""
    count = PRODUCT + 77
    zeros = np.zeros((queries, DIMENSION), np.float32)
    assert exact_top(zeros, random_vectors(count, 5), 300)[1].tolist() == [list(range(300))] * queries
    same = np.repeat(random_vectors(1, 6), count, axis=0)
    assert exact_top(random_vectors(queries, 7), same, 300)[1].tolist() == [list(range(300))] * queries


def test_near_ties():
    """Many vectors that differ by less than float32 products are accurate: order follows the exact product."""
    rng = np.random.default_rng(8)
    vectors = normalized(random_vectors(1, 9, 128) + 1e-6 * rng.standard_normal((5000, 128), dtype=np.float32))
    for k in (1, 3, 10):
        assert_exact(vectors[:3], vectors, k)
        assert_exact(vectors[:1], vectors, k)


def test_best_in_one_block():
    """All of the top k in one block, and the blocks around it each with one decoy."""
    query = np.eye(1, DIMENSION, dtype=np.float32)
    vectors = np.zeros((20 * BLOCK, DIMENSION), np.float32)
    vectors[::BLOCK, 0] = 0.5
    vectors[7 * BLOCK : 7 * BLOCK + 10, 0] = np.linspace(0.6, 0.9, 10)
    assert exact_top(query, vectors, 10)[1][0].tolist() == [7 * BLOCK + 9 - place for place in range(10)]


def test_alone_as_among_many():
    queries, vectors = random_vectors(20, 1, 128), random_vectors(3000, 2, 128)
    similarity, index = exact_top(queries, vectors, 10)
    for row in range(len(queries)):
        alone, alone_index = exact_top(queries[[row]], vectors, 10)
        np.testing.assert_array_equal(alone[0], similarity[row])
        np.testing.assert_array_equal(alone_index[0], index[row])


def test_memmap_and_strides(tmp_path):
    vectors, queries = random_vectors(1000, 1), random_vectors(3, 2)
    np.save(tmp_path / "vectors.npy", vectors)
    assert_exact(queries, np.load(tmp_path / "vectors.npy", mmap_mode="r"), 5)
    assert_exact(queries, np.asfortranarray(vectors), 5)
    assert_exact(queries[:1], vectors[::-2], 5)


def test_fewer_than_k():
    similarity, index = exact_top(random_vectors(2, 1), random_vectors(3, 2), k=10)
    assert similarity.shape == index.shape == (2, 3)
    assert sorted(index[0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(("queries", "count"), [(2, 0), (0, 5), (0, 0)])
def test_none(queries, count):
    similarity, index = exact_top(random_vectors(queries, 1), random_vectors(count, 2), k=4)
    assert similarity.shape == index.shape == (queries, min(4, count))
    assert (similarity.dtype, index.dtype) == (np.float32, np.int64)


GOOD = np.zeros((2, DIMENSION), np.float32)
SECOND_BAD = np.repeat(np.float32([[0], [np.nan]]), DIMENSION, axis=1)


@pytest.mark.parametrize(
    ("queries", "vectors", "k", "message"),
    [
        (GOOD.astype(np.float64), GOOD, 1, r"queries came as float64\[2, 16\], expected float32"),
        (GOOD, GOOD.astype(np.float16), 1, r"vectors came as float16\[2, 16\], expected float32"),
        (GOOD[0], GOOD, 1, r"queries came as float32\[16\]"),
        (GOOD, GOOD[0], 1, r"vectors came as float32\[16\]"),
        (GOOD[:, :3], GOOD, 1, "queries have 3 dimensions and vectors 16"),
        (GOOD, GOOD, 0, "k is 0; at least 1"),
        (np.full_like(GOOD, np.nan), GOOD, 1, "queries hold NaN"),
        (GOOD, SECOND_BAD, 1, "row 1 of vectors holds NaN"),
        (GOOD[:1], SECOND_BAD, 1, "row 1 of vectors holds NaN"),
        (GOOD, np.full_like(GOOD, np.nan), 1, "row 0 of vectors holds NaN"),
        (GOOD[:1], np.full_like(GOOD, np.inf), 1, "row 0 of vectors holds NaN"),
    ],
)
def test_refused(queries, vectors, k, message):
    with pytest.raises(ValueError, match=message):
        exact_top(queries, vectors, k)


def test_imports_nothing_heavy(run_python):
    heavy = "{'tensorflow', 'keras', 'mlflow', 'faiss'}"
    program = f"import sys, siamese.retrieval.exact_search; print({heavy} & set(sys.modules))"
    assert run_python("-c", program).stdout == "set()\n"
