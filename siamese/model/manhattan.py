"""All-pairs Manhattan distances and their gradient, in blocks that fit the processor's cache.

Unlike Euclidean distances they are no matrix product, and the plain formula writes n · m · dimension differences to
memory several times. Here the differences stay in registers. XLA compiles two short loops for each shape, which takes
a second; training has two shapes, a full batch and the last one.
"""

from collections.abc import Callable

import tensorflow as tf

# Terms of a sum in one compiled pass over the result. Below 16, XLA (TensorFlow 2.21) reads the operands inside the
# pass, which prevents vectorization: six times as slow.
BLOCK = 20

_matrix = tf.TensorSpec([None, None], tf.float32)


@tf.custom_gradient
def manhattan_distances(left: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """|u - v|₁ of all pairs of rows: `float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`.

    Exactly 0 for equal embeddings. The gradient is sign(u - v) in every dimension, 0 where both are equal.
    """

    def gradient(slope):
        return _slopes(left, right, slope), _slopes(right, left, tf.transpose(slope))

    # stop_gradient keeps TensorFlow from building a gradient through the loop
    return _distances(tf.stop_gradient(left), tf.stop_gradient(right)), gradient


@tf.function(input_signature=[_matrix] * 2, jit_compile=True, autograph=False)
def _distances(left, right):
    """Σ_d |left_id - right_jd|: `float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""

    def one_dimension(u, v):
        return tf.abs(u[:, None] - v)

    zero = tf.zeros([tf.shape(left)[0], tf.shape(right)[0]])
    return _sum_over_rows(one_dimension, tf.transpose(left), tf.transpose(right), zero)


@tf.function(input_signature=[_matrix] * 3, jit_compile=True, autograph=False)
def _slopes(x, other, slope):
    """Σ_j slope_ij sign(x_id - other_jd).

    `float32[n, dimension]`, `float32[m, dimension]`, `float32[n, m]` -> `float32[n, dimension]`.
    """

    def one_other(y, weight):
        weight = weight[:, None]
        return tf.where(x > y, weight, 0.0) - tf.where(x < y, weight, 0.0)  # a seventh faster than weight · sign(x - y)

    return _sum_over_rows(one_other, other, tf.transpose(slope), tf.zeros_like(x))


def _sum_over_rows(term: Callable, first, second, zero):
    """Σ_k term(first_k, second_k), in blocks of rows; the term of two zero rows must be 0."""
    padding = [[0, -tf.shape(first)[0] % BLOCK], [0, 0]]
    first, second = tf.pad(first, padding), tf.pad(second, padding)

    def rows_from(k, x):
        return tf.unstack(tf.slice(x, [k, 0], [BLOCK, tf.shape(x)[1]]))

    def add_block(k, total):
        terms = [term(a, b) for a, b in zip(rows_from(k, first), rows_from(k, second), strict=True)]
        return k + BLOCK, total + tf.add_n(terms)

    return tf.while_loop(lambda k, _: k < tf.shape(first)[0], add_block, [0, zero])[1]
