"""Similarities: two embeddings -> a number in [0, 1] that grows with likeness.

Each is symmetric, takes `float32[..., dimension]` twice and gives `float32[...]`. The three fixed ones
give exactly 1 to two equal embeddings. Gradients are finite everywhere, equal and zero embeddings
included. `matrix` compares all with all; `matrix_is_similarity` tells whether it gives what a call gives.
"""

from collections.abc import Sequence

import keras
from keras import ops

EPSILON = 1e-12


@keras.saving.register_keras_serializable("siamese")
class Cosine(keras.layers.Layer):
    """(1 + cos(u, v)) / 2, computed as 1 - |u/|u| - v/|v||² / 4 so that equal embeddings give exactly 1."""

    matrix_is_similarity = True

    def call(self, left, right):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        difference = _unit(left) - _unit(right)
        return 1.0 - ops.sum(ops.square(difference), axis=-1) / 4.0

    def matrix(self, left, right):
        """`float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
        return 0.5 + 0.5 * ops.matmul(_unit(left), ops.transpose(_unit(right)))


@keras.saving.register_keras_serializable("siamese")
class Euclidean(keras.layers.Layer):
    """1 / (1 + |u - v|₂)."""

    matrix_is_similarity = True

    def call(self, left, right):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        return self._from_square(ops.sum(ops.square(left - right), axis=-1))

    def matrix(self, left, right):
        """`float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
        squares = ops.sum(ops.square(left), axis=-1)[:, None] + ops.sum(ops.square(right), axis=-1)[None, :]
        return self._from_square(ops.maximum(squares - 2.0 * ops.matmul(left, ops.transpose(right)), 0.0))

    def _from_square(self, square):
        # the root's slope is infinite at 0: shifted by epsilon it is finite and still exactly 0 at 0
        return 1.0 / (1.0 + ops.sqrt(square + EPSILON) - EPSILON**0.5)


@keras.saving.register_keras_serializable("siamese")
class Manhattan(keras.layers.Layer):
    """exp(-|u - v|₁) (Mueller & Thyagarajan 2016, equation 4)."""

    matrix_is_similarity = True

    def call(self, left, right):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        return ops.exp(-ops.sum(ops.abs(left - right), axis=-1))

    def matrix(self, left, right):
        """`float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
        return self(left[:, None, :], right[None, :, :])


@keras.saving.register_keras_serializable("siamese")
class Learned(keras.layers.Layer):
    """A ReLU network over |u - v| and u·v (elementwise), ending in a sigmoid.

    Both features are symmetric in u and v, and so is whatever is learned from them.

    Args:
        units: width of each ReLU layer.
        dropout: share of each ReLU layer's outputs dropped in training, in [0, 1).
    """

    matrix_is_similarity = False

    def __init__(self, units: Sequence[int] = (256, 256), dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = list(units)
        self.dropout = dropout
        self.hidden = [keras.layers.Dense(width, activation="relu") for width in self.units]
        self.drop = keras.layers.Dropout(dropout)
        self.output_layer = keras.layers.Dense(1)

    def build(self, left_shape, right_shape):
        shape = (*left_shape[:-1], 2 * left_shape[-1])
        for layer in self.hidden:
            layer.build(shape)
            shape = (*shape[:-1], layer.units)
        self.output_layer.build(shape)
        self.ceiling = self.add_weight(shape=(), initializer=keras.initializers.Constant(4.0), name="ceiling")

    def call(self, left, right, training=None):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        difference = ops.abs(left - right)
        x = ops.concatenate([difference, left * right], axis=-1)
        for layer in self.hidden:
            x = self.drop(layer(x), training=training)
        below = ops.softplus(self.ceiling - ops.squeeze(self.output_layer(x), -1))
        distance = _norm(left - right) / (_norm(left) + _norm(right) + EPSILON**0.5)
        return ops.sigmoid(self.ceiling - below * ops.tanh(5.0 * distance))

    def matrix(self, left, right):
        """Cosine of the embeddings, to retrieve candidates by.

        `float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`.
        """
        return Cosine().matrix(left, right)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}


def _unit(x):
    """x / |x|, and 0 for a zero vector."""
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), EPSILON))


def _norm(x):
    """|x|₂ with a finite slope at 0, where it is exactly 0."""
    return ops.sqrt(ops.sum(ops.square(x), axis=-1) + EPSILON) - EPSILON**0.5
