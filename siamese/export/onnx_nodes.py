"""Nodes: what each layer and similarity of a light network is in ONNX's operators.

The formulas are those of siamese/light/layers.py and similarities.py; here questions are padded. A value at a
padded place may be anything, so whatever looks along a question leaves these places out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from siamese.export.onnx_graph import Graph
from siamese.inference.network import NumpyNetwork

LOWEST = float(np.finfo(np.float32).min)
EPSILON = 1e-12
IOFG = [0, 2, 1, 3]  # ONNX's order of an LSTM's gates, by their places in the project's i, f, o, g


def embed(graph: Graph, network: NumpyNetwork, questions: str) -> str:
    """Embeddings `float32[batch, dimension]` of questions `int32[batch, length]`, zeros behind the last token."""
    values: dict[str, str] = {}
    for step in network.description["tower"]:
        inputs = [values[name] for name in step["inputs"]]
        prefix = f"{step['name']}/"
        arrays = {name.removeprefix(prefix): array for name, array in network.arrays.items() if name.startswith(prefix)}
        values[step["name"]] = _layer(graph, step, arrays, inputs, questions)
    return values[network.description["tower"][-1]["name"]]


def _layer(graph: Graph, step: dict[str, Any], arrays: dict[str, Any], inputs: Sequence[str], questions: str) -> str:
    """The output of one step; words have `float32[batch, length, width]`, what is pooled `float32[batch, width]`."""
    layer, name, config = step["layer"], step["name"], step["config"]
    match layer:
        case "Embedding":
            return graph.rows(f"{name}/embeddings", arrays["embeddings"], questions)
        case "Dense":
            return _dense(graph, name, inputs[0], arrays["kernel"], arrays["bias"])
        case "LayerNormalization":
            scale = [graph.array(f"{name}/{each}", arrays[each]) for each in ("gamma", "beta")]
            return graph.add("LayerNormalization", inputs[0], *scale, axis=-1, epsilon=config["epsilon"])
        case "ReLU":
            return graph.add("Relu", inputs[0])
        case "Concatenate":
            return graph.add("Concat", *inputs, axis=-1)
        case "NGrams":
            return _ngrams(graph, name, inputs[0], questions, **arrays, **config)
        case "BidirectionalLSTM":
            return _bidirectional_lstm(graph, name, inputs[0], questions, **arrays, **config)
        case "Pool":
            ways = [_pool(graph, way, inputs[0], questions) for way in config["pooling"]]
            return graph.add("Concat", *ways, axis=-1) if len(ways) > 1 else ways[0]
    raise ValueError(f"{name} is a layer of the kind {layer}, which this export does not know; teach it in {__name__}")


def _dense(graph: Graph, name: str, x: str, kernel: np.ndarray, bias: np.ndarray) -> str:
    product = graph.add("MatMul", x, graph.weight(f"{name}/kernel", kernel, (0,)))
    return graph.add("Add", product, graph.array(f"{name}/bias", bias))


def _ngrams(
    graph: Graph,
    name: str,
    x: str,
    questions: str,
    kernel: np.ndarray,
    bias: np.ndarray,
    filters: int,
    kernel_sizes: Sequence[int],
) -> str:
    """`kernel float32[width, sum(kernel_sizes) * filters]`: columns by kernel size, then word, then filter."""
    across = graph.add("Transpose", _present_or(graph, 0, x, questions), perm=(0, 2, 1))  # [batch, width, length]
    columns = np.cumsum(kernel_sizes)[:-1] * filters
    convolved = []
    for size, weights, each_bias in zip(
        kernel_sizes, np.split(kernel, columns, axis=1), np.split(bias, len(kernel_sizes)), strict=True
    ):
        weights = weights.reshape(-1, size, filters).transpose(2, 0, 1)  # [filters, width, size]
        stored = graph.weight(f"{name}/kernel_{size}", weights, (1, 2))
        stored_bias = graph.array(f"{name}/bias_{size}", each_bias)
        pads = ((size - 1) // 2, size // 2)
        convolved.append(graph.add("Conv", across, stored, stored_bias, kernel_shape=(size,), pads=pads))
    return graph.add("Transpose", graph.add("Concat", *convolved, axis=1), perm=(0, 2, 1))


def _bidirectional_lstm(
    graph: Graph,
    name: str,
    x: str,
    questions: str,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    units: int,
) -> str:
    """`kernel float32[width, 8 * units]`, `recurrent_kernel float32[2, units, 4 * units]`, `bias float32[8 * units]`."""

    def gates_first(columns: np.ndarray) -> np.ndarray:
        """`[n, directions * 4 * units]` -> `[directions, 4 * units, n]`, the gates in ONNX's order."""
        return (
            columns.reshape(len(columns), -1, 4, units)[:, :, IOFG]
            .reshape(len(columns), -1, 4 * units)
            .transpose(1, 2, 0)
        )

    kernels = gates_first(kernel)
    recurrent = np.concatenate([gates_first(each) for each in recurrent_kernel])
    biases = gates_first(bias[None])[..., 0]  # [2, 4 * units]; ONNX has a second one for the recurrent product
    step_first = graph.add(
        "LSTM",
        graph.add("Transpose", x, perm=(1, 0, 2)),
        graph.weight(f"{name}/kernel", kernels, (2,)),
        graph.weight(f"{name}/recurrent_kernel", recurrent, (2,)),
        graph.array(f"{name}/bias", np.concatenate([biases, np.zeros_like(biases)], axis=1)),
        _length(graph, questions),
        direction="bidirectional",
        hidden_size=units,
    )  # float32[length, 2, batch, units]
    both = graph.add("Transpose", step_first, perm=(2, 0, 1, 3))
    return graph.add("Reshape", both, graph.constant([0, 0, 2 * units], np.int64))


