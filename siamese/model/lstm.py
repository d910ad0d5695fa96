"""The LSTM on packed words."""

import keras
import tensorflow as tf

from siamese.model.recurrent import Recurrent, row_arrays, row_before


@keras.saving.register_keras_serializable("siamese")
class BidirectionalLSTM(Recurrent):
    """One LSTM forward and one backward over each question (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c). Columns of a
    direction: i, f, o, g.
    """

    first_bias = (0.0, 1.0, 0.0, 0.0)  # forget gates start open (Jozefowicz et al. 2015)

    def project(self, vectors):
        """As in `Recurrent`, with doubled candidates, which `_recurrence` expects."""
        return super().project(vectors) * tf.tile(self._doubled(), [self.directions])

    def recur(self, x, direction, counts, row, token):
        """As in `Recurrent`."""
        return _recurrence(x, self.recurrent_kernel[direction] * self._doubled(), counts, row, token)

    def _doubled(self):
        """tanh(x) = 2 sigmoid(2 x) - 1: with doubled candidate columns one sigmoid computes all four gates."""
        return tf.repeat([1.0, 1.0, 1.0, 2.0], self.units)


@keras.saving.register_keras_serializable("siamese")
class ForwardLSTM(BidirectionalLSTM):
    """The forward direction of `BidirectionalLSTM` alone."""

    directions = 1


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
        [0, zero, zero, row_arrays(steps, 4 * units), row_arrays(steps, units), row_arrays(steps, units)],
        [tf.TensorShape([]), any_rows, any_rows, nothing, nothing, nothing],
    )
    gates, cells, hidden = gates.concat(), cells.concat(), hidden.concat()

    def gradient(slope):
        slope = tf.gather(slope, token)
        earlier = row_before(counts, tf.size(token))
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
            [steps - 1, none, none, row_arrays(steps, 4 * units)],
            [tf.TensorShape([]), any_rows, any_rows, nothing],
        )[3].concat()
        kernel_slope = tf.matmul(tf.gather(hidden, earlier), dz[counts[0] :], transpose_a=True)
        return dz, kernel_slope, None, None, None

    return tf.gather(hidden, row), gradient
