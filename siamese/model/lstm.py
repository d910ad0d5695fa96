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

    def recur(self, x, *arguments):
        """As in `Recurrent`."""
        return _recurrence(x, *arguments)


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
    kept = 7  # arrays of each step that the gradient reads

    def forward(t, h, c, *arrays):
        n = counts[t]
        before = c[:n]
        z = x[start[t] : start[t] + n] + tf.matmul(h[:n], recurrent_kernel)
        i, f, o, g = tf.split(z, 4, axis=-1)
        i, f, o, g = tf.sigmoid(i), tf.sigmoid(f), tf.sigmoid(o), tf.tanh(g)
        c = f * before + i * g
        tanh_c = tf.tanh(c)
        h = o * tanh_c
        keep = h, i, f, o, g, before, tanh_c
        return t + 1, h, c, *(array.write(t, each) for array, each in zip(arrays, keep, strict=True))

    zero = tf.zeros([tf.reduce_max(counts), units])
    _, _, _, hidden, *gates = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        [0, zero, zero, *(row_arrays(steps, units) for _ in range(kept))],
        [tf.TensorShape([]), any_rows, any_rows, *[nothing] * kept],
    )
    every = hidden.concat()

    def gradient(slope):
        slope = tf.gather(slope, token)

        def backward(t, dh, dc, dz):
            ending = [[0, counts[t] - tf.shape(dh)[0]], [0, 0]]  # questions whose last word this is
            h = hidden.read(t)
            i, f, o, g, before, tanh_c = (array.read(t) for array in gates)
            dh = slope[start[t] : start[t] + counts[t]] + tf.pad(dh, ending)
            dc = tf.pad(dc, ending) + dh * (o - h * tanh_c)
            of_gates = [dc * (g * (i - i * i)), dc * (before * (f - f * f)), dh * (h - h * o), dc * (i - i * (g * g))]
            step = tf.concat(of_gates, axis=-1)
            return t - 1, tf.matmul(step, recurrent_kernel, transpose_b=True), dc * f, dz.write(t, step)

        none = tf.zeros([0, units])
        dz = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            [steps - 1, none, none, row_arrays(steps, 4 * units)],
            [tf.TensorShape([]), any_rows, any_rows, nothing],
        )[3].concat()
        earlier = row_before(counts, tf.size(token))
        kernel_slope = tf.matmul(tf.gather(every, earlier), dz[counts[0] :], transpose_a=True)
        return dz, kernel_slope, None, None, None

    return tf.gather(every, row), gradient
