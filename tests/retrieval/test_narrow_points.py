"""Narrow points: distances that are never too great, and a width that is worth it."""

import numpy as np
import pytest

from siamese.retrieval import narrow_points
from siamese.retrieval.narrow_points import Axes, fastest_axes, pairs_expected
from tests.retrieval.conftest import COUNT, DIMENSION


def one_by_one(function, items):
    return list(map(function, items))


def test_they_are_never_farther_apart(points):
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(DIMENSION, 3)))[0]
    narrow = Axes(points.mean(axis=0), directions).turned(points, one_by_one)
    assert narrow.shape == (COUNT, 4)
    wide = np.linalg.norm(points[:, None] - points, axis=2)
    assert (np.linalg.norm(narrow[:, None] - narrow, axis=2) <= wide + 1e-5).all()
    center = np.linalg.norm(points - points.mean(axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(narrow, axis=1), center, rtol=1e-5)


def test_the_width_that_saves_most(points, monkeypatch):
    """A tiny radius is seen in few dimensions; for one that holds all pairs no width saves anything."""
    monkeypatch.setattr(narrow_points, "WIDTHS", (2, 6))
    monkeypatch.setattr(narrow_points, "FULL_COST", 1_000)
    assert fastest_axes(points, 0.05, one_by_one).directions.shape == (DIMENSION, 2)
    assert fastest_axes(points, 50.0, one_by_one) is None
    assert fastest_axes(points, np.inf, one_by_one) is None
    monkeypatch.setattr(narrow_points, "WIDTHS", (DIMENSION,))
    assert fastest_axes(points, 0.05, one_by_one) is None


def test_pairs_expected(points):
    """All points are in the sample here, each pair twice."""
    distance = np.linalg.norm(points[:, None].astype(np.float64) - points, axis=2)
    assert pairs_expected(points, 1.5) == pytest.approx(np.triu(distance <= 1.5, 1).sum(), rel=0.01)
