"""The bidirectional LSTM on packed words; a step computes only questions that still have a word.

Its arguments are those of the layers in `siamese.model.layers`.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("siamese")
class BidirectionalLSTM(keras.layers.Layer):
    """One LSTM forward and one backward over each question (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c). x W is
    computed once for each distinct word.

    Args:
        units: width of each direction.
    """

    mixes_words = True

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, vectors_shape, *_):
        """Columns of the kernel and the bias: forward i, f, o, g, then backward i, f, o, g."""
        width, units = vectors_shape[-1], self.units

        def glorot(shape, dtype=None):
            return tf.concat([keras.initializers.GlorotUniform()((width, 4 * units)) for _ in range(2)], axis=1)

        def orthogonal(shape, dtype=None):
            return tf.stack([keras.initializers.Orthogonal()((units, 4 * units)) for _ in range(2)])

        def remember(shape, dtype=None):  # forget gates start open (Jozefowicz et al. 2015)
            return tf.tile(tf.repeat([0.0, 1.0, 0.0, 0.0], units), [2])

        self.kernel = self.add_weight(shape=(width, 8 * units), initializer=glorot, name="kernel")
        shape = (2, units, 4 * units)
        self.recurrent_kernel = self.add_weight(shape=shape, initializer=orthogonal, name="recurrent_kernel")
        self.bias = self.add_weight(shape=(8 * units,), initializer=remember, name="bias")

    def call(self, vectors, position, question):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]` -> `float32[tokens, 2 * units]`."""
        # tanh(x) = 2 sigmoid(2 x) - 1: with doubled candidate columns one sigmoid computes all four gates
        doubled = tf.repeat([1.0, 1.0, 1.0, 2.0], self.units)
        # row 2·n + direction
        projected = (tf.matmul(vectors, self.kernel) + self.bias) * tf.tile(doubled, [2])
        projected = tf.reshape(projected, [-1, 4 * self.units])
        counts, rows = time_major(question)
        outputs = []
        kernels = tf.unstack(self.recurrent_kernel * doubled)
        for direction, (row, recurrent_kernel) in enumerate(zip(rows, kernels, strict=True)):
            token = tf.math.invert_permutation(row)
            at = token if position is None else tf.gather(position, token)
            x = tf.gather(projected, 2 * at + direction)
            outputs.append(_recurrence(x, recurrent_kernel, counts, row, token))
        return tf.concat(outputs, axis=-1)

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


@tf.custom_gradient
def _recurrence(x, recurrent_kernel, counts, row, token):
    """One direction of an LSTM over time-major rows, given its input product.

    The hand-written gradient is twice as fast as TensorFlow's through the loop: the product for the recurrent kernel is
    one large matrix product after the loop.

    Args:
        x: `float32[tokens, 4 * units]`, z without its recurrent part, rows as in `time_major`.
        recurrent_kernel: `float32[units, 4 * units]`.
        counts: `int32[steps]`, rows of each step, not increasing.
        row, token: `int32[tokens]`, token -> row and row -> token.

    Returns:
        h, `float32[tokens, units]`, in the order of the tokens.
    """
    units = recurrent_kernel.shape[0]
    steps = tf.size(counts)
    start = tf.cumsum(counts, exclusive=True)

    def rows_array(width):
        return tf.TensorArray(tf.float32, steps, infer_shape=False, element_shape=[None, width])

    any_rows = tf.TensorShape([None, units])
    nothing = tf.TensorShape(None)

    def forward(t, h, c, gates, cells, hidden):
        n = counts[t]
        gate = tf.sigmoid(x[start[t] : start[t] + n] + tf.matmul(h[:n], recurrent_kernel))
        i, f, o, g = tf.split(gate, 4, axis=-1)
        c = f * c[:n] + i * (2.0 * g - 1.0)
        h = o * tf.tanh(c)
        return t + 1, h, c, gates.write(t, gate), cells.write(t, c), hidden.write(t, h)

    zero = tf.zeros([tf.reduce_max(counts), units])
    _, _, _, gates, cells, hidden = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        [0, zero, zero, rows_array(4 * units), rows_array(units), rows_array(units)],
        [tf.TensorShape([]), any_rows, any_rows, nothing, nothing, nothing],
    )
    gates, cells, hidden = gates.concat(), cells.concat(), hidden.concat()

    def gradient(slope):
        slope = tf.gather(slope, token)
        # the row of the same question one step earlier; rows of the first step have none
        first = counts[0]
        earlier = tf.range(first, tf.size(token)) - tf.repeat(counts[:-1], counts[1:])
        cells_before = tf.concat([zero, tf.gather(cells, earlier)], axis=0)

        def backward(t, dh, dc, dz):
            here = slice(start[t], start[t] + counts[t])
            ending = [[0, counts[t] - tf.shape(dh)[0]], [0, 0]]  # questions whose last word this is
            gate = gates[here]
            i, f, o, g = tf.split(gate, 4, axis=-1)
            g = 2.0 * g - 1.0
            tanh_c = tf.tanh(cells[here])
            dh = slope[here] + tf.pad(dh, ending)
            dc = tf.pad(dc, ending) + dh * o * (1.0 - tanh_c * tanh_c)
            step = tf.concat([dc * g, dc * cells_before[here], dh * tanh_c, 2.0 * dc * i], axis=-1)
            step *= gate * (1.0 - gate)
            return t - 1, tf.matmul(step, recurrent_kernel, transpose_b=True), dc * f, dz.write(t, step)

        none = tf.zeros([0, units])
        dz = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            [steps - 1, none, none, rows_array(4 * units)],
            [tf.TensorShape([]), any_rows, any_rows, nothing],
        )[3].concat()
        kernel_slope = tf.matmul(tf.gather(hidden, earlier), dz[first:], transpose_a=True)
        return dz, kernel_slope, None, None, None

    return tf.gather(hidden, row), gradient
