"""Self-attention over the words of a question, and the positions that it tells them apart by (Vaswani et al. 2017)."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from siamese.inference import onnx_operators as operators
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
        return self.add_waves(tables[0], source, packing, _same)

    def add_waves(
        self, table: np.ndarray, source: np.ndarray | None, packing: Packing, linear: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """What a linear map, which the table went through already, makes of the output: `float32[tokens, n]`."""
        steps = len(packing.starts) - 1
        waves = self._mapped_waves(linear, 1 << max(6, (steps - 1).bit_length()))
        y = table.copy() if source is None else table[source]
        if packing.is_one:
            y += waves[:steps]
            return y
        for wave, (start, end) in zip(waves, itertools.pairwise(packing.starts), strict=False):
            y[start:end] += wave
        return y

    def _mapped_waves(self, linear: Callable[[np.ndarray], np.ndarray], steps: int) -> np.ndarray:
        """A linear map of the scaled waves of some steps, `float32[steps, n]`, computed once."""
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

    def tabulate(self, x: np.ndarray) -> Tables:
        """Queries, keys and values, `float32[n, 3 * heads * size]`."""
        return [self.linear(x)]

    def linear(self, x: np.ndarray) -> np.ndarray:
        """x W."""
        return x @ self.kernel

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        """All questions of one length together, so that none is padded."""
        if packing.is_one:
            x = tables[0] if source is None else tables[0][source]
            return self._mix(x[None])[0]
        y = np.empty((packing.starts[-1], self.width), np.float32)
        starts = np.array(packing.starts)
        for length in np.unique(packing.length[packing.length > 0]):
            of_length = np.flatnonzero(packing.length == length)
            token = starts[:length] + of_length[:, None]  # int64[questions, length]
            x = tables[0][token if source is None else source[token]]
            y[token] = self._mix(x)
        return y

    def _mix(self, x: np.ndarray) -> np.ndarray:
        """`float32[questions, length, 3 * heads * size]` -> `float32[questions, length, heads * size]`."""
        q, k, v = x.reshape(*x.shape[:2], 3, self.heads, self.size).transpose(2, 0, 3, 1, 4)
        mixed = _softmax(q @ k.swapaxes(2, 3) * np.float32(self.size**-0.5)) @ v
        return mixed.swapaxes(1, 2).reshape(*x.shape[:2], self.width)

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


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis, in place."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores
