"""ONNX models of a NumPy network: the tower alone, and the whole network with both questions.

Batch and lengths are free, from 1 on. Neither padding nor the other questions of a batch change anything beyond
rounding.
"""

import onnx
from onnx import TensorProto, helper

from siamese.export.onnx_graph import Graph
from siamese.inference.network import NumpyNetwork

TOKENS = "token ids, zeros behind the last token of each question"
VECTORS = "the vector of each question, from the sentence encoder"


def tower_model(network: NumpyNetwork, precision: str = "float32") -> onnx.ModelProto:
    """`questions int32[batch, length]`, or `float32[batch, width]`, -> `embedding float32[batch, dimension]`.

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
    """Embeddings `float32[batch, dimension]` of questions `int32[batch, length]`, zeros behind the last token."""
    values: dict[str, str] = {}
    for layer, inputs in network.steps:
        values[layer.name] = layer.onnx(graph, [values[name] for name in inputs], questions)
    return values[layer.name]


def _input(network: NumpyNetwork, name: str, length: str) -> onnx.ValueInfoProto:
    if network.vector_width:
        shape: list[str | int | None] = ["batch", network.vector_width]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape, doc_string=VECTORS)
    return helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", length], doc_string=TOKENS)
