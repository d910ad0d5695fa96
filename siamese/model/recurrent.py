"""What the recurrent layers share: their weights, directions and packing; a step computes only questions that still have a word.

Its arguments are those of the layers in `siamese.model.layers`.
"""

from typing import ClassVar

import keras
import tensorflow as tf

from siamese.model.gathering import gather_rows
from siamese.model.products import Multiplying


class Recurrent(Multiplying):
    """A recurrent layer over each question; x W + b is computed once for each distinct word.

    Args:
        units: width of each direction.

    Attributes:
        directions: 2 for one layer from the first word on and one from the last, side by side; 1 for the first alone.
        first_bias: what the bias of each gate starts at, the candidate last.
    """

    mixes_words = True
    directions: ClassVar[int] = 2
    first_bias: ClassVar[tuple[float, ...]]

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, vectors_shape, *_):
        """Columns of the kernel and the bias: all gates of the forward direction, then of the backward one."""
        width, units, columns = vectors_shape[-1], self.units, len(self.first_bias) * self.units

        def glorot(shape, dtype=None):
            kernels = [keras.initializers.GlorotUniform()((width, columns)) for _ in range(self.directions)]
            return tf.concat(kernels, axis=1)

        def orthogonal(shape, dtype=None):
            return tf.stack([keras.initializers.Orthogonal()((units, columns)) for _ in range(self.directions)])

        def first(shape, dtype=None):
            return tf.tile(tf.repeat(self.first_bias, units), [self.directions])

        self.kernel = self.add_weight(shape=(width, self.directions * columns), initializer=glorot, name="kernel")
        shape = (self.directions, units, columns)
        self.recurrent_kernel = self.add_weight(shape=shape, initializer=orthogonal, name="recurrent_kernel")
        self.bias = self.add_weight(shape=(self.directions * columns,), initializer=first, name="bias")

    def call(self, vectors, position, question):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]` -> `float32[tokens, directions * units]`."""
        counts, rows = time_major(question)
        kernels, biases = tf.split(self.kernel, self.directions, axis=1), tf.split(self.bias, self.directions)
        recurrent = zip(*(tf.unstack(each) for each in self.recurrent_weights), strict=True)
        outputs = []
        # the directions share nothing, so that each can have a core
        for kernel, bias, own, row in zip(kernels, biases, recurrent, rows[: self.directions], strict=True):
            token = tf.math.invert_permutation(row)
            at = token if position is None else tf.gather(position, token)
            x = gather_rows(self.product(vectors, kernel) + bias, at)
            outputs.append(self.recur(x, *own, counts, row, token))
        return tf.concat(outputs, axis=-1)

    @property
    def recurrent_weights(self):
        """The weights of `recur`, each with a row for each direction."""
        return [self.recurrent_kernel]

    def recur(self, x, *arguments):
        """One direction, `float32[tokens, units]`.

        Args:
            x: `float32[tokens, gates * units]`, x W + b in time-major packing.
            arguments: the direction's rows of `recurrent_weights`; counts, row and token as in `time_major`.
        """
        raise NotImplementedError

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}


def time_major(question):
    """Time-major packing: the first words of all questions, longest question first, then all second words, …

    Args:
        question: `int32[tokens]`, ascending.

    Returns:
        `int32[steps]`, the number of questions with a word at each step, and for each direction `int32[tokens]`, the
        row of each token in the packing.
    """
    length = tf.math.bincount(question)
    longest_first = tf.argsort(length, direction="DESCENDING", stable=True)
    rank = tf.math.invert_permutation(longest_first)
    step = tf.range(tf.size(question)) - tf.gather(tf.cumsum(length, exclusive=True), question)
    counts = tf.math.bincount(step)
    start = tf.cumsum(counts, exclusive=True)
    from_the_end = tf.gather(length, question) - 1 - step
    return counts, [tf.gather(start, each) + tf.gather(rank, question) for each in (step, from_the_end)]


def row_arrays(steps, width):
    """An array of `float32[rows, width]` for each step, to be concatenated."""
    return tf.TensorArray(tf.float32, steps, infer_shape=False, element_shape=[None, width])


def row_before(counts, tokens):
    """The row of the same question one step earlier, for all rows behind the first step, which have one: `int32[rows]`."""
    return tf.range(counts[0], tokens) - tf.repeat(counts[:-1], counts[1:])
