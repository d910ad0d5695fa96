"""Geometry: distances of points against the similarities themselves."""

import numpy as np
import pytest

from siamese.inference.parts import bind
from siamese.inference.similarities import Similarity
from siamese.retrieval import embedding_space


def similarity_of(kind: str, width: int = 6, **config) -> Similarity:
    arrays = {"0/kernel": (2 * width, 1), "0/bias": (1,), "ceiling": ()} if kind == "Learned" else {}
    arrays = {f"similarity/{name}": np.zeros(shape, np.float32) for name, shape in arrays.items()}
    return bind(Similarity, kind, config, width, arrays, "similarity")


COSINE, EUCLIDEAN = similarity_of("Cosine"), similarity_of("Euclidean", scale=0.7)
STEEP = similarity_of("Cosine", power=16)
MANHATTAN, LEARNED = similarity_of("Manhattan"), similarity_of("Learned", units=[])


@pytest.fixture(scope="module")
def embeddings() -> tuple[np.ndarray, np.ndarray]:
    """Pairs from nearly equal to unrelated, of many lengths."""
    generator = np.random.default_rng(0)
    left = generator.normal(size=(2000, 6)).astype(np.float32)
    apart = generator.normal(size=(2000, 6)) * np.linspace(0, 2, 2000)[:, None] ** 3
    longer = np.where(np.arange(2000) % 2, 1, generator.uniform(0.3, 3, 2000))[:, None]
    return left, (left * longer + apart).astype(np.float32)


@pytest.mark.parametrize("similarity", [COSINE, STEEP, EUCLIDEAN], ids=["cosine", "steep", "euclidean"])
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.8, 0.99])
def test_a_threshold_is_a_radius(similarity, threshold, embeddings):
    score = similarity(*embeddings)
    left, right = (embedding_space.points(similarity, side) for side in embeddings)
    within = np.linalg.norm(left.astype(np.float64) - right, axis=1) <= embedding_space.radius(similarity, threshold)
    clear = np.abs(score - threshold) > 1e-5
    assert 0 < within.sum() < len(within)
    np.testing.assert_array_equal(within[clear], score[clear] >= threshold)


def test_radii_by_hand():
    """Cosine 0 is a similarity of 1/16 and a right angle, √2 apart on the unit circle; a half is one scale apart."""
    assert embedding_space.radius(COSINE, 1 / 16) == pytest.approx(2**0.5)
    assert embedding_space.radius(COSINE, 1.0) == 0
    assert embedding_space.radius(EUCLIDEAN, 0.5) == pytest.approx(0.7)
    for similarity in (COSINE, EUCLIDEAN):
        assert embedding_space.radius(similarity, 0.0) == np.inf
        assert embedding_space.radius(similarity, 1.1) < 0


@pytest.mark.parametrize("similarity", [MANHATTAN, LEARNED])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.1])
def test_others_have_no_radius(similarity, threshold):
    assert embedding_space.radius(similarity, threshold) is None


@pytest.mark.parametrize(("similarity", "length"), [(COSINE, 1), (LEARNED, 1), (EUCLIDEAN, 5), (MANHATTAN, 5)])
def test_who_cares_for_lengths(similarity, length):
    point = embedding_space.points(similarity, np.float32([[3, 4]]))
    np.testing.assert_allclose(np.linalg.norm(point), length)


def test_the_greatest_product_is_the_nearest():
    """Of 1, 5 and 100 the nearest to 4 is 5: products 4 - 0.5, 20 - 12.5 and 400 - 5000."""
    product = (
        embedding_space.augment_queries(np.float32([[4]]))
        @ embedding_space.augment_vectors(np.float32([[1], [5], [100]])).T
    )
    np.testing.assert_allclose(product, [[3.5, 7.5, -4600]])


def test_principal_axes_keep_distances_that_lie_in_them(monkeypatch):
    """Points of a plane in ten dimensions need two axes; blocks and samples change nothing."""
    monkeypatch.setattr(embedding_space, "ROWS", 7)
    monkeypatch.setattr(embedding_space, "AXES_SAMPLE", 30)
    generator = np.random.default_rng(0)
    plane = generator.normal(size=(100, 2)) @ np.linalg.qr(generator.normal(size=(10, 2)))[0].T
    flat = embedding_space.principal(EUCLIDEAN, (plane + 5).astype(np.float32), axes=2)
    assert (flat.shape, flat.dtype) == ((100, 2), np.float32)
    apart = [np.linalg.norm(each[:, None].astype(np.float64) - each, axis=2) for each in (plane, flat)]
    np.testing.assert_allclose(*apart, atol=1e-5)


def test_principal_axes_are_those_of_the_points():
    """Those of directions, for a similarity that cares for directions: here all vary on one circle."""
    angle = np.linspace(0, 2, 50)
    embeddings = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(50)]) * np.linspace(1, 9, 50)[:, None]
    flat = embedding_space.principal(COSINE, embeddings.astype(np.float32), axes=2)
    apart = np.linalg.norm(flat[:, None] - flat, axis=2)
    np.testing.assert_allclose(apart, 2 * np.sin(np.abs(angle[:, None] - angle) / 2), atol=1e-5)


def test_few_dimensions_stay_as_they_are():
    embeddings = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    np.testing.assert_array_equal(
        embedding_space.principal(COSINE, embeddings), embedding_space.points(COSINE, embeddings)
    )
