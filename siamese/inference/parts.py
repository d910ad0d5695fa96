"""Parts: layers and similarities, each described once for Keras, NumPy and ONNX, and registered by its kind."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from siamese.inference.onnx_operators import Graph
from siamese.inference.packing import Packing

Arrays = dict[str, np.ndarray]
Take = Callable[..., np.ndarray]  # name of a weight, expected shape -> its array, checked
Tables = list[np.ndarray]  # each float32[n, width]


class Part:
    """The interface of layers and similarities. The name of the class is its kind in `light.json`.

    Args:
        take: gives the part's arrays.
        width: of its inputs together; for a similarity that of an embedding.
        settings: by name.

    Attributes:
        keras_classes: import paths of the equivalent Keras classes; subclasses do not match, they may compute anything.
        settings, weights: attributes of the Keras layer that `light.json` keeps, and those that are its weights.
        required: names and values that the config of the Keras layer must have to be equivalent.
        name: of the layer; its arrays are called "name/weight".
    """

    keras_classes: ClassVar[tuple[str, ...]]
    settings: ClassVar[tuple[str, ...]] = ()
    weights: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[tuple[str, Any], ...]] = ()
    name: str

    def __init__(self, take: Take, width: int, /, **settings: Any):
        if settings:
            raise TypeError(f"{type(self).__name__} has no settings, got {settings}")

    @classmethod
    def keras_settings(cls, layer: Any) -> dict[str, Any]:
        """The settings of a Keras layer by the names that the constructor takes them by."""
        return {name: getattr(layer, name) for name in cls.settings}

    @classmethod
    def keras_weights(cls, layer: Any) -> dict[str, Any]:
        """The weights of a Keras layer by the names that the constructor takes them by."""
        return {name: getattr(layer, name) for name in cls.weights}

    def no_onnx(self) -> ValueError:
        """The error of a part without ONNX."""
        return ValueError(f"{self.name}, a {type(self).__name__}, is not written in ONNX; give it a method onnx")


class Layer(Part):
    """A layer of a tower.

    Attributes:
        width: of its output.
        additive: whether its output for a question is the sum of its outputs for each of the tokens.
    """

    additive: bool = False
    width: int

    def onnx(self, graph: Graph, inputs: Sequence[str], questions: str) -> str:
        """The output in an ONNX graph.

        Args:
            graph: gets the nodes.
            inputs: `float32[batch, length, width]` each, or `float32[batch, width]` behind the pooling. Values
                at padded positions are arbitrary, so layers along a question mask them.
            questions: `int32[batch, length]`, token ids with zeros behind the last one.
        """
        raise self.no_onnx()


class RowLayer(Layer):
    """A layer that treats each row alone. A row is a distinct word, a token or, after the pooling, a question.

    Attributes:
        compute: its inputs, `float32[n, width]` each -> `float32[n, width]`.
        in_place: whether `compute` may overwrite its input, because nothing else reads it.
    """

    compute: Callable[..., np.ndarray]
    in_place = False

    def __init__(self, take: Take, width: int, /, **settings: Any):
        super().__init__(take, width, **settings)
        self.width = width


class QuestionLayer(Layer):
    """A layer over all words of a question, in two stages.

    Whatever depends on one vector alone is computed once for each distinct word, as tables; tokens then gather and add.

    Attributes:
        rows: what a row of the output belongs to, "tokens" or "questions".
        table_width: of all its tables together.
    """

    rows: ClassVar[str] = "tokens"
    table_width: int

    def tabulate(self, x: np.ndarray) -> Tables:
        """`float32[n, width]` -> tables, `float32[n, ...]` each."""
        raise NotImplementedError

    def compute(self, tables: Tables, source: np.ndarray | None, packing: Packing) -> np.ndarray:
        """The output, `float32[tokens or questions, width]`.

        Args:
            tables: from `tabulate`.
            source: `int64[tokens]`, the row of each token in the tables; None for 0, 1, 2, …, behind a layer that
                gives each token a vector of its own.
            packing: of the tokens.
        """
        raise NotImplementedError

    def shares(self, tables: Tables, source: np.ndarray, packing: Packing) -> np.ndarray:
        """The contribution of each token to the row of its question, `float32[tokens, width]`, if the layer is additive.

        Arguments as in `compute`.
        """
        raise NotImplementedError


P = TypeVar("P", bound=Part)
_parts: dict[str, type[Part]] = {}


def register(part: type[P]) -> type[P]:
    """Register a layer or a similarity (class decorator); ValueError if another class of this name is registered."""
    known = _parts.setdefault(part.__name__, part)
    if (known.__module__, known.__qualname__) != (part.__module__, part.__qualname__):
        raise ValueError(f"a part {part.__name__} is registered already, {known}; give {part} another name")
    _parts[part.__name__] = part  # replaced when its module is reloaded
    return part


def registered(base: type[P]) -> dict[str, type[P]]:
    """The registered subclasses of `base` by kind: layers, similarities or, of `Part`, both."""
    return {kind: part for kind, part in _parts.items() if issubclass(part, base)}


def bind(base: type[P], kind: str, config: dict[str, Any], width: int, arrays: Arrays, name: str) -> P:
    """A part with its settings and arrays.

    Args:
        base: `Layer` or `Similarity`.
        kind, config: as in `light.json`.
        width: of its inputs together; for a similarity that of an embedding.
        arrays: "name/name of the weight" -> `float32[...]`; its own are taken out.
        name: of the layer.

    Raises:
        ValueError: the kind is unknown, or an array is missing or not of the shape it should have.
    """
    known = registered(base)
    if kind not in known:
        raise ValueError(
            f"{name} is a {base.__name__.lower()} of the unknown kind {kind}, expected one of {', '.join(sorted(known))}; "
            "for one of your own give plugins=MODULE (in Python: import it), the module that registers it"
        )
    part = known[kind](partial(take_array, arrays, name), width, **config)
    part.name = name
    return part


def whole(name: str, value: object) -> int:
    """A setting that is a whole number of at least 1; ValueError if it is none."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def positive(name: str, value: object) -> float:
    """A setting that is a finite number above 0; ValueError if it is none."""
    if not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
    return float(value)


def take_array(arrays: Arrays, name: str, weight: str, *shape: int) -> np.ndarray:
    """Take a layer's weight out of `arrays`; ValueError if it is not there, or not `float32` of this shape."""
    full = f"{name}/{weight}"
    if full not in arrays:
        raise ValueError(f"the array {full} is missing")
    array = arrays.pop(full)
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"the array {full} must be float32{list(shape)}, but it is {array.dtype}{list(array.shape)}")
    return array
