"""Similarities: two embeddings -> a number in [0, 1], in NumPy, in ONNX and as a distance of points.

The formulas and their reasons are in siamese/model/similarity.py. Each is symmetric to the bit.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.onnx_operators import EPSILON, Graph
from siamese.inference.parts import Part, Take, positive, register, whole
from siamese.model.powers import POWER, checked_power


class Similarity(Part):
    """A similarity of two embeddings.

    Attributes:
        formula: in words, for users who compare embeddings u, v themselves; {name} is a setting.
        unit: whether an embedding is scaled to length 1 to become a point.
    """

    formula: ClassVar[str] = "what the whole network computes"
    unit: ClassVar[bool] = False

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """`float32[pairs, dimension]` twice -> `float32[pairs]` in [0, 1]."""
        raise NotImplementedError

    def onnx(self, graph: Graph, left: str, right: str) -> str:
        """The same in an ONNX graph: `float32[batch, dimension]` twice -> `float32[batch]`."""
        raise self.no_onnx()

    def radius(self, threshold: float) -> float | None:
        """The maximal Euclidean distance of two points whose similarity reaches a threshold in (0, 1].

        None if there is no useful bound: then the nearest points are candidates, and the similarity decides among them.
        """
        return None


@register
class Cosine(Similarity):
    """((1 + cos(u, v)) / 2)ᵖ, that is (1 - d² / 4)ᵖ at the distance d of the points; p is a power of 2, and 4 if not given."""

    keras_classes = ("siamese.model.similarity.Cosine",)
    formula = "((1 + cos(u, v)) / 2) ** {power}"
    unit = True

    def __init__(self, take: Take, dimension: int, /, power: int = POWER):
        self.power = checked_power(power)

    @classmethod
    def keras_settings(cls, layer: Any) -> dict[str, Any]:
        return {} if layer.power == POWER else {"power": layer.power}

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """1 + cos from |u/|u| - v/|v||², so that equal embeddings give exactly 1."""
        apart = _unit(left) - _unit(right)
        similarity = np.maximum(1 - _squares(apart) / 4, 0)
        for _ in range(self.power.bit_length() - 1):
            similarity = np.square(similarity)
        return similarity

    def onnx(self, graph: Graph, left: str, right: str) -> str:
        apart = operators.squares(graph, graph.add("Sub", operators.unit(graph, left), operators.unit(graph, right)))
        quarter = graph.add("Div", apart, graph.constant(4, np.float32))
        similarity = graph.add("Relu", operators.one_minus(graph, quarter))
        for _ in range(self.power.bit_length() - 1):
            similarity = operators.square(graph, similarity)
        return similarity

    def radius(self, threshold: float) -> float:
        return float(2 * np.sqrt(1 - threshold ** (1 / self.power)))


@register
class Hybrid(Cosine):
    """The same formula: the tower has made one unit vector of embedding and lexical blocks."""

    keras_classes = ("siamese.model.similarity.Hybrid",)


@register
class Euclidean(Similarity):
    """1 / (1 + |u - v|₂ / scale)."""

    keras_classes = ("siamese.model.similarity.Euclidean",)
    settings = ("scale",)
    formula = "1 / (1 + |u - v|₂ / {scale})"

    def __init__(self, take: Take, dimension: int, /, scale: float):
        self.scale = positive("scale", scale)

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """1 - d / (d + scale), exactly 1 at d = 0."""
        distance = _norm(left - right)
        return 1 - distance / (distance + np.float32(self.scale))

    def onnx(self, graph: Graph, left: str, right: str) -> str:
        distance = operators.norm(graph, graph.add("Sub", left, right))
        beyond = graph.add("Add", distance, graph.constant(self.scale, np.float32))
        return operators.one_minus(graph, graph.add("Div", distance, beyond))

    def radius(self, threshold: float) -> float:
        return float(self.scale * (1 - threshold) / threshold)


@register
class Manhattan(Similarity):
    """exp(-|u - v|₁).

    It is at most exp(-d) at the distance d, a bound too loose to be useful: in 600 dimensions |u - v|₁ is about
    twenty times d. So there is no radius.
    """

    keras_classes = ("siamese.model.similarity.Manhattan",)
    formula = "exp(-|u - v|₁), |·|₁ being the sum of absolute values"

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.exp(-np.abs(left - right).sum(axis=-1))

    def onnx(self, graph: Graph, left: str, right: str) -> str:
        distance = operators.total(graph, graph.add("Abs", graph.add("Sub", left, right)))
        return graph.add("Exp", graph.add("Neg", distance))


@register
class Learned(Similarity):
    """sigmoid(c - softplus(c - m) · tanh(5 r)), with a ReLU network m of |u - v| and u·v."""

    keras_classes = ("siamese.model.similarity.Learned",)
    settings = ("units",)
    formula = "made by layers of its own, which only the whole network has"
    unit = True

    def __init__(self, take: Take, dimension: int, /, units: Sequence[int]):
        widths = [2 * dimension, *(whole("units", each) for each in units), 1]
        self.layers = [  # kernel and bias of each ReLU layer, and of the output m
            (take(f"{i}/kernel", *widths[i : i + 2]), take(f"{i}/bias", widths[i + 1])) for i in range(len(widths) - 1)
        ]
        self.ceiling = take("ceiling")  # c, float32[]

    @classmethod
    def keras_weights(cls, layer: Any) -> dict[str, Any]:
        layers = enumerate([*layer.hidden, layer.output_layer])
        weights = {f"{i}/{name}": getattr(each, name) for i, each in layers for name in ("kernel", "bias")}
        return weights | {"ceiling": layer.ceiling}

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The layers' matrix products, each over all pairs at once."""
        difference = left - right
        dimension = left.shape[1]
        (kernel, bias), *others = self.layers
        # the product of the concatenation of |u - v| and u·v, without the copy
        x = np.abs(difference) @ kernel[:dimension]
        x += (left * right) @ kernel[dimension:]
        x += bias
        for kernel, bias in others:
            x = np.maximum(x, 0, out=x) @ kernel
            x += bias
        below = np.logaddexp(np.float32(0), self.ceiling - x[:, 0])  # softplus
        r = _norm(difference) / (_norm(left) + _norm(right) + np.sqrt(np.float32(EPSILON)))
        return (1 + np.tanh((self.ceiling - below * np.tanh(5 * r)) / 2)) / 2  # sigmoid(x) = (1 + tanh(x / 2)) / 2

    def onnx(self, graph: Graph, left: str, right: str) -> str:
        difference = graph.add("Sub", left, right)
        x = graph.add("Concat", graph.add("Abs", difference), graph.add("Mul", left, right), axis=-1)
        for i, (kernel, bias) in enumerate(self.layers):
            x = operators.dense(graph, f"{self.name}/{i}", graph.add("Relu", x) if i else x, kernel, bias)
        m = graph.add("Squeeze", x, graph.constant([1], np.int64))
        ceiling = graph.array(f"{self.name}/ceiling", self.ceiling)
        below = graph.add("Softplus", graph.add("Sub", ceiling, m))
        norms = graph.add("Add", operators.norm(graph, left), operators.norm(graph, right))
        widest = graph.add("Add", norms, graph.constant(EPSILON**0.5, np.float32))
        r = graph.add("Div", operators.norm(graph, difference), widest)
        rise = graph.add("Tanh", graph.add("Mul", graph.constant(5, np.float32), r))
        return graph.add("Sigmoid", graph.add("Sub", ceiling, graph.add("Mul", below, rise)))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.maximum(_squares(x), np.float32(EPSILON)))[:, None]


def _norm(x: np.ndarray) -> np.ndarray:
    square = _squares(x)
    return square / (np.sqrt(square + np.float32(EPSILON)) + np.sqrt(np.float32(EPSILON)))


def _squares(x: np.ndarray) -> np.ndarray:
    return np.einsum("pd,pd->p", x, x)
