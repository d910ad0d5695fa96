"""What parts are written with in ONNX: the graph, and what several parts need. No ONNX is imported here.

A value is known by its name, a `str`; the same operator on the same inputs is one node.
"""

from typing import Any

import numpy as np

EPSILON = 1e-12
Graph = Any  # siamese.export.onnx_graph.Graph, where its methods are described


def dense(graph: Graph, name: str, x: str, kernel: np.ndarray, bias: np.ndarray) -> str:
    """x W + b, of the arrays name/kernel and name/bias."""
    product = graph.add("MatMul", x, graph.weight(f"{name}/kernel", kernel, (0,)))
    return graph.add("Add", product, graph.array(f"{name}/bias", bias))


def present_or(graph: Graph, value: float, x: str, questions: str) -> str:
    """x, `float32[batch, length, width]`, with this value at padded places."""
    at_padding = graph.add("Unsqueeze", absent(graph, questions), graph.constant([2], np.int64))
    return graph.add("Where", at_padding, graph.constant(value, np.float32), x)


def lengths(graph: Graph, questions: str) -> str:
    """`int32[batch]`: tokens of each question; 1 for one without any, because not every runtime reads no step."""
    present = graph.cast(graph.add("Not", absent(graph, questions)), np.int32)
    count = graph.add("ReduceSum", present, graph.constant([1], np.int64), keepdims=0)
    return graph.add("Max", count, graph.constant(1, np.int32))


def absent(graph: Graph, questions: str) -> str:
    """`bool[batch, length]`: where there is padding."""
    return graph.add("Equal", questions, graph.constant(0, np.int32))


def columns(graph: Graph, x: str, start: int, end: int) -> str:
    """x[:, start:end]: `float32[batch, width]` -> `float32[batch, end - start]`."""
    return graph.add("Slice", x, *(graph.constant([each], np.int64) for each in (start, end, 1)))


def one_minus(graph: Graph, x: str) -> str:
    """1 - x."""
    return graph.add("Sub", graph.constant(1, np.float32), x)


def unit(graph: Graph, x: str) -> str:
    """x / |x|, and 0 for a zero vector: `float32[batch, dimension]` -> the same."""
    square = graph.add("Max", squares(graph, x), graph.constant(EPSILON, np.float32))
    return graph.add("Div", x, graph.add("Unsqueeze", graph.add("Sqrt", square), graph.constant([1], np.int64)))


def norm(graph: Graph, x: str) -> str:
    """|x|₂, exactly 0 at 0: `float32[batch, dimension]` -> `float32[batch]`."""
    square = squares(graph, x)
    root = graph.add("Sqrt", graph.add("Add", square, graph.constant(EPSILON, np.float32)))
    return graph.add("Div", square, graph.add("Add", root, graph.constant(EPSILON**0.5, np.float32)))


def squares(graph: Graph, x: str) -> str:
    """|x|₂²: `float32[batch, dimension]` -> `float32[batch]`."""
    return total(graph, square(graph, x))


def square(graph: Graph, x: str) -> str:
    """x² of each number."""
    return graph.add("Mul", x, x)


def total(graph: Graph, x: str) -> str:
    """Sum over the last axis: `float32[batch, dimension]` -> `float32[batch]`."""
    return graph.add("ReduceSum", x, graph.constant([1], np.int64), keepdims=0)
