"""Optimizers and schedules: LazyAdam is Adam where all rows are used, and touches no others; rates by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.training.optimizers import LazyAdam, adam, constant, cosine, linear, sgd

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
SLOPE = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


def stepped(optimizer, gradients) -> np.ndarray:
    """The table after one step for each gradient."""
    variable = keras.Variable(TABLE)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    return np.array(variable)


def rows(indices, values) -> tf.IndexedSlices:
    return tf.IndexedSlices(tf.constant(values), tf.constant(indices), dense_shape=(5, 3))


def test_the_first_step_is_plain_adams_where_every_row_is_used():
    order = [3, 0, 4, 1, 2]
    lazy = stepped(LazyAdam(0.01), [rows(order, SLOPE[order])])
    np.testing.assert_allclose(lazy, stepped(keras.optimizers.Adam(0.01), [SLOPE]), atol=1e-6)
    np.testing.assert_allclose(np.abs(lazy - TABLE), 0.01, rtol=1e-3)  # Adam's first step is the learning rate itself


def test_later_steps_are_plain_adams_where_every_row_is_used():
    order = [3, 0, 4, 1, 2]
    gradients = [SLOPE, SLOPE[::-1].copy(), -SLOPE]
    lazy = stepped(LazyAdam(0.01), [rows(order, gradient[order]) for gradient in gradients])
    np.testing.assert_allclose(lazy, stepped(keras.optimizers.Adam(0.01), gradients), atol=1e-6)


def test_a_row_used_twice_in_a_batch_gets_the_sum_of_its_slopes():
    """Row 2 occurs with slopes s and 2 s: one step with 3 s, not two steps."""
    twice = stepped(LazyAdam(0.01), [rows([2, 1, 2], np.stack([SLOPE[2], SLOPE[1], 2 * SLOPE[2]]))])
    once = stepped(LazyAdam(0.01), [rows([1, 2], np.stack([SLOPE[1], 3 * SLOPE[2]]))])
    np.testing.assert_allclose(twice, once, atol=1e-7)


def test_rows_not_used_stay_as_they_were():
    """Plain Adam would move row 1 in the second step too, by the momentum of the first."""
    optimizer = LazyAdam(0.01)
    after_one = stepped(optimizer, [rows([1], SLOPE[[1]])])
    np.testing.assert_array_equal(after_one[[0, 2, 3, 4]], TABLE[[0, 2, 3, 4]])
    after_two = stepped(LazyAdam(0.01), [rows([1], SLOPE[[1]]), rows([3], SLOPE[[3]])])
    np.testing.assert_array_equal(after_two[1], after_one[1])
    assert (after_two[3] != TABLE[3]).all()


def test_other_variables_get_plain_adam():
    np.testing.assert_array_equal(
        stepped(LazyAdam(0.01), [SLOPE, SLOPE]), stepped(keras.optimizers.Adam(0.01), [SLOPE, SLOPE])
    )


def rates(schedule, steps) -> list[float]:
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize("build", [constant, linear, cosine])
def test_warm_up(build):
    """Peak 2 in 100 steps, a tenth of them warm-up: step 0 is the first of 10 to the peak: 0.2; then 0.4, … 2.0."""
    assert rates(build(2.0, 100, 0.1), [0, 1, 4, 9]) == pytest.approx([0.2, 0.4, 1.0, 2.0], abs=1e-6)


@pytest.mark.parametrize(
    ("build", "middle", "end"),
    [(constant, 2.0, 2.0), (linear, 1.0, 0.0), (cosine, 1.0, 0.0)],
)
def test_after_the_warm_up(build, middle, end):
    """Steps 10 to 100 are the decay: the peak at 10, half-way at 55, over at 100 and beyond."""
    assert rates(build(2.0, 100, 0.1), [10, 55, 100, 150]) == pytest.approx([2.0, middle, end, end], abs=1e-6)


def test_the_two_decays_differ_on_the_way():
    """A third of the way, at step 40: 1 - 1/3 = 2/3, and (1 + cos 60°) / 2 = 3/4, of 2."""
    assert rates(linear(2.0, 100, 0.1), [40]) == pytest.approx([4 / 3], abs=1e-6)
    assert rates(cosine(2.0, 100, 0.1), [40]) == pytest.approx([1.5], abs=1e-6)


@pytest.mark.parametrize("build", [constant, linear, cosine])
@pytest.mark.parametrize(("steps", "warmup_share"), [(1, 0.0), (1, 0.9), (2, 0.5), (100, 0.0)])
def test_the_first_step_always_learns(build, steps, warmup_share):
    """Even a training of one step has a rate above 0 and at most the peak."""
    assert 0 < rates(build(0.5, steps, warmup_share), [0])[0] <= 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 10, 0.1), "optimizer.learning_rate must be above 0, got 0.0"),
        ((-1.0, 10, 0.1), "optimizer.learning_rate must be above 0, got -1.0"),
        ((float("nan"), 10, 0.1), "optimizer.learning_rate must be above 0, got nan"),
        ((1.0, 10, 1.0), r"schedule.warmup_share must lie in \[0, 1\), got 1.0"),
        ((1.0, 10, -0.1), r"schedule.warmup_share must lie in \[0, 1\), got -0.1"),
    ],
)
def test_impossible_schedules(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear(*arguments)


def half(peak: float, steps: int):
    return constant(peak, steps, 0.0)


def test_adam_is_lazy_and_follows_the_schedule():
    optimizer = adam(half, steps=10, learning_rate=0.01)
    assert isinstance(optimizer, LazyAdam)
    np.testing.assert_allclose(np.abs(stepped(optimizer, [SLOPE]) - TABLE), 0.01, rtol=1e-3)


def test_sgd_by_hand():
    """Without momentum a step is rate · slope; Nesterov's first step with momentum 1/2 is 1.5 of that."""
    np.testing.assert_allclose(stepped(sgd(half, 10, 0.1, 0.0), [SLOPE]), TABLE - 0.1 * SLOPE, atol=1e-6)
    np.testing.assert_allclose(stepped(sgd(half, 10, 0.1, 0.5), [SLOPE]), TABLE - 0.15 * SLOPE, atol=1e-6)


def test_sgd_takes_the_slopes_of_an_embedding_table():
    expected = TABLE.copy()
    expected[[1, 3]] -= 0.1 * SLOPE[[1, 3]]
    np.testing.assert_allclose(stepped(sgd(half, 10, 0.1, 0.0), [rows([1, 3], SLOPE[[1, 3]])]), expected, atol=1e-6)
