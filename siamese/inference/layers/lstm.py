"""The LSTM on packed words."""

import itertools
from collections.abc import Sequence

import numpy as np

from siamese.inference.layers.recurrent import Recurrent, sigmoid_of_tanh
from siamese.inference.parts import register


@register
class BidirectionalLSTM(Recurrent):
    """An LSTM from the first word of each question on, beside one from its last (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c). Columns of a
    direction: i, f, o, g.
    """

    keras_classes = ("siamese.model.lstm.BidirectionalLSTM",)
    operator = "LSTM"
    gates = (0, 2, 1, 3)  # ONNX: i, o, f, g

    def recur(
        self, direction: int, table: np.ndarray, source: np.ndarray, starts: Sequence[int], h: np.ndarray
    ) -> None:
        units, recurrent_kernel = self.units, self._recurrent_kernels[direction]
        questions = starts[1] if len(starts) > 1 else 0
        c = np.zeros((questions, units), np.float32)
        z = np.empty((questions, 4 * units), np.float32)
        recurrent = np.empty_like(z)
        before = 0
        for start, end in itertools.pairwise(starts):
            n = end - start
            z, c, recurrent = z[:n], c[:n], recurrent[:n]  # only questions that still have a word
            np.take(table, source[start:end], axis=0, out=z, mode="clip")  # "clip" writes straight into `out`
            if start:
                z += np.matmul(h[before : before + n], recurrent_kernel, out=recurrent)
            np.tanh(z, out=z)
            gates, g = z[:, : 3 * units], z[:, 3 * units :]
            sigmoid_of_tanh(gates)
            i, f, o = gates[:, :units], gates[:, units : 2 * units], gates[:, 2 * units :]
            c *= f
            c += np.multiply(i, g, out=g)
            np.multiply(o, np.tanh(c, out=g), out=h[start:end])
            before = start


@register
class ForwardLSTM(BidirectionalLSTM):
    """The forward direction alone."""

    keras_classes = ("siamese.model.lstm.ForwardLSTM",)
    directions = 1
