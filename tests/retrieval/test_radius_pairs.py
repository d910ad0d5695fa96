"""Near pairs: every one within the radius and no other, in order, whatever the tiles and the width."""

import numpy as np
import pytest

from siamese.retrieval import narrow_points, radius_pairs
from siamese.retrieval.radius_pairs import pairs_within


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for name, value in {"ROWS": 16, "COLUMNS": 40, "TILE_ROWS_AT_ONCE": 3}.items():
        monkeypatch.setattr(radius_pairs, name, value)
    monkeypatch.setattr(narrow_points, "PAIRS_AT_ONCE", 7)


def nearness(points: np.ndarray):
    """A score of pairs that falls with their distance, from 1 at 0 down."""
    return lambda left, right: 1 - np.linalg.norm(points[left] - points[right], axis=1).astype(np.float32)


def mined(points: np.ndarray, radius: float, threshold: float) -> tuple[list[tuple[int, int]], np.ndarray, float]:
    found = list(pairs_within(points, radius, nearness(points), threshold))
    pairs = [pair for some in found for pair in zip(some.left.tolist(), some.right.tolist(), strict=True)]
    return pairs, np.concatenate([some.similarity for some in found]), sum(some.share for some in found)


def expected(points: np.ndarray, radius: float) -> list[tuple[int, int]]:
    distance = np.linalg.norm(points[:, None].astype(np.float64) - points, axis=2)
    return list(map(tuple, np.argwhere(np.triu(distance <= radius, 1)).tolist()))


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.8, 1.5, np.inf])
@pytest.mark.parametrize("widths", [(), (2,), (1, 4, 9)])
def test_every_near_pair_once_in_order(points, radius, widths, monkeypatch):
    monkeypatch.setattr(narrow_points, "WIDTHS", widths)
    monkeypatch.setattr(narrow_points, "FULL_COST", 1)
    pairs, similarity, share = mined(points, radius, 1 - radius if np.isfinite(radius) else -np.inf)
    assert pairs == expected(points, radius)
    left, right = np.array(pairs).T
    np.testing.assert_array_equal(similarity, nearness(points)(left, right))
    assert share == pytest.approx(1)


def test_the_score_decides_among_the_near(points):
    pairs = mined(points, radius=1.5, threshold=0.5)[0]
    assert pairs == expected(points, 0.5)


def test_a_negative_radius_holds_nothing(points):
    assert mined(points, -1.0, -np.inf)[0] == []


@pytest.mark.parametrize("count", [2, 16, 17])
def test_few(points, count):
    assert mined(points[:count], 1.0, 0.0)[0] == expected(points[:count], 1.0)
