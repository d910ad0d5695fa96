"""The LSTM on packed words."""

import itertools
from collections.abc import Sequence

import numpy as np

from siamese.inference.layers.recurrent import Recurrent
from siamese.inference.parts import Tables, Take, register

ONE, HALF = np.float32(1), np.float32(0.5)


@register
class BidirectionalLSTM(Recurrent):
    """An LSTM from the first word of each question on, beside one from its last (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c). Columns of a
    direction: i, f, o, g.
    """

    keras_classes = ("siamese.model.lstm.BidirectionalLSTM",)
    operator = "LSTM"
    gates = (0, 2, 1, 3)  # ONNX: i, o, f, g

    def __init__(self, take: Take, width: int, /, units: int):
        super().__init__(take, width, units)
        self._kernel_of_twice = np.stack(self._recurrent_kernels) / 2

    def recur(self, tables: Tables, rows: Sequence[np.ndarray], starts: Sequence[int], states: np.ndarray) -> None:
        """Both directions in each operation, and 2 sigmoid(x) = 1 + tanh(x / 2) in place of each gate."""
        units, directions = self.units, self.directions
        questions = starts[1] if len(starts) > 1 else 0
        x = np.empty((directions, questions, 4 * units), np.float32)
        recurrent = np.empty_like(x)
        z = np.zeros((directions, questions, 5 * units), np.float32)  # i, f, o, g and c side by side
        products = np.empty((directions, questions, 2 * units), np.float32)
        before = states[:, :0]
        for start, end in itertools.pairwise(starts):
            n = end - start  # questions that still have a word
            x, recurrent, z, products = x[:, :n], recurrent[:, :n], z[:, :n], products[:, :n]
            for table, row, own in zip(tables, rows, x, strict=True):
                np.take(table, row[start:end], axis=0, out=own, mode="clip")  # "clip" writes straight into `out`
            if start:
                np.matmul(before[:, :n], self._kernel_of_twice, out=recurrent)
                np.add(x, recurrent, out=x)
            np.tanh(x, out=z[..., : 4 * units])
            gates, c = z[..., : 3 * units], z[..., 4 * units :]
            np.add(gates, ONE, out=gates)
            np.multiply(z[..., : 2 * units], z[..., 3 * units :], out=products)  # 2 i g and 2 f c
            np.add(products[..., :units], products[..., units:], out=c)
            np.multiply(c, HALF, out=c)
            before = states[:, start:end]  # 2 h
            np.multiply(gates[..., 2 * units :], np.tanh(c, out=products[..., :units]), out=before)
        states *= HALF


@register
class ForwardLSTM(BidirectionalLSTM):
    """The forward direction alone."""

    keras_classes = ("siamese.model.lstm.ForwardLSTM",)
    directions = 1
