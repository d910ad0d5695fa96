"""Layers that treat each row alone: a distinct word, a token or a question."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.layers.products import Product
from siamese.inference.onnx_operators import Graph
from siamese.inference.parts import RowLayer, Take, positive, register, whole

NOTHING = 1e-4  # as in siamese.model.layers


@register
class Embedding(RowLayer):
    """The vector of each token id, a row of a table `float32[ids, width]`.

    Attributes:
        ids: rows of the table.
    """

    keras_classes = ("keras.layers.Embedding", "siamese.model.layers.WordEmbedding")

    def __init__(self, take: Take, _: int, /, ids: int, width: int):
        self.ids, self.width = whole("ids", ids), whole("width", width)
        self.embeddings = take("embeddings", ids, width)

    @classmethod
    def keras_settings(cls, layer: Any) -> dict[str, Any]:
        return {"ids": layer.input_dim, "width": layer.output_dim}

    @classmethod
    def keras_weights(cls, layer: Any) -> dict[str, Any]:
        """The rows as the tower reads them."""
        return {"embeddings": getattr(layer, "rows", layer.embeddings)}

    def compute(self, ids: np.ndarray) -> np.ndarray:
        """`int64[n]` -> `float32[n, width]`."""
        return np.take(self.embeddings, ids, axis=0)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        return graph.rows(f"{self.name}/embeddings", self.embeddings, questions)


@register
class Vectors(RowLayer):
    """The vectors that an encoder gave: where a tower begins that reads questions, instead of token ids or beside them."""

    def __init__(self, take: Take, _: int, /, width: int):
        self.width = whole("width", width)

    keras_classes = ("keras.layers.InputLayer", "siamese.model.joined.EncoderVector")

    @classmethod
    def keras_settings(cls, layer: Any) -> dict[str, Any]:
        """Their width."""
        return {"width": layer.width if hasattr(layer, "width") else layer.batch_shape[-1]}

    def compute(self, vectors: np.ndarray) -> np.ndarray:
        """`float32[questions, width]` -> the same."""
        return vectors

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """The input itself."""
        return questions


@register
class Columns(RowLayer):
    """Some of the numbers of each vector, those from `start` up to `end`."""

    keras_classes = ("siamese.model.layers.Columns",)
    settings = ("start", "end")
    additive = True

    def __init__(self, take: Take, width: int, /, start: int, end: int):
        if not 0 <= start < end <= width:
            raise ValueError(f"columns {start} to {end} do not lie within 0 to {width}")
        self.start, self.end, self.width = start, end, end - start

    def compute(self, x: np.ndarray) -> np.ndarray:
        """`float32[n, width]` -> `float32[n, end - start]`, a view."""
        return x[:, self.start : self.end]

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        return operators.columns(graph, inputs[0], self.start, self.end)


@register
class UnitBlocks(RowLayer):
    """√share · [x, ε] / |[x, ε]| of each block x, side by side; the last blocks have these widths, the first the rest."""

    keras_classes = ("siamese.model.layers.UnitBlocks",)
    settings = ("widths",)
    weights = ("shares",)

    def __init__(self, take: Take, width: int, /, widths: Sequence[int]):
        self.widths = [whole("widths", each) for each in (width - sum(widths), *widths)]
        self.width = width + len(self.widths)
        self.shares = take("shares", len(self.widths))
        if not (self.shares >= 0).all():
            raise ValueError(f"the shares must be 0 or more, got {self.shares}")

    def compute(self, *inputs: np.ndarray) -> np.ndarray:
        """`float32[n, dimension]`, `float32[n, sum(widths)]` -> `float32[n, both + blocks]`."""
        embedding, lexical = inputs
        blocks = [embedding, *np.split(lexical, np.cumsum(self.widths[1:-1]), axis=1)]
        scaled = []
        for block, root in zip(blocks, np.sqrt(self.shares), strict=True):
            factor = root / np.sqrt(np.einsum("nw,nw->n", block, block) + np.float32(NOTHING**2))[:, None]
            scaled += [block * factor, np.float32(NOTHING) * factor]
        return np.concatenate(scaled, axis=1)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        ends = np.cumsum(self.widths[1:]).tolist()
        cuts = zip([0, *ends], ends, strict=False)
        blocks = [inputs[0], *(operators.columns(graph, inputs[1], *cut) for cut in cuts)]
        scaled = []
        for i, (block, root) in enumerate(zip(blocks, np.sqrt(self.shares), strict=True)):
            square = graph.add("ReduceSum", operators.square(graph, block), graph.constant([1], np.int64), keepdims=1)
            length = graph.add("Sqrt", graph.add("Add", square, graph.constant(NOTHING**2, np.float32)))
            factor = graph.add("Div", graph.array(f"{self.name}/root_{i}", root), length)
            nothing = graph.constant(NOTHING, np.float32)
            scaled += [graph.add("Mul", block, factor), graph.add("Mul", nothing, factor)]
        return graph.add("Concat", *scaled, axis=-1)


@register
class Add(RowLayer):
    """The sum of vectors of one width."""

    keras_classes = ("keras.layers.Add",)
    additive = True

    def __init__(self, take: Take, width: int, /, inputs: int):
        self.inputs, self.width = inputs, width // whole("inputs", inputs)

    @classmethod
    def keras_settings(cls, layer: Any) -> dict[str, Any]:
        """The number of its inputs."""
        return {"inputs": len(layer.input)}

    def compute(self, *inputs: np.ndarray) -> np.ndarray:
        """`float32[n, width]` each -> `float32[n, width]`."""
        return sum(inputs[1:], inputs[0])

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """ONNX's own operator."""
        return graph.add("Sum", *inputs)