def _pool(graph: Graph, way: str, x: str, questions: str) -> str:
    """`float32[batch, length, width]` -> `float32[batch, width]`: the mean or maximum of each question's words."""
    if way == "mean":
        words = graph.constant([1], np.int64)
        total = graph.add("ReduceSum", _present_or(graph, 0, x, questions), words, keepdims=0)
        length = graph.add("Cast", _length(graph, questions), to=TensorProto.FLOAT)
        return graph.add("Div", total, graph.add("Unsqueeze", length, words))
    highest = graph.add("ReduceMax", _present_or(graph, LOWEST, x, questions), axes=(1,), keepdims=0)
    without_words = graph.add("Equal", highest, graph.constant(LOWEST, np.float32))
    return graph.add("Where", without_words, graph.constant(0, np.float32), highest)


def _present_or(graph: Graph, value: float, x: str, questions: str) -> str:
    """x with a value of its own at padded places."""
    absent = graph.add("Unsqueeze", _absent(graph, questions), graph.constant([2], np.int64))
    return graph.add("Where", absent, graph.constant(value, np.float32), x)


def _absent(graph: Graph, questions: str) -> str:
    """`bool[batch, length]`: where there is padding."""
    return graph.add("Equal", questions, graph.constant(0, np.int32))


def _length(graph: Graph, questions: str) -> str:
    """`int32[batch]`: tokens of each question; 1 for one without any, because not every runtime reads no step."""
    present = graph.add("Cast", graph.add("Not", _absent(graph, questions)), to=TensorProto.INT32)
    count = graph.add("ReduceSum", present, graph.constant([1], np.int64), keepdims=0)
    return graph.add("Max", count, graph.constant(1, np.int32))


def compare(graph: Graph, network: NumpyNetwork, left: str, right: str) -> str:
    """Similarities `float32[batch]` in [0, 1] of embeddings, `float32[batch, dimension]` each."""
    description = network.description["similarity"]
    layer, config = description["layer"], description["config"]
    match layer:
        case "Cosine":  # ((1 + cos(u, v)) / 2)⁴
            apart = _squares(graph, graph.add("Sub", _unit(graph, left), _unit(graph, right)))
            quarter = graph.add("Div", apart, graph.constant(4, np.float32))
            return _square(graph, _square(graph, graph.add("Relu", _one_minus(graph, quarter))))
        case "Euclidean":  # 1 / (1 + |u - v|₂ / scale)
            distance = _norm(graph, graph.add("Sub", left, right))
            beyond = graph.add("Add", distance, graph.constant(config["scale"], np.float32))
            return _one_minus(graph, graph.add("Div", distance, beyond))
        case "Manhattan":  # exp(-|u - v|₁)
            distance = _sum(graph, graph.add("Abs", graph.add("Sub", left, right)))
            return graph.add("Exp", graph.add("Neg", distance))
        case "Learned":
            return _learned(graph, network.arrays, left, right)
    raise ValueError(f"{layer} is a similarity that this export does not know; teach it in {__name__}")


def _learned(graph: Graph, arrays: dict[str, np.ndarray], left: str, right: str) -> str:
    """sigmoid(c - softplus(c - m) · tanh(5 r)), with a ReLU network m of |u - v| and u·v."""
    difference = graph.add("Sub", left, right)
    x = graph.add("Concat", graph.add("Abs", difference), graph.add("Mul", left, right), axis=-1)
    layers = sum(name.startswith("similarity/") and name.endswith("/kernel") for name in arrays)
    for number in range(layers):
        name = f"similarity/{number}"
        x = graph.add("Relu", x) if number else x
        x = _dense(graph, name, x, arrays[f"{name}/kernel"], arrays[f"{name}/bias"])
    m = graph.add("Squeeze", x, graph.constant([1], np.int64))
    ceiling = graph.array("similarity/ceiling", arrays["similarity/ceiling"])
    below = graph.add("Softplus", graph.add("Sub", ceiling, m))
    norms = graph.add("Add", _norm(graph, left), _norm(graph, right))
    widest = graph.add("Add", norms, graph.constant(EPSILON**0.5, np.float32))
    r = graph.add("Div", _norm(graph, difference), widest)
    rise = graph.add("Tanh", graph.add("Mul", graph.constant(5, np.float32), r))
    return graph.add("Sigmoid", graph.add("Sub", ceiling, graph.add("Mul", below, rise)))


def _one_minus(graph: Graph, x: str) -> str:
    return graph.add("Sub", graph.constant(1, np.float32), x)


def _unit(graph: Graph, x: str) -> str:
    """x / |x|, and 0 for a zero vector."""
    square = graph.add("Max", _squares(graph, x), graph.constant(EPSILON, np.float32))
    return graph.add("Div", x, graph.add("Unsqueeze", graph.add("Sqrt", square), graph.constant([1], np.int64)))


def _norm(graph: Graph, x: str) -> str:
    """|x|₂ over the last axis, exactly 0 at 0."""
    square = _squares(graph, x)
    root = graph.add("Sqrt", graph.add("Add", square, graph.constant(EPSILON, np.float32)))
    return graph.add("Div", square, graph.add("Add", root, graph.constant(EPSILON**0.5, np.float32)))


def _squares(graph: Graph, x: str) -> str:
    return _sum(graph, _square(graph, x))


def _square(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, x)


def _sum(graph: Graph, x: str) -> str:
    return graph.add("ReduceSum", x, graph.constant([1], np.int64), keepdims=0)
