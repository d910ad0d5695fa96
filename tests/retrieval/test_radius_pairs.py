"""Near pairs: every one within the radius and no other, in order, whatever the tiles and the width."""

import numpy as np
import pytest

from siamese.retrieval import radius_pairs
from siamese.retrieval.radius_pairs import pairs_within

COUNT, DIMENSION = 150, 12


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    for name, value in {"ROWS": 16, "COLUMNS": 40, "TILE_ROWS_AT_ONCE": 3, "PAIRS_AT_ONCE": 7}.items():
        monkeypatch.setattr(radius_pairs, name, value)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Points that differ most along few directions, away from the origin, some of them equal."""
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.normal(size=(DIMENSION, DIMENSION)))[0]
    points = (generator.normal(size=(COUNT, DIMENSION)) * np.arange(1, DIMENSION + 1) ** -1.0) @ turn + 1
    points[[40, 149]] = points[3]
    return points.astype(np.float32)


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
    monkeypatch.setattr(radius_pairs, "WIDTHS", widths)
    monkeypatch.setattr(radius_pairs, "FULL_COST", 1)
    pairs, similarity, share = mined(points, radius, 1 - radius if np.isfinite(radius) else -np.inf)
    assert pairs == expected(points, radius)
    left, right = np.array(pairs).T
    np.testing.assert_array_equal(similarity, nearness(points)(left, right))
    assert share == pytest.approx(1)


def test_the_score_decides_among_the_near(points):
    pairs = mined(points, radius=1.5, threshold=0.5)[0]
    assert pairs == expected(points, 0.5)


def test_narrow_points_are_never_farther_apart(points):
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(DIMENSION, 3)))[0]
    narrow = radius_pairs._turned(points, points.mean(axis=0), axes, lambda function, items: list(map(function, items)))
    assert narrow.shape == (COUNT, 4)
    wide = np.linalg.norm(points[:, None] - points, axis=2)
    assert (np.linalg.norm(narrow[:, None] - narrow, axis=2) <= wide + 1e-5).all()
    centre = np.linalg.norm(points - points.mean(axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(narrow, axis=1), centre, rtol=1e-5)


def test_the_width_that_saves_most(points, monkeypatch):
    """A tiny radius is seen in few dimensions; for one that holds all pairs no width saves anything."""
    monkeypatch.setattr(radius_pairs, "WIDTHS", (2, 6))
    monkeypatch.setattr(radius_pairs, "FULL_COST", 1_000)
    one_by_one = lambda function, items: list(map(function, items))  # noqa: E731
    assert radius_pairs._narrowed(points, 0.05, one_by_one).shape == (COUNT, 3)
    assert radius_pairs._narrowed(points, 50.0, one_by_one) is None
    assert radius_pairs._narrowed(points, np.inf, one_by_one) is None
    monkeypatch.setattr(radius_pairs, "WIDTHS", (DIMENSION,))
    assert radius_pairs._narrowed(points, 0.05, one_by_one) is None


def test_a_negative_radius_holds_nothing(points):
    assert mined(points, -1.0, -np.inf)[0] == []


@pytest.mark.parametrize("count", [2, 16, 17])
def test_few(points, count):
    assert mined(points[:count], 1.0, 0.0)[0] == expected(points[:count], 1.0)
