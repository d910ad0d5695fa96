"""Points that the searches by distance are tested with."""

import numpy as np
import pytest

COUNT, DIMENSION = 150, 12


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Points that differ most along few directions, away from the origin, some of them equal."""
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.normal(size=(DIMENSION, DIMENSION)))[0]
    points = (generator.normal(size=(COUNT, DIMENSION)) * np.arange(1, DIMENSION + 1) ** -1.0) @ turn + 1
    points[[40, 149]] = points[3]
    return points.astype(np.float32)
