"""The gated recurrent unit on packed words."""

import keras
import tensorflow as tf

from siamese.model.recurrent import Recurrent, row_arrays, row_before


@keras.saving.register_keras_serializable("siamese")
class BidirectionalGRU(Recurrent):
    """One gated recurrent unit forward and one backward over each question (Cho et al. 2014).

    z, r = sigmoid(x W_zr + h R_zr + b_zr); g = tanh(x W_g + b_g + r (h R_g + d)); h = z h + (1 - z) g. The reset gate
    follows the product with R (version 1 of arXiv:1406.1078; Keras' reset_after=True). Columns of a direction: z, r, g.
    Keras has a second bias for z and r, too, which only adds to the first.
    """

    first_bias = (0.0, 0.0, 0.0)

    def build(self, vectors_shape, *_):
        """As in `Recurrent`, and d, `recurrent_bias float32[directions, units]`."""
        super().build(vectors_shape)
        shape = (self.directions, self.units)
        self.recurrent_bias = self.add_weight(shape=shape, initializer="zeros", name="recurrent_bias")

    @property
    def recurrent_weights(self):
        """As in `Recurrent`, and d."""
        return [self.recurrent_kernel, self.recurrent_bias]

    def recur(self, x, *arguments):
        """As in `Recurrent`."""
        return _recurrence(x, *arguments)


@keras.saving.register_keras_serializable("siamese")
class ForwardGRU(BidirectionalGRU):
    """The forward direction of `BidirectionalGRU` alone."""

    directions = 1


@tf.custom_gradient
def _recurrence(x, recurrent_kernel, recurrent_bias, counts, row, token):
    """One direction over time-major rows, given its input product; the gradient is written by hand as that of the LSTM.

    Args:
        x: `float32[tokens, 3 * units]`, x W + b, rows as in `time_major`.
        recurrent_kernel: `float32[units, 3 * units]`.
        recurrent_bias: `float32[units]`, d.
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

    def forward(t, h, gates, inner, candidates, hidden):
        here, h = x[start[t] : start[t] + counts[t]], h[: counts[t]]
        product = tf.matmul(h, recurrent_kernel)
        gate = tf.sigmoid(here[:, : 2 * units] + product[:, : 2 * units])
        z, r = tf.split(gate, 2, axis=-1)
        n = product[:, 2 * units :] + recurrent_bias
        g = tf.tanh(here[:, 2 * units :] + r * n)
        h = g + z * (h - g)
        return t + 1, h, gates.write(t, gate), inner.write(t, n), candidates.write(t, g), hidden.write(t, h)

    zero = tf.zeros([tf.reduce_max(counts), units])
    _, _, gates, inner, candidates, hidden = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        [0, zero, row_arrays(steps, 2 * units), *(row_arrays(steps, units) for _ in range(3))],
        [tf.TensorShape([]), any_rows, *[nothing] * 4],
    )
    gates, inner, candidates, hidden = gates.concat(), inner.concat(), candidates.concat(), hidden.concat()

    def gradient(slope):
        slope = tf.gather(slope, token)
        earlier = row_before(counts, tf.size(token))
        hidden_before = tf.concat([zero, tf.gather(hidden, earlier)], axis=0)

        def backward(t, dh, dx, dn):
            here = slice(start[t], start[t] + counts[t])
            z, r = tf.split(gates[here], 2, axis=-1)
            g = candidates[here]
            dh = slope[here] + tf.pad(
                dh, [[0, counts[t] - tf.shape(dh)[0]], [0, 0]]
            )  # questions whose last word this is
            dg = dh * (1.0 - z) * (1.0 - g * g)
            dz = dh * (hidden_before[here] - g) * z * (1.0 - z)
            dr = dg * inner[here] * r * (1.0 - r)
            through = tf.matmul(tf.concat([dz, dr, dg * r], axis=-1), recurrent_kernel, transpose_b=True)
            return t - 1, dh * z + through, dx.write(t, tf.concat([dz, dr, dg], axis=-1)), dn.write(t, dg * r)

        _, _, dx, dn = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            [steps - 1, tf.zeros([0, units]), row_arrays(steps, 3 * units), row_arrays(steps, units)],
            [tf.TensorShape([]), any_rows, nothing, nothing],
        )
        dx, dn = dx.concat(), dn.concat()
        of_product = tf.concat([dx[:, : 2 * units], dn], axis=-1)[counts[0] :]
        kernel_slope = tf.matmul(hidden_before[counts[0] :], of_product, transpose_a=True)
        return dx, kernel_slope, tf.reduce_sum(dn, axis=0), None, None, None

    return tf.gather(hidden, row), gradient
