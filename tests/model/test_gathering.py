"""Gathered rows: the values and gradients of TensorFlow's own operations."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.gathering import gather_rows, highest_rows, mean_rows, sum_rows

ROW, SEGMENT = (
    np.array([2, 0, 2, 2, 5, 0], np.int32),
    np.array([0, 0, 0, 2, 2, 3], np.int32),
)  # segments 1 and 4 are empty


@pytest.mark.parametrize(
    ("own", "reference"),
    [
        (lambda x: gather_rows(x, ROW), lambda x: tf.gather(x, ROW)),
        (lambda x: sum_rows(x, ROW, SEGMENT, 5), lambda x: tf.math.unsorted_segment_sum(tf.gather(x, ROW), SEGMENT, 5)),
        (lambda x: mean_rows(x, ROW, SEGMENT, 5), lambda x: tf.sparse.segment_mean(x, ROW, SEGMENT, num_segments=5)),
        (
            lambda x: highest_rows(tf.gather(x, ROW), SEGMENT, 5),
            lambda x: tf.pad(tf.math.segment_max(tf.gather(x, ROW), SEGMENT), [[0, 1], [0, 0]]),
        ),
    ],
    ids=["gather", "sum", "mean", "highest"],
)
def test_values_and_gradients_are_tensorflows(own, reference):
    """Rows that occur twice in a segment, rows of several segments, and rows of none."""
    x = tf.Variable(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))
    results = []
    for function in (own, reference):
        with tf.GradientTape() as tape:
            found = function(x)
        slope = tape.gradient(found, x, np.random.default_rng(1).normal(size=found.shape).astype(np.float32))
        results.append((found, tf.convert_to_tensor(slope)))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_the_slope_may_be_sparse():
    """That of rows which are gathered from the result."""
    x = tf.Variable([[1.0, 5.0], [3.0, 2.0]])
    with tf.GradientTape() as tape:
        found = tf.gather(highest_rows(x, np.zeros(2, np.int32), 1), [0, 0])
    assert tf.convert_to_tensor(tape.gradient(found, x)).numpy().tolist() == [[0, 2], [2, 0]]
