"""What the recurrent layers share: weights, directions, and their operators in ONNX."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.layers.products import Product
from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing
from siamese.inference.parts import QuestionLayer, Tables, Take, whole


class Recurrent(QuestionLayer):
    """A recurrent layer from the first word of each question on, with two directions beside one from its last.

    The columns of kernel and bias are all gates of the forward direction, the candidate last, then of the backward one.

    Attributes:
        directions: 1 or 2.
        operator, attributes: of ONNX.
        gates: for each gate of ONNX, its place in the columns.
    """

    directions: ClassVar[int] = 2
    operator: ClassVar[str]
    attributes: ClassVar[Mapping[str, int]] = MappingProxyType({})
    gates: ClassVar[tuple[int, ...]]
    settings = ("units",)
    weights: ClassVar[tuple[str, ...]] = ("kernel", "recurrent_kernel", "bias")

    def __init__(self, take: Take, width: int, /, units: int):
        self.units = whole("units", units)
        columns = len(self.gates) * units
        self.width, self.table_width = self.directions * units, self.directions * columns
        self.kernel, self.bias = take("kernel", width, self.table_width), take("bias", self.table_width)
        self.recurrent_kernel = take("recurrent_kernel", self.directions, units, columns)
        kernels, biases = (np.split(each, self.directions, axis=-1) for each in (self.kernel, self.bias))
        # of each direction
        self._products = [Product(*map(self._halve_gates, each)) for each in zip(kernels, biases, strict=True)]
        self._recurrent_kernels = [self._halve_gates(each) for each in self.recurrent_kernel]

    def tabulate(self, x: np.ndarray) -> Tables:
        """x W + b of each direction, `float32[n, gates * units]` each."""
        return [product(x) for product in self._products]

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        tokens, units = len(packing.step), self.units
        forward_row = (
            packing.step if source is None and packing.is_one else np.arange(tokens) if source is None else source
        )
        rows = [forward_row, forward_row[packing.reverse]][: self.directions]
        states = np.empty((self.directions, tokens, units), np.float32)
        self.recur(tables, rows, packing.starts, states)
        if self.directions == 1:
            return states[0]
        h = np.empty((tokens, self.width), np.float32)
        h[:, :units] = states[0]
        np.take(states[1], packing.reverse, axis=0, out=h[:, units:], mode="clip")
        return h

    def recur(self, tables: Tables, rows: Sequence[np.ndarray], starts: Sequence[int], states: np.ndarray) -> None:
        """The states after each word, in each direction: fills `float32[directions, tokens, units]`.

        Args:
            tables: of each direction.
            rows: `int64[tokens]` of each direction, the rows of the tokens in its table, in the order that it reads them.
            starts: as in `Packing`; each step has the questions that still have a word.
            states: to fill.
        """
        raise NotImplementedError

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """ONNX's own operator, which stops at each question's length."""
        kernels = self._gates_first(self.kernel)
        recurrent = np.concatenate([self._gates_first(each) for each in self.recurrent_kernel])
        biases = self._gates_first(self.bias[None])[..., 0]  # [directions, gates * units]
        step_first = graph.add(
            self.operator,
            graph.add("Transpose", inputs[0], perm=(1, 0, 2)),
            graph.weight(f"{self.name}/kernel", kernels, (2,)),
            graph.weight(f"{self.name}/recurrent_kernel", recurrent, (2,)),
            graph.array(f"{self.name}/bias", np.concatenate([biases, self.recurrent_biases()], axis=1)),
            operators.lengths(graph, questions),
            direction="bidirectional" if self.directions == 2 else "forward",
            hidden_size=self.units,
            **self.attributes,
        )  # float32[length, directions, batch, units]
        side_by_side = graph.add("Transpose", step_first, perm=(2, 0, 1, 3))
        return graph.add("Reshape", side_by_side, graph.constant([0, 0, self.width], np.int64))

    def recurrent_biases(self) -> np.ndarray:
        """ONNX's biases of the recurrent product, `float32[directions, gates * units]`."""
        return np.zeros((self.directions, len(self.gates) * self.units), np.float32)

    def _gates_first(self, columns: np.ndarray) -> np.ndarray:
        """`[n, directions * gates * units]` -> `[directions, gates * units, n]`, the gates in ONNX's order."""
        n, gates = len(columns), len(self.gates)
        in_order = columns.reshape(n, -1, gates, self.units)[:, :, list(self.gates)]
        return in_order.reshape(n, -1, gates * self.units).transpose(1, 2, 0)

    def _halve_gates(self, weights: np.ndarray) -> np.ndarray:
        """Halve the columns of all gates and keep those of the candidate, `float32[..., gates * units]`.

        sigmoid(x) = (1 + tanh(x / 2)) / 2, and NumPy's tanh is fast.
        """
        halves = np.array([0.5] * (len(self.gates) - 1) + [1.0], np.float32)
        return weights * np.repeat(halves, self.units)


def sigmoid_of_tanh(gates: np.ndarray) -> None:
    """tanh(x / 2) -> sigmoid(x), in place."""
    gates *= np.float32(0.5)
    gates += np.float32(0.5)
