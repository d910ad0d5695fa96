"""Convolutions of several widths side by side, none looking beyond its question."""

from collections.abc import Sequence

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.layers.products import Product
from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing
from siamese.inference.parts import QuestionLayer, Tables, Take, register, whole


@register
class NGrams(QuestionLayer):
    """What `Conv1D(filters, k, padding="same")` computes for each width k.

    The kernel, `float32[width, sum(kernel_sizes) * filters]`, has columns by kernel size, then word, then filter.
    """

    keras_classes = ("siamese.model.layers.NGrams",)
    settings = ("filters", "kernel_sizes")
    weights = ("kernel", "bias")

    def __init__(self, take: Take, width: int, /, filters: int, kernel_sizes: Sequence[int]):
        words = sum(whole("kernel_sizes", size) for size in kernel_sizes)
        self.filters, self.kernel_sizes = whole("filters", filters), kernel_sizes
        self.width, self.table_width = len(kernel_sizes) * filters, words * filters
        self.kernel = take("kernel", width, self.table_width)
        columns = iter(np.split(self.kernel, words, axis=1))
        self._biases = np.split(take("bias", self.width), len(kernel_sizes))
        # for each convolution and each word that it sees; the bias belongs to the word that it stands at
        self._products = [
            Product(np.ascontiguousarray(next(columns)), None if offset else bias)
            for size, bias in zip(kernel_sizes, self._biases, strict=True)
            for offset in offsets(size)
        ]

    def tabulate(self, x: np.ndarray) -> Tables:
        """Every vector times every weight."""
        return [product(x) for product in self._products]

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        tokens, filters = packing.starts[-1], self.filters
        if packing.is_one and source is None:
            return self._convolve_one(tables)
        y = np.empty((tokens, len(self.kernel_sizes), filters), np.float32)
        buffer = np.empty((tokens, filters), np.float32)
        waiting = iter(tables)
        for convolution, size in enumerate(self.kernel_sizes):
            for number, offset in enumerate(offsets(size)):
                token, outside = packing.shifted(offset)
                table = next(waiting)
                # "clip" writes straight into `out`; all rows are in range
                np.take(table, token if source is None else source[token], axis=0, out=buffer, mode="clip")
                buffer[outside] = 0
                if number == 0:
                    y[:, convolution] = buffer
                else:
                    y[:, convolution] += buffer
        return y.reshape(tokens, -1)

    def _convolve_one(self, tables: Tables) -> np.ndarray:
        """`compute` for one question, whose neighbors are rows above and below."""
        tokens = len(tables[0])
        y = np.zeros((tokens, self.width), np.float32)
        waiting = iter(tables)
        for convolution, size in enumerate(self.kernel_sizes):
            columns = y[:, convolution * self.filters : (convolution + 1) * self.filters]
            for offset in offsets(size):
                start, end = max(0, -offset), tokens - max(0, offset)
                if start < end:
                    columns[start:end] += next(waiting)[start + offset : end + offset]
                else:
                    next(waiting)
        return y

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """One convolution for each width, on words across."""
        present = operators.present_or(graph, 0, inputs[0], questions)
        across = graph.add("Transpose", present, perm=(0, 2, 1))  # float32[batch, width, length]
        columns = np.cumsum(self.kernel_sizes)[:-1] * self.filters
        convolved = []
        kernels = np.split(self.kernel, columns, axis=1)
        for size, weights, bias in zip(self.kernel_sizes, kernels, self._biases, strict=True):
            weights = weights.reshape(-1, size, self.filters).transpose(2, 0, 1)  # [filters, width, size]
            stored = graph.weight(f"{self.name}/kernel_{size}", weights, (1, 2))
            stored_bias = graph.array(f"{self.name}/bias_{size}", bias)
            pads = ((size - 1) // 2, size // 2)
            convolved.append(graph.add("Conv", across, stored, stored_bias, kernel_shape=(size,), pads=pads))
        return graph.add("Transpose", graph.add("Concat", *convolved, axis=1), perm=(0, 2, 1))


def offsets(size: int) -> range:
    """The words that a convolution of this width sees, as Conv1D's "same" padding places them.

    >>> list(offsets(2)), list(offsets(3))
    ([0, 1], [-1, 0, 1])
    """
    return range(-((size - 1) // 2), size // 2 + 1)
