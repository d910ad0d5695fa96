"""Vectors of distinct words -> vectors of tokens, to lie beside what depends on the neighbors."""

from collections.abc import Sequence

import numpy as np

from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing
from siamese.inference.parts import QuestionLayer, Tables, Take, register


@register
class TokenVectors(QuestionLayer):
    """The vector of each token's word: `float32[words, width]` -> `float32[tokens, width]`."""

    keras_classes = ("siamese.model.layers.TokenVectors",)

    def __init__(self, take: Take, width: int, /):
        self.width = self.table_width = width

    def tabulate(self, x: np.ndarray) -> Tables:
        return [x]

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        return tables[0] if source is None else tables[0][source]

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """The input itself: in ONNX each token has a vector."""
        return inputs[0]
