"""ONNX models of a NumPy network: the tower alone, and the whole network with both questions.

Batch and lengths are free, from 1 on. Neither padding nor the other questions of a batch change anything beyond
rounding.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from siamese.export.onnx_graph import Graph
from siamese.inference import onnx_operators as operators
from siamese.inference.layers import Vectors
from siamese.inference.network import NumpyNetwork

TOKENS = "token ids, zeros behind the last token of each question"
VECTORS = "the vector of each question, from the sentence encoder"
BOTH = f"{VECTORS}; behind it {TOKENS}"
TO_THE_END = 2**31 - 1  # of any columns


def tower_model(network: NumpyNetwork, precision: str = "float32") -> onnx.ModelProto:
    """`questions int32[batch, length]`, or `float32[batch, width]`, -> `embedding float32[batch, dimension]`.

    Where an encoder's vector stands beside the words, the questions are `float32[batch, width + length]`.

    Raises:
        ValueError: the precision is unknown, a layer is not written in ONNX, or a weight is too large for the precision.
    """
    graph = Graph(precision)
    embedding = _embed(graph, network, "questions")
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", network.dimension])
    return graph.model("tower", [_input(network, "questions", "length")], [(embedding, output)])


def network_model(network: NumpyNetwork, precision: str = "float32") -> onnx.ModelProto:
    """`left int32[batch, left_length]`, `right int32[batch, right_length]` -> `similarity float32[batch]` in [0, 1].

    Both sides read the same arrays. Errors as in `tower_model`.
    """
    graph = Graph(precision)
    sides = [_embed(graph, network, side) for side in ("left", "right")]
    similarity = network.comparison.onnx(graph, *sides)
    output = helper.make_tensor_value_info("similarity", TensorProto.FLOAT, ["batch"])
    inputs = [_input(network, side, f"{side}_length") for side in ("left", "right")]
    return graph.model("network", inputs, [(similarity, output)])


def _embed(graph: Graph, network: NumpyNetwork, questions: str) -> str:
    """Embeddings `float32[batch, dimension]` of questions as `_input` describes them."""
    words = vectors = questions
    if network.vocabulary and network.vector_width:
        vectors = operators.columns(graph, questions, 0, network.vector_width)
        words = graph.cast(operators.columns(graph, questions, network.vector_width, TO_THE_END), np.int32)
    values: dict[str, str] = {}
    for layer, inputs in network.steps:
        read = vectors if isinstance(layer, Vectors) else words
        values[layer.name] = layer.onnx(graph, [values[name] for name in inputs], read)
    return values[layer.name]


def _input(network: NumpyNetwork, name: str, length: str) -> onnx.ValueInfoProto:
    width = network.vector_width
    if width and network.vocabulary:
        both = ["batch", f"{width} + {length}"]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, both, doc_string=BOTH)
    if width:
        shape: list[str | int | None] = ["batch", width]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape, doc_string=VECTORS)
    return helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", length], doc_string=TOKENS)
