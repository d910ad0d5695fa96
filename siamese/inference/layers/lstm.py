"""The bidirectional LSTM on packed words."""

import itertools
from collections.abc import Sequence

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.layers.rows import dense
from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing
from siamese.inference.parts import QuestionLayer, Tables, Take, register, whole

IOFG = [0, 2, 1, 3]  # ONNX's order of an LSTM's gates, by their places in the project's i, f, o, g


@register
class BidirectionalLSTM(QuestionLayer):
    """An LSTM from the first word of each question on, beside one from its last (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c). The columns of
    kernel and bias are forward i, f, o, g, then backward i, f, o, g.
    """

    keras_classes = ("siamese.model.lstm.BidirectionalLSTM",)
    settings = ("units",)
    weights = ("kernel", "recurrent_kernel", "bias")

    def __init__(self, take: Take, width: int, /, units: int):
        self.units = whole("units", units)
        self.width, self.table_width = 2 * units, 8 * units
        self.kernel, self.bias = take("kernel", width, 8 * units), take("bias", 8 * units)
        self.recurrent_kernel = take("recurrent_kernel", 2, units, 4 * units)
        # of each direction
        self._kernels = [_halve_gates(each) for each in np.split(self.kernel, 2, axis=1)]
        self._biases = [_halve_gates(each) for each in np.split(self.bias, 2)]
        self._recurrent_kernels = [_halve_gates(each) for each in self.recurrent_kernel]

    def tabulate(self, x: np.ndarray) -> Tables:
        """x W + b of both directions, `float32[n, 4 * units]` each."""
        return [dense(x, kernel, bias) for kernel, bias in zip(self._kernels, self._biases, strict=True)]

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        reverse, units = packing.reverse, self.units
        forward_row = np.arange(len(reverse)) if source is None else source
        h = np.empty((len(reverse), 2 * units), np.float32)
        _recurrence(tables[0], forward_row, packing.starts, self._recurrent_kernels[0], h[:, :units])
        backward = np.empty((len(reverse), units), np.float32)
        _recurrence(tables[1], forward_row[reverse], packing.starts, self._recurrent_kernels[1], backward)
        h[:, units:] = backward[reverse]
        return h

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """ONNX's own operator, which stops at each question's length."""
        kernels = self._gates_first(self.kernel)
        recurrent = np.concatenate([self._gates_first(each) for each in self.recurrent_kernel])
        biases = self._gates_first(self.bias[None])[..., 0]  # [2, 4 * units]
        biases = np.concatenate([biases, np.zeros_like(biases)], axis=1)  # ONNX has more for the recurrent product
        step_first = graph.add(
            "LSTM",
            graph.add("Transpose", inputs[0], perm=(1, 0, 2)),
            graph.weight(f"{self.name}/kernel", kernels, (2,)),
            graph.weight(f"{self.name}/recurrent_kernel", recurrent, (2,)),
            graph.array(f"{self.name}/bias", biases),
            operators.lengths(graph, questions),
            direction="bidirectional",
            hidden_size=self.units,
        )  # float32[length, 2, batch, units]
        both = graph.add("Transpose", step_first, perm=(2, 0, 1, 3))
        return graph.add("Reshape", both, graph.constant([0, 0, 2 * self.units], np.int64))

    def _gates_first(self, columns: np.ndarray) -> np.ndarray:
        """`[n, directions * 4 * units]` -> `[directions, 4 * units, n]`, the gates in ONNX's order."""
        n, units = len(columns), self.units
        in_order = columns.reshape(n, -1, 4, units)[:, :, IOFG]
        return in_order.reshape(n, -1, 4 * units).transpose(1, 2, 0)


def _halve_gates(weights: np.ndarray) -> np.ndarray:
    """Halve the columns of the gates i, f, o and keep those of the candidate g, `float32[..., 4 * units]`.

    sigmoid(x) = (1 + tanh(x / 2)) / 2, so that one tanh over all columns serves gates and candidate alike.
    """
    units = weights.shape[-1] // 4
    return weights * np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), units)


def _recurrence(
    table: np.ndarray, source: np.ndarray, starts: Sequence[int], recurrent_kernel: np.ndarray, h: np.ndarray
) -> None:
    """One direction of an LSTM; fills h, `float32[tokens, units]`."""
    units = h.shape[1]
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
        gates *= np.float32(0.5)
        gates += np.float32(0.5)
        i, f, o = gates[:, :units], gates[:, units : 2 * units], gates[:, 2 * units :]
        c *= f
        c += np.multiply(i, g, out=g)
        np.multiply(o, np.tanh(c, out=g), out=h[start:end])
        before = start
