"""Similarities: in [0, 1], symmetric, highest for equal embeddings, with slopes that never blow up."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan

FIXED = {"cosine": Cosine, "euclidean": lambda: Euclidean(1.0), "manhattan": Manhattan}
SCALES = (1e-8, 1e-3, 1.0, 1e3)
U = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]], np.float32)
V = np.array([[3.0, 0.0], [-1.0, 0.0], [3.0, 4.0]], np.float32)


def learned() -> Learned:
    """With weights as training might leave them: none is zero."""
    keras.utils.set_random_seed(0)
    layer = Learned([7, 5])
    layer(np.zeros((1, 6), "float32"), np.zeros((1, 6), "float32"))
    generator = np.random.default_rng(0)
    layer.set_weights([weight + generator.normal(scale=0.2, size=weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.fixture(scope="module", params=[*FIXED, "learned"])
def similarity(request):
    return learned() if request.param == "learned" else FIXED[request.param]()


@pytest.fixture(params=["eager", "compiled"])
def call(request, similarity):
    """The similarity as a function of arrays, run step by step and as the compiled graph that training uses."""
    function = tf.function(lambda u, v: similarity(u, v)) if request.param == "compiled" else similarity
    return lambda u, v: np.asarray(function(tf.constant(u), tf.constant(v)))


def embeddings(count: int = 200, seed: int = 0, dimension: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
def test_range(call, scale):
    """Between any embeddings, opposite and equal ones included."""
    u, v = embeddings() * scale, embeddings(seed=1) * scale
    for left, right in ((u, v), (u, -u), (u, u), (u, 0 * u), (0 * u, 0 * u)):
        similarity = call(left, right)
        assert similarity.shape == (200,)
        assert similarity.dtype == np.float32
        assert similarity.min() >= 0
        assert similarity.max() <= 1


def test_symmetry(call):
    u, v = embeddings(), embeddings(seed=1)
    np.testing.assert_allclose(call(u, v), call(v, u), atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
def test_equal_embeddings_are_exactly_1_apart_from_learned(similarity, call, scale):
    """Zero embeddings too. Learned gives all equal embeddings the same value, below 1."""
    for u in (embeddings() * scale, np.zeros((3, 6), np.float32)):
        equal = call(u, u)
        if isinstance(similarity, Learned):
            assert np.ptp(equal) == 0
            assert 0.5 < equal[0] < 1
        else:
            assert equal.tolist() == [1.0] * len(u)


def test_equal_embeddings_are_the_most_similar(call):
    """The further v moves from u, along any line, the lower its similarity to start with."""
    u, direction = embeddings(), embeddings(seed=1)
    equal = call(u, u)
    for step in (1e-4, 1e-2, 1.0, 100.0):
        assert (call(u, u + step * direction) <= equal).all()
    assert (call(u, u + direction) < equal).all()


def test_cosine_by_hand():
    """cos((3, 4), (3, 0)) = 9 / 15 = 0.6, so 0.8⁴; opposite vectors are 0."""
    np.testing.assert_allclose(Cosine()(U[:2], V[:2]), [0.4096, 0.0], atol=1e-6)


@pytest.mark.parametrize("power", [1, 2, 8, 64])
def test_another_power_of_the_cosine(power):
    np.testing.assert_allclose(Cosine(power)(U[:2], V[:2]), [0.8**power, 0.0], atol=1e-6)
    np.testing.assert_allclose(Cosine(power).matrix(U[:1], V[:1]), [[0.8**power]], atol=1e-6)
    assert Cosine.from_config(Cosine(power).get_config()).power == power


@pytest.mark.parametrize("power", [0, 3, 128, 4.0, "4", True])
def test_what_is_no_power_of_two_is_refused(power):
    with pytest.raises(ValueError, match=r"similarity\.power must be 1, 2, 4, 8, 16, 32 or 64, got"):
        Cosine(power)


def test_euclidean_by_hand():
    """Distances 4, 2 and 5: 1/5, 1/3 and 1/6."""
    np.testing.assert_allclose(Euclidean(1.0)(U, V), [1 / 5, 1 / 3, 1 / 6], atol=1e-6)


def test_manhattan_by_hand():
    """Distances 4, 2 and 7."""
    np.testing.assert_allclose(Manhattan()(U, V), np.exp([-4.0, -2.0, -7.0]), atol=1e-6)


def test_learned_starts_at_sigmoid_4():
    """The ceiling starts at 4: equal embeddings score 1 / (1 + e⁻⁴) = 0.982."""
    np.testing.assert_allclose(Learned([4])(U, U), 1 / (1 + np.exp(-4)), atol=1e-6)


@pytest.mark.parametrize("name", list(FIXED))
def test_matrix_equals_calls(name):
    """Row i, column j is the similarity of left i and right j."""
    similarity = FIXED[name]()
    assert similarity.matrix_is_similarity
    u, v = embeddings(12), embeddings(9, seed=1)
    expected = similarity(np.repeat(u, 9, axis=0), np.tile(v, (12, 1)))
    np.testing.assert_allclose(similarity.matrix(u, v), np.reshape(expected, (12, 9)), atol=1e-5)


@pytest.mark.parametrize("name", list(FIXED))
def test_matrix_equals_calls_at_equal_embeddings(name):
    """Within 1 %: Euclidean's expanded square keeps only half of the digits there."""
    u = embeddings()
    np.testing.assert_allclose(np.diagonal(FIXED[name]().matrix(u, u)), 1.0, atol=0.01)


