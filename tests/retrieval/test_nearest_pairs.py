"""Neighbors: against all distances, exactly and by the index."""

import numpy as np
import pytest

from siamese.inference.network import NumpyNetwork
from siamese.inference.similarities import Euclidean
from siamese.retrieval.nearest_pairs import most_similar, nearest_pairs

COUNT = 90


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for name, value in {
        "ROWS": 16,
        "COLUMNS": 20,
        "TILE_ROWS_AT_ONCE": 3,
        "PAIRS_AT_ONCE": 7,
        "QUERIES_AT_ONCE": 11,
    }.items():
        monkeypatch.setattr(f"siamese.retrieval.nearest_pairs.{name}", value)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(COUNT, 5)).astype(np.float32)


def distances(points: np.ndarray) -> np.ndarray:
    distance = np.linalg.norm(points[:, None].astype(np.float64) - points, axis=2)
    np.fill_diagonal(distance, np.inf)
    return distance


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("count", [1, 7, 89, 200])
def test_pairs_of_which_one_is_near_the_other(points, exact, count):
    """With as few points as these the index looks into all of its cells, so both are complete."""
    if not exact:
        pytest.importorskip("faiss")
    distance = distances(points)
    near = np.argsort(distance, axis=1)[:, : min(count, COUNT - 1)]
    pairs = {(min(i, j), max(i, j)) for i in range(COUNT) for j in near[i].tolist()}
    found = list(nearest_pairs(points, count, exact, lambda left, right: distance[left, right], 1.0))
    expected = [pair for pair in sorted(pairs) if distance[pair] >= 1.0]
    assert [pair for some in found for pair in zip(some.left.tolist(), some.right.tolist(), strict=True)] == expected
    assert np.concatenate([some.similarity for some in found]).tolist() == [distance[pair] for pair in expected]
    assert sum(some.share for some in found) == pytest.approx(1)


class Apart(NumpyNetwork):
    """A network whose similarity is 1 / (1 + distance); it encodes nothing."""

    def __init__(self):
        self.comparison = Euclidean(np.empty, 5, scale=1.0)  # it takes no weight

    def similarity(self, left, right):
        return 1 / (1 + np.linalg.norm(left - right, axis=1))


@pytest.mark.parametrize("count", [1, 10, 200])
def test_the_most_similar_in_order(points, count):
    distance = distances(points)
    position, similarity = most_similar(Apart(), points, count)
    expected = np.argsort(distance, axis=1)[:, : min(count, COUNT - 1)]
    np.testing.assert_array_equal(position, expected)
    np.testing.assert_allclose(similarity, 1 / (1 + np.take_along_axis(distance, expected, axis=1)), rtol=1e-5)


def test_no_question_is_its_own_neighbor_among_equals():
    """Of 40 equal points each has 3 neighbors, none of which is itself."""
    position, similarity = most_similar(Apart(), np.ones((40, 5), np.float32), 3)
    assert position.shape == (40, 3)
    assert (position != np.arange(40)[:, None]).all()
    assert (similarity == 1).all()
