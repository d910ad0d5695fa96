"""Similarities: two embeddings → a number in [0, 1] that grows with likeness.

Each is symmetric, takes `float32[..., dimension]` twice and returns `float32[...]`. Equal embeddings get exactly 1 from
the fixed ones and the highest value from the learned one. Gradients are finite everywhere, also at equal and at zero
embeddings. `matrix` compares all pairs of rows; `matrix_is_similarity` says whether it agrees with a call.
"""

from collections.abc import Sequence

import keras
from keras import ops

from siamese.model.manhattan import manhattan_distances
from siamese.model.powers import POWER, checked_power

EPSILON = 1e-12


@keras.saving.register_keras_serializable("siamese")
class Cosine(keras.layers.Layer):
    """((1 + cos(u, v)) / 2)ᵖ.

    Unrelated questions have a cosine near 0. The fourth power maps them to 1/16. Without it they stay at 1/2, far from
    their label 0 (Quora pairs, cross-entropy, 2 epochs: 75 % accuracy without the power, 81 % with it). 1 + cos is
    computed from |u/|u| - v/|v||², so that equal embeddings give exactly 1.

    Args:
        power: p, a power of 2 from 1 to 64. A higher one lets the cosine of duplicates vary less, and that of others more.
    """

    matrix_is_similarity = True

    def __init__(self, power: int = POWER, **kwargs):
        super().__init__(**kwargs)
        self.power = checked_power(power)

    def call(self, left, right):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        return self._from_square(ops.sum(ops.square(_unit(left) - _unit(right)), axis=-1))

    def matrix(self, left, right):
        """`float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
        return self._from_square(_squared_distances(_unit(left), _unit(right)))

    def _from_square(self, square):
        similarity = ops.relu(1.0 - square / 4.0)
        for _ in range(self.power.bit_length() - 1):
            similarity = ops.square(similarity)
        return similarity

    def get_config(self) -> dict:
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable("siamese")
class Hybrid(Cosine):
    """`Cosine` of embeddings that hold what the words tell without training, too; `siamese.model.hybrid` adds it to a tower.

    The cosine is the mean of the cosines of embedding, letters, numbers and negations (`siamese.text.lexicon`), weighted by
    shares that add up to 1. They start as given here and are then fitted to dev (`siamese.training.shares`).

    Args:
        width: columns for the letters' trigrams.
        letters, numbers, negations: shares at the start, at least 0, together below 1; the embedding has the rest.
    """

    def __init__(
        self, width: int = 256, letters: float = 0.05, numbers: float = 0.005, negations: float = 0.005, **kwargs
    ):
        super().__init__(**kwargs)
        self.width, self.letters, self.numbers, self.negations = width, letters, numbers, negations

    def get_config(self) -> dict:
        own = {"width": self.width, "letters": self.letters, "numbers": self.numbers, "negations": self.negations}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("siamese")
class Euclidean(keras.layers.Layer):
    """1 / (1 + |u - v|₂ / scale).

    Args:
        scale: the distance at which the similarity is 1/2, above 0.
    """

    matrix_is_similarity = True

    def __init__(self, scale: float = 0.05, **kwargs):
        super().__init__(**kwargs)
        if not scale > 0:
            raise ValueError(f"similarity.scale must be above 0, got {scale}")
        self.scale = scale

    def call(self, left, right):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        return self._from_distance(_norm(left - right))

    def matrix(self, left, right):
        """`float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
        return self._from_distance(_root(_squared_distances(left, right)))

    def _from_distance(self, distance):
        # exactly 1 at distance 0, although a compiled 1 / x is approximate
        return 1.0 - distance / (distance + self.scale)

    def get_config(self) -> dict:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("siamese")
class Manhattan(keras.layers.Layer):
    """exp(-|u - v|₁) (Mueller & Thyagarajan 2016, equation 4)."""

    matrix_is_similarity = True

    def call(self, left, right):
        """`float32[..., dimension]` twice -> `float32[...]`."""
        return ops.exp(-ops.sum(ops.abs(left - right), axis=-1))

    def matrix(self, left, right):
        """`float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
        return ops.exp(-manhattan_distances(ops.cast(left, "float32"), ops.cast(right, "float32")))


@keras.saving.register_keras_serializable("siamese")
class Learned(keras.layers.Layer):
    """A ReLU network over |u - v| and u·v (elementwise), bounded by the value of equal embeddings.

    sigmoid(c - softplus(c - m) · tanh(5 r)), where m is the network's output, c a learned ceiling and
    r = |u - v|₂ / (|u|₂ + |v|₂) in [0, 1]. Away from r = 0 this is sigmoid(m), smoothly capped at
    sigmoid(c). Equal embeddings get sigmoid(c), so no question is more similar to another than to itself. All features
    are symmetric in u and v.

    Args:
        units: width of each ReLU layer.
        dropout: share of each ReLU layer's outputs dropped in training, in [0, 1).
    """

    matrix_is_similarity = False

    def __init__(self, units: Sequence[int] = (256, 256), dropout: float = 0.2, **kwargs):
        super().__init__(**kwargs)
        self.units = list(units)
        self.dropout = dropout
        self.hidden = [keras.layers.Dense(width, activation="relu") for width in self.units]
        self.drop = keras.layers.Dropout(dropout)
        self.output_layer = keras.layers.Dense(1)

    def build(self, left_shape, right_shape):
        """The ReLU layers over both features, and the ceiling."""
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
        """Cosine similarity, with which candidates are retrieved.

        `float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`.
        """
        return Cosine().matrix(left, right)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}


def _unit(x):
    """x / |x|, and 0 for a zero vector."""
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), EPSILON))


def _squared_distances(left, right):
    """|u - v|² of all pairs of rows: `float32[n, dimension]`, `float32[m, dimension]` -> `float32[n, m]`."""
    squares = ops.sum(ops.square(left), axis=-1)[:, None] + ops.sum(ops.square(right), axis=-1)[None, :]
    return ops.relu(squares - 2.0 * ops.matmul(left, ops.transpose(right)))


def _norm(x):
    """|x|₂ over the last axis."""
    return _root(ops.sum(ops.square(x), axis=-1))


def _root(square):
    """The square root, exactly 0 at 0 and with a finite gradient there."""
    return square / (ops.sqrt(square + EPSILON) + EPSILON**0.5)
