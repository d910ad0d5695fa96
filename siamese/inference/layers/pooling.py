"""Pooling: each question's words -> their mean, their maximum, the last one, or several of them side by side."""

import itertools
from collections.abc import Sequence

import numpy as np

from siamese.inference import onnx_operators as operators
from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing
from siamese.inference.parts import QuestionLayer, Tables, Take, register

WAYS = ("mean", "max", "last", "ends")
LOWEST = float(np.finfo(np.float32).min)


@register
class Pool(QuestionLayer):
    """`float32[questions, len(pooling) * width]`; a question without any word gets zeros.

    "ends": the first half of the numbers is the last token's, the second the first token's.
    """

    keras_classes = ("siamese.model.layers.Pool",)
    settings = ("pooling",)
    rows = "questions"

    def __init__(self, take: Take, width: int, /, pooling: Sequence[str]):
        self.pooling = list(pooling)
        if not self.pooling or len(set(self.pooling) & set(WAYS)) != len(self.pooling):
            raise ValueError(f"pooling must be some of {', '.join(WAYS)}, each once, got {pooling!r}")
        self.width, self.table_width = len(pooling) * width, width
        self.additive = set(self.pooling) <= {"mean", "max"}

    def tabulate(self, x: np.ndarray) -> Tables:
        return [x]

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        [vectors] = tables
        if packing.is_one and source is None and len(vectors):
            return self._pool_one(vectors)
        questions, width = len(packing.length), vectors.shape[1]
        pooled = np.zeros((questions, len(self.pooling), width), np.float32)
        buffer = np.empty((questions if source is not None else 0, width), np.float32)
        for start, end in itertools.pairwise(packing.starts):
            n, words = end - start, vectors[start:end]
            if source is not None:  # "clip" writes straight into `out`; all rows are in range
                words = np.take(vectors, source[start:end], axis=0, out=buffer[:n], mode="clip")
            for column, way in enumerate(self.pooling):
                so_far = pooled[:n, column]
                if start == 0:
                    so_far[...] = words
                elif way == "mean":
                    so_far += words
                elif way == "max":
                    np.maximum(so_far, words, out=so_far)
                else:
                    replaced = width if way == "last" else width // 2
                    so_far[:, :replaced] = words[:, :replaced]
        if "mean" in self.pooling:
            pooled[:, self.pooling.index("mean")] /= np.maximum(packing.length, 1).astype(np.float32)[:, None]
        return pooled.reshape(questions, -1)

    def _pool_one(self, words: np.ndarray) -> np.ndarray:
        """The row of one question, to the bit that of `compute`: NumPy sums along this axis in order."""
        pooled = np.empty((len(self.pooling), words.shape[1]), np.float32)
        for row, way in zip(pooled, self.pooling, strict=True):
            if way == "mean":
                np.add.reduce(words, axis=0, out=row)
                row /= np.float32(len(words))
            elif way == "max":
                np.maximum.reduce(words, axis=0, out=row)
            else:
                replaced = len(row) if way == "last" else len(row) // 2
                row[:replaced], row[replaced:] = words[-1, :replaced], words[0, replaced:]
        return pooled.reshape(1, -1)

    def shares(self, tables: Tables, source: np.ndarray, packing: Packing) -> np.ndarray:
        """What each token adds to its question's row; they sum to it, up to rounding.

        To a mean it adds its vector divided by the number of words; a maximum comes whole from the first word that
        reaches it.
        """
        vectors = tables[0][source]
        shares = np.zeros((len(vectors), len(self.pooling), vectors.shape[1]), np.float32)
        for question in range(len(packing.length)):
            tokens = np.flatnonzero(packing.question == question)
            for column, way in enumerate(self.pooling):
                if way == "mean":
                    shares[tokens, column] = vectors[tokens] / np.float32(len(tokens))
                else:
                    highest, width = vectors[tokens].argmax(axis=0), np.arange(vectors.shape[1])
                    shares[tokens[highest], column, width] = vectors[tokens[highest], width]
        return shares.reshape(len(vectors), -1)

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        width = self.width // len(self.pooling)
        ways = [self._onnx_way(graph, way, inputs[0], questions, width) for way in self.pooling]
        return graph.add("Concat", *ways, axis=-1) if len(ways) > 1 else ways[0]

    @staticmethod
    def _onnx_way(graph: Graph, way: str, x: str, questions: str, width: int) -> str:
        """`float32[batch, length, width]` -> `float32[batch, width]`."""
        if way == "mean":
            words = graph.constant([1], np.int64)
            total = graph.add("ReduceSum", operators.present_or(graph, 0, x, questions), words, keepdims=0)
            length = graph.cast(operators.lengths(graph, questions), np.float32)
            return graph.add("Div", total, graph.add("Unsqueeze", length, words))
        if way in ("last", "ends"):
            present = operators.present_or(graph, 0, x, questions)
            at = graph.add("Sub", operators.lengths(graph, questions), graph.constant(1, np.int32))
            at = graph.add("Unsqueeze", graph.cast(at, np.int64), graph.constant([1], np.int64))
            last = graph.add("GatherND", present, at, batch_dims=1)
            if way == "last":
                return last
            first = graph.add("Gather", present, graph.constant([0], np.int64), axis=1)
            first = graph.add("Squeeze", first, graph.constant([1], np.int64))
            half = width // 2
            ends = operators.columns(graph, last, 0, half), operators.columns(graph, first, half, width)
            return graph.add("Concat", *ends, axis=-1)
        highest = graph.add("ReduceMax", operators.present_or(graph, LOWEST, x, questions), axes=(1,), keepdims=0)
        without_words = graph.add("Equal", highest, graph.constant(LOWEST, np.float32))
        return graph.add("Where", without_words, graph.constant(0, np.float32), highest)
