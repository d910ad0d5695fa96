"""Manhattan distances of all with all: those of the plain formula, and its gradient, without its memory."""

import resource

import numpy as np
import pytest
import tensorflow as tf

from siamese.model.manhattan import BLOCK, manhattan_distances

SIZES = [(1, 1, 1), (3, 2, BLOCK), (BLOCK, 2 * BLOCK, 7), (2 * BLOCK + 1, BLOCK - 1, 3 * BLOCK + 5)]
MEBIBYTE = 2**10  # in the unit of ru_maxrss, kibibytes


def plain_formula(left, right):
    return tf.reduce_sum(tf.abs(left[:, None, :] - right[None, :, :]), axis=-1)


def with_slopes(distances, left, right, slope):
    """The distances, and the slopes of Σ slope · distance by left and right."""
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        found = distances(left, right)
    return [found, *tape.gradient(found, [left, right], slope)]


def own(left, right, slope):
    return with_slopes(manhattan_distances, left, right, slope)


MODES = {
    "eager": own,
    "compiled": tf.function(own),
    "compiled for any size": tf.function(own, input_signature=[tf.TensorSpec([None, None])] * 3),
}


def embeddings(count: int, dimension: int, seed: int) -> tf.Tensor:
    """As ReLU leaves them: half of the entries are 0, so that many are equal; some rows are equal as a whole."""
    values = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    values[0] = 0.25
    return tf.constant(np.maximum(values, 0))


def slope_of(left, right) -> tf.Tensor:
    return tf.constant(np.random.default_rng(2).normal(size=(len(left), len(right))).astype(np.float32))


@pytest.mark.slow
def test_by_hand():
    """|1 - 1| + |2 - 5| = 3 and |1 - 4| + |2 - 0| = 5; sign(u - v) is (0, -1) and (-1, 1)."""
    left, right = tf.constant([[1.0, 2.0]]), tf.constant([[1.0, 5.0], [4.0, 0.0]])
    distances, by_left, by_right = own(left, right, tf.constant([[10.0, 1.0]]))
    assert distances.numpy().tolist() == [[3, 5]]
    assert by_left.numpy().tolist() == [[0 - 1, -10 + 1]]
    assert by_right.numpy().tolist() == [[0, 10], [1, -1]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_and_gradients_are_those_of_the_plain_formula(size, mode):
    """Where entries are equal too: there TensorFlow's slope of |x| is 0."""
    left, right = embeddings(size[0], size[2], 0), embeddings(size[1], size[2], 1)
    slope = slope_of(left, right)
    distances, *slopes = MODES[mode](left, right, slope)
    expected_distances, *expected_slopes = with_slopes(plain_formula, left, right, slope)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-6)
    for found, expected in zip(slopes, expected_slopes, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_equal_embeddings_are_exactly_0_apart():
    left = embeddings(BLOCK + 3, 600, 0)
    assert np.diagonal(manhattan_distances(left, left)).tolist() == [0.0] * (BLOCK + 3)


@pytest.mark.slow
def test_slopes_by_the_same_embeddings_add_up():
    """With left and right the same tensor, both of its roles count."""
    both = embeddings(BLOCK + 3, 9, 0)
    slope = slope_of(both, both)
    _, by_left, by_right = with_slopes(plain_formula, both, tf.identity(both), slope)
    with tf.GradientTape() as tape:
        tape.watch(both)
        distances = manhattan_distances(both, both)
    np.testing.assert_allclose(tape.gradient(distances, both, slope), by_left + by_right, atol=1e-5)


@pytest.mark.slow
def test_symmetric_and_repeatable_to_the_bit():
    """The gradients, too, are swapped when left and right are."""
    left, right = embeddings(64, 600, 0), embeddings(64, 600, 1)
    slope = slope_of(left, right)
    first = own(left, right, slope)
    for _ in range(5):
        for one, other in zip(first, own(left, right, slope), strict=True):
            np.testing.assert_array_equal(one, other)
    swapped = own(right, left, tf.transpose(slope))
    np.testing.assert_array_equal(first[0], tf.transpose(swapped[0]))
    np.testing.assert_array_equal(first[1], swapped[2])
    np.testing.assert_array_equal(first[2], swapped[1])


@pytest.mark.slow
def test_differences_are_never_in_memory_all_at_once():
    """1024 · 1024 · 300 of them would be 1,200 MiB."""
    left, right = embeddings(1024, 300, 0), embeddings(1024, 300, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own(left, right, slope_of(left, right))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * MEBIBYTE


def test_costs_nothing_where_it_is_not_used():
    """Compiled, as in a training step whose loss looks at the pairs alone: here it would need 149 GiB."""

    @tf.function
    def step(embeddings):
        manhattan_distances(embeddings, embeddings)
        return tf.reduce_sum(embeddings)

    assert step(tf.ones([200_000, 1])) == 200_000