@pytest.mark.parametrize("name", list(FIXED))
def test_matrix_equals_calls_at_zero_embeddings(name):
    """A ReLU tower may give a question the zero embedding; it must mean the same to loss and verdict."""
    similarity = FIXED[name]()
    zero, v = np.zeros((1, 6), np.float32), embeddings(5)
    np.testing.assert_allclose(similarity.matrix(zero, v)[0], similarity(np.repeat(zero, 5, axis=0), v), atol=1e-5)


def test_learned_retrieves_by_cosine():
    similarity = learned()
    assert not similarity.matrix_is_similarity
    u = embeddings(5)
    np.testing.assert_array_equal(similarity.matrix(u, u), Cosine().matrix(u, u))


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("as_matrix", [False, True], ids=["call", "matrix"])
def test_gradients_are_finite(similarity, as_matrix, scale):
    """At identical, zero, opposite and nearly identical embeddings, with respect to both of them and all weights."""
    u = embeddings(20) * scale
    for left, right in ((u, u), (0 * u, 0 * u), (0 * u, u), (u, -u), (u, u + 1e-7 * scale)):
        a, b = tf.Variable(left), tf.Variable(right)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(similarity.matrix(a, b) if as_matrix else similarity(a, b))
        found = tape.gradient(total, [a, b, *similarity.trainable_variables])
        assert all(np.isfinite(slope).all() for slope in found if slope is not None)
        assert found[0] is not None
        assert found[1] is not None


def test_gradients_point_towards_each_other(similarity):
    """A small step of each embedding along its own slope makes every pair more similar."""
    a, b = tf.Variable(embeddings(20)), tf.Variable(embeddings(20, seed=1))
    with tf.GradientTape() as tape:
        before = similarity(a, b)
    slopes = tape.gradient(before, [a, b])
    sizes = [tf.maximum(tf.norm(slope, axis=-1, keepdims=True), 1e-9) for slope in slopes]
    after = similarity(a + 1e-2 * slopes[0] / sizes[0], b + 1e-2 * slopes[1] / sizes[1])
    assert (np.asarray(after) > np.asarray(before)).all()


def test_config_round_trip(similarity):
    """As saving does it: class and arguments as data, then the weights."""
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(similarity))
    u, v = embeddings(), embeddings(seed=1)
    again(u, v)
    again.set_weights(similarity.get_weights())
    assert type(again) is type(similarity)
    np.testing.assert_array_equal(again(u, v), similarity(u, v))


def test_learned_keeps_its_arguments():
    again = Learned.from_config(Learned(units=(9, 3), dropout=0.25).get_config())
    assert (again.units, again.dropout) == ([9, 3], 0.25)


def test_learned_drops_in_training_alone():
    similarity = Learned([50], dropout=0.5)
    u, v = embeddings(), embeddings(seed=1)
    np.testing.assert_array_equal(similarity(u, v, training=False), similarity(u, v))
    assert np.abs(np.asarray(similarity(u, v, training=True)) - np.asarray(similarity(u, v))).max() > 1e-4
