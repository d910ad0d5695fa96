"""Self-attention over the words of a question, and the positions that it tells them apart by (Vaswani et al. 2017)."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.layers.products import Product
from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing
from siamese.inference.parts import QuestionLayer, Tables, Take, register, whole

LONGEST_WAVE = 10_000.0  # as in siamese.model.attention
LOWEST = float(np.finfo(np.float32).min)


@register
class PositionalEncoding(QuestionLayer):
    """x + a [sin(t f), cos(t f)] of the token at step t of its question, `float32[words, width]` -> `float32[tokens, width]`."""

    keras_classes = ("siamese.model.attention.PositionalEncoding",)
    weights = ("scale",)

    def __init__(self, take: Take, width: int, /):
        self.width = self.table_width = width
        self.scale = take("scale")
        half = (width + 1) // 2
        self._known_waves: dict[tuple[Callable, int], np.ndarray] = {}
        self._frequencies = (LONGEST_WAVE ** (-np.arange(half) / half)).astype(np.float32)

    def tabulate(self, x: np.ndarray) -> Tables:
        return [x]

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        waves = self.waves(packing, _same)
        if packing.is_one:
            return (tables[0] if source is None else tables[0][source]) + waves
        y = tables[0].copy() if source is None else tables[0][source]
        for wave, (start, end) in zip(waves, itertools.pairwise(packing.starts), strict=True):
            y[start:end] += wave
        return y

    def waves(self, packing: Packing, linear: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """A linear map of the scaled waves of all steps, `float32[steps, n]`."""
        steps = len(packing.starts) - 1
        return self._mapped_waves(linear, 1 << max(6, (steps - 1).bit_length()))[:steps]

    def _mapped_waves(self, linear: Callable[[np.ndarray], np.ndarray], steps: int) -> np.ndarray:
        """The same of some more steps, computed once."""
        if (linear, steps) not in self._known_waves:
            angle = np.arange(steps, dtype=np.float32)[:, None] * self._frequencies
            waves = self.scale * np.concatenate([np.sin(angle), np.cos(angle)], axis=1)[:, : self.width]
            self._known_waves[linear, steps] = linear(waves)
        return self._known_waves[linear, steps]

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """The waves up to the padded length."""
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        length = graph.add("Gather", graph.add("Shape", questions), one, axis=0)
        step = graph.cast(graph.add("Range", zero, length, one), np.float32)
        angle = graph.add(
            "Mul",
            graph.add("Unsqueeze", step, graph.constant([1], np.int64)),
            graph.array(f"{self.name}/f", self._frequencies),
        )
        waves = graph.add("Concat", graph.add("Sin", angle), graph.add("Cos", angle), axis=-1)
        waves = operators.columns(graph, waves, 0, self.width)
        return graph.add("Add", inputs[0], graph.add("Mul", waves, graph.array(f"{self.name}/scale", self.scale)))


@register
class SelfAttention(QuestionLayer):
    """softmax(q kᵀ / √size) v over the words of a question, heads side by side: `float32[tokens, heads * size]`.

    q, k, v = x W. A head has size = width // heads numbers, at least 1.
    """

    keras_classes = ("siamese.model.attention.SelfAttention",)
    settings = ("heads",)
    weights = ("kernel",)

    def __init__(self, take: Take, width: int, /, heads: int):
        self.heads = whole("heads", heads)
        self.size = max(1, width // heads)
        self.width, self.table_width = heads * self.size, 3 * heads * self.size
        self.kernel = take("kernel", width, 3, heads, self.size).reshape(width, self.table_width)
        scale = np.ones(self.table_width, np.float32)
        scale[: self.width] = self.size**-0.5  # of the queries, so that their products are the scores
        self._product = Product(self.kernel * scale)

    def tabulate(self, x: np.ndarray) -> Tables:
        """Queries divided by √size, keys and values, `float32[n, 3 * heads * size]`."""
        return [self.linear(x)]

    def linear(self, x: np.ndarray) -> np.ndarray:
        """x W, as `tabulate`."""
        return self._product(x)

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        return self.compute_encoded(tables, source, packing, None)

    def compute_encoded(
        self, tables: Tables, source: np.ndarray | None, packing: Packing, waves: np.ndarray | None
    ) -> np.ndarray:
        """`compute`, with rows added to the tables for each step, `float32[steps, 3 * heads * size]`, if there are any.

        All questions of one length are computed together, so that none is padded.
        """
        [table] = tables
        y = np.empty((packing.starts[-1], self.width), np.float32)
        if packing.is_one:
            x = table if source is None else table[source]
            self._mix(x if waves is None else x + waves, y)
            return y
        starts = np.array(packing.starts)
        for length in np.unique(packing.length[packing.length > 0]):
            of_length = np.flatnonzero(packing.length == length)
            token = starts[:length] + of_length[:, None]  # int64[questions, length]
            x = table[token if source is None else source[token]]
            if waves is not None:
                x += waves[:length]
            mixed = np.empty((*token.shape, self.width), np.float32)
            self._mix(x, mixed)
            y[token] = mixed
        return y

    def _mix(self, x: np.ndarray, mixed: np.ndarray) -> None:
        """Fill `float32[..., length, heads * size]` from `float32[..., length, 3 * heads * size]`."""
        parts = x.reshape(*x.shape[:-1], 3, self.heads, self.size)
        q, k, v = (parts[..., i, :, :].swapaxes(-3, -2) for i in range(3))  # float32[..., heads, length, size]
        # float32[..., words that are read, heads, words]: reductions over an axis before the last one take whole rows
        weights = np.empty((*x.shape[:-1], self.heads, x.shape[-2]), np.float32)
        by_head = weights.swapaxes(-3, -2)
        np.matmul(k, q.swapaxes(-2, -1), out=by_head)
        weights -= np.maximum.reduce(weights, axis=-3, keepdims=True)
        np.exp(weights, out=weights)
        weights /= np.add.reduce(weights, axis=-3, keepdims=True)
        mixed_by_head = mixed.reshape(*x.shape[:-1], self.heads, self.size).swapaxes(-3, -2)
        np.matmul(by_head.swapaxes(-2, -1), v, out=mixed_by_head)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """On padded questions, where no word reads padding."""
        x = graph.add("MatMul", inputs[0], graph.weight(f"{self.name}/kernel", self.kernel, (0,)))
        split = graph.add("Reshape", x, graph.constant([0, 0, 3, self.heads, self.size], np.int64))
        across = graph.add("Transpose", split, perm=(2, 0, 3, 1, 4))  # float32[3, batch, heads, length, size]
        q, k, v = (graph.add("Gather", across, graph.constant(each, np.int64), axis=0) for each in range(3))
        scores = graph.add("MatMul", q, graph.add("Transpose", k, perm=(0, 1, 3, 2)))
        scores = graph.add("Mul", scores, graph.constant(self.size**-0.5, np.float32))
        absent = graph.add("Unsqueeze", operators.absent(graph, questions), graph.constant([1, 2], np.int64))
        weights = graph.add("Softmax", graph.add("Where", absent, graph.constant(LOWEST, np.float32), scores), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", weights, v), perm=(0, 2, 1, 3))
        return graph.add("Reshape", mixed, graph.constant([0, 0, self.width], np.int64))


def _same(x: np.ndarray) -> np.ndarray:
    return x