@register
class Dense(RowLayer):
    """x W + b: `float32[n, width]` -> `float32[n, units]`."""

    keras_classes = ("keras.layers.Dense",)
    settings = ("units",)
    weights = ("kernel", "bias")
    required = (("use_bias", True), ("activation", "linear"))

    def __init__(self, take: Take, width: int, /, units: int):
        self.width = whole("units", units)
        self.kernel, self.bias = take("kernel", width, units), take("bias", units)
        self._product = Product(self.kernel, self.bias)

    def compute(self, x: np.ndarray) -> np.ndarray:
        return self._product(x)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        return operators.dense(graph, self.name, inputs[0], self.kernel, self.bias)


@register
class LayerNormalization(RowLayer):
    """γ (x - mean) / √(variance + ε) + β over the last axis (Ba et al. 2016): `float32[n, width]` -> the same."""

    keras_classes = ("keras.layers.LayerNormalization",)
    settings = ("epsilon",)
    weights = ("gamma", "beta")
    required = (("center", True), ("scale", True), ("rms_scaling", False), ("axis", [-1]))

    def __init__(self, take: Take, width: int, /, epsilon: float):
        self.width, self.epsilon = width, positive("epsilon", epsilon)
        self.gamma, self.beta = take("gamma", width), take("beta", width)
        self._averaging = np.full(width, 1 / width, np.float32)
        # for the sum of the squares in place of the variance
        self._epsilon, self._gamma = np.float32(width * epsilon), self.gamma * np.float32(width**0.5)

    def compute(self, x: np.ndarray) -> np.ndarray:
        y = x - np.vecdot(x, self._averaging)[:, None]
        y /= np.sqrt(np.vecdot(y, y) + self._epsilon)[:, None]
        y *= self._gamma
        y += self.beta
        return y

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        scale = [graph.array(f"{self.name}/gamma", self.gamma), graph.array(f"{self.name}/beta", self.beta)]
        return graph.add("LayerNormalization", inputs[0], *scale, axis=-1, epsilon=self.epsilon)


@register
class ReLU(RowLayer):
    """max(x, 0)."""

    keras_classes = ("keras.layers.ReLU",)
    required = (("max_value", None), ("negative_slope", 0), ("threshold", 0))

    def compute(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, np.float32(0), out=x if self.in_place else None)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        return graph.add("Relu", inputs[0])


@register
class Concatenate(RowLayer):
    """Vectors side by side."""

    keras_classes = ("keras.layers.Concatenate",)
    required = (("axis", -1),)
    additive = True

    def compute(self, *inputs: np.ndarray) -> np.ndarray:
        """`float32[n, ...]` each -> `float32[n, width]`."""
        return np.concatenate(inputs, axis=-1)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        return graph.add("Concat", *inputs, axis=-1)
