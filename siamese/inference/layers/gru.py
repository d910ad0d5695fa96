"""The gated recurrent unit on packed words."""

import itertools
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from siamese.inference.layers.recurrent import Recurrent, sigmoid_of_tanh
from siamese.inference.parts import Tables, Take, register


@register
class BidirectionalGRU(Recurrent):
    """A gated recurrent unit from the first word of each question on, beside one from its last (Cho et al. 2014).

    z, r = sigmoid(x W_zr + h R_zr + b_zr); g = tanh(x W_g + b_g + r (h R_g + d)); h = z h + (1 - z) g. Columns of a
    direction: z, r, g.
    """

    keras_classes = ("siamese.model.gru.BidirectionalGRU",)
    weights = (*Recurrent.weights, "recurrent_bias")
    operator = "GRU"
    attributes = MappingProxyType({"linear_before_reset": 1})
    gates = (0, 1, 2)  # ONNX: z, r, g

    def __init__(self, take: Take, width: int, /, units: int):
        super().__init__(take, width, units)
        self.recurrent_bias = take("recurrent_bias", self.directions, units)

    def recur(self, tables: Tables, rows: Sequence[np.ndarray], starts: Sequence[int], states: np.ndarray) -> None:
        for direction, (table, row, h) in enumerate(zip(tables, rows, states, strict=True)):
            self._read(direction, table, row, starts, h)

    def _read(
        self, direction: int, table: np.ndarray, source: np.ndarray, starts: Sequence[int], h: np.ndarray
    ) -> None:
        """One direction."""
        units, recurrent_kernel = self.units, self._recurrent_kernels[direction]
        questions = starts[1] if len(starts) > 1 else 0
        x = np.empty((questions, 3 * units), np.float32)
        before, products = (
            np.zeros((questions, units), np.float32),
            np.zeros((max(2, questions), 3 * units), np.float32),
        )
        for start, end in itertools.pairwise(starts):
            n = end - start
            x, before, recurrent = x[:n], before[:n], products[:n]  # only questions that still have a word
            np.take(table, source[start:end], axis=0, out=x, mode="clip")  # "clip" writes straight into `out`
            if start:
                rows = before if n > 1 else np.repeat(before, 2, axis=0)  # OpenBLAS sums a single row in another order
                np.matmul(rows, recurrent_kernel, out=products[: len(rows)])
            gates, g = x[:, : 2 * units], x[:, 2 * units :]
            gates += recurrent[:, : 2 * units]
            np.tanh(gates, out=gates)
            sigmoid_of_tanh(gates)
            z, r = gates[:, :units], gates[:, units:]
            inner = recurrent[:, 2 * units :]
            inner += self.recurrent_bias[direction]
            inner *= r
            g += inner
            np.tanh(g, out=g)
            z *= np.subtract(before, g, out=inner)
            before = np.add(g, z, out=h[start:end])

    def recurrent_biases(self) -> np.ndarray:
        biases = super().recurrent_biases()
        biases[:, 2 * self.units :] = self.recurrent_bias
        return biases


@register
class ForwardGRU(BidirectionalGRU):
    """The forward direction alone."""

    keras_classes = ("siamese.model.gru.ForwardGRU",)
    directions = 1
