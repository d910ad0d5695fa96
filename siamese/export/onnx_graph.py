"""A builder of ONNX graphs with standard operators, in which equal nodes and arrays are shared.

Weights are stored in one of three precisions; all compute in float32:

    float32   as trained
    float16   half the size
    int8      a quarter of the size: round(w / scale), where the largest weight of a channel becomes 127

onnxruntime unpacks weights when it loads the model, and rows of an embedding table when they are read: the file is
smaller, the speed is the same.

Activations stay float32. `onnxruntime.quantization.quantize_dynamic` also quantizes activations, over the range of the
whole batch. Measured with onnxruntime 1.32 on one network of each tower, trained on the shipped questions: dense is
twice as fast at the same ROC AUC. But with a second dense layer, a convolution or an LSTM, scores change with the batch
(by up to 0.002) and equal questions get 0.9999 instead of 1; conv1d takes 3.7 times as long; bilstm loses 0.16 of ROC
AUC.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

PRECISIONS = ("float32", "float16", "int8")
OPSET = 17  # the first with LayerNormalization (ONNX 1.12, 2022)
IR_VERSION = 8  # that came with it
INT8_LIMIT = 127


class Graph:
    """Nodes and arrays. A value is identified by its name, a `str`. Weights are stored in one of PRECISIONS."""

    def __init__(self, precision: str = "float32"):
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        self.precision = precision
        self._nodes: list[onnx.NodeProto] = []
        self._arrays: dict[str, onnx.TensorProto] = {}
        self._outputs: dict[Hashable, str] = {}  # operator, inputs and attributes of a node -> its output

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The output of a node; the same operator on the same inputs is one node."""
        key = (operator, inputs, tuple(attributes.items()))
        if key not in self._outputs:
            output = self._outputs[key] = f"{operator}_{len(self._nodes)}"
            self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return self._outputs[key]

    def array(self, name: str, array: np.ndarray) -> str:
        """An array stored as it is."""
        if name not in self._arrays:
            self._arrays[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)  # a number stays one
        return name

    def constant(self, value: float | int | Sequence[int], dtype: type[np.generic]) -> str:
        """A number, or a list of numbers."""
        return self.array(f"{dtype.__name__} {value}", np.array(value, dtype))

    def cast(self, value: str, dtype: type[np.generic]) -> str:
        """The same numbers in another type."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def weight(self, name: str, array: np.ndarray, channel: tuple[int, ...]) -> str:
        """`float32[...]`, from an array that is stored in the graph's precision.

        `channel` are the axes of one channel, which has one scale in int8; a matrix product sums over them.
        """
        return self._unpacked(*self._stored(name, array, channel))

    def rows(self, name: str, table: np.ndarray, index: str) -> str:
        """`float32[..., width]`, the rows at `index` (`int32[...]`) of a table `float32[rows, width]`."""
        return self._unpacked(*(self.add("Gather", each, index, axis=0) for each in self._stored(name, table, (1,))))

    def _stored(self, name: str, array: np.ndarray, channel: tuple[int, ...]) -> list[str]:
        """An array in the graph's precision, with its scales in int8."""
        if self.precision == "float32":
            return [self.array(name, array)]
        if self.precision == "float16":
            return [self.array(name, to_float16(array, name))]
        values, scale = to_int8(array, channel)
        return [self.array(name, values), self.array(f"{name}/scale", scale)]

    def _unpacked(self, values: str, scale: str | None = None) -> str:
        # not DequantizeLinear, which onnxruntime 1.32 recomputes in every call
        if self.precision == "float32":
            return values
        unscaled = self.cast(values, np.float32)
        return unscaled if scale is None else self.add("Mul", unscaled, scale)

    def model(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[tuple[str, onnx.ValueInfoProto]]
    ) -> onnx.ModelProto:
        """The graph as a model that passes ONNX's checker; each output is the name of a value and its public description."""
        named = [helper.make_node("Identity", [value], [info.name], name=info.name) for value, info in outputs]
        graph = helper.make_graph(
            [*self._nodes, *named], name, inputs, [info for _, info in outputs], list(self._arrays.values())
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="siamese")
        onnx.checker.check_model(model, full_check=True)
        return model


def to_float16(array: np.ndarray, name: str = "a weight") -> np.ndarray:
    """The nearest float16 numbers; ValueError if one is too large."""
    largest = np.abs(array).max(initial=0)
    if not largest <= np.finfo(np.float16).max:
        raise ValueError(f"{name} holds {largest:g}, too large for float16 (65504); leave float16 out of formats")
    return array.astype(np.float16)


def to_int8(array: np.ndarray, channel: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Quantized values and scales: array ≈ values · scale, with an error of at most half a scale.

    Each channel, along the given axes of `float32[...]`, has its own scale.

    Returns:
        `int8[...]` in [-127, 127], and `float32[...]` in which those axes have length 1.

    >>> values, scale = to_int8(np.array([[0.5, -1.0], [0.0, 0.0]], np.float32), channel=(1,))
    >>> values.tolist(), (scale * 127).tolist()
    ([[64, -127], [0, 0]], [[1.0], [127.0]])
    """
    largest = np.abs(array).max(axis=channel, keepdims=True)
    scale = np.where(largest > 0, largest / INT8_LIMIT, 1).astype(np.float32)
    return np.rint(array / scale).astype(np.int8), scale
