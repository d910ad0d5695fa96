"""Binding: a layer's kind, settings and arrays -> what computes it. Every array is checked on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from siamese.inference import layers, similarities
from siamese.inference.packing import Packing

Arrays = dict[str, np.ndarray]
Config = dict[str, Any]
Take = Callable[..., np.ndarray]  # name of a weight, expected shape -> the array of the layer
Tables = list[np.ndarray]  # each float32[n, width]


@dataclass(frozen=True)
class RowLayer:
    """A layer that treats each row alone.

    Attributes:
        width: of its output.
        compute: its inputs, `float32[n, width]` each -> `float32[n, width]`.
        additive: whether it gives to a sum of rows the sum of what it gives to each.
    """

    width: int
    compute: Callable[..., np.ndarray]
    additive: bool = False


@dataclass(frozen=True)
class QuestionLayer:
    """A layer that looks at all words of a question, in two stages.

    Attributes:
        width: of its output.
        table_width: of all its tables together.
        tabulate: `float32[n, width]` -> tables; what depends on one vector alone.
        compute: tables, the row of each token in them (`int64[tokens]`; None for 0, 1, 2, …), packing ->
            `float32[tokens or questions, width]`.
        shares: as `compute` -> `float32[tokens, width]`, what each token adds to the row of its question; None where
            it has no share of its own.
    """

    width: int
    table_width: int
    tabulate: Callable[[np.ndarray], Tables]
    compute: Callable[[Tables, np.ndarray | None, Packing], np.ndarray]
    shares: Callable[[Tables, np.ndarray, Packing], np.ndarray] | None = None


def bind_layer(
    layer: str, config: Config, width: int, in_place: bool, arrays: Arrays, name: str
) -> RowLayer | QuestionLayer:
    """What computes a layer of this kind.

    Args:
        layer: its kind.
        config: its settings.
        width: of its inputs together.
        in_place: whether it may overwrite its input, because nothing else reads it.
        arrays: "name of the layer/name of the weight" -> `float32[...]`; its own are taken out.
        name: its name.

    Raises:
        ValueError: the kind is unknown, or an array is missing or not of the shape it should have.
    """
    take = partial(take_array, arrays, name)
    match layer:
        case "Embedding":
            return RowLayer(
                config["width"], partial(np.take, take("embeddings", config["ids"], config["width"]), axis=0)
            )
        case "Dense":
            kernel, bias = take("kernel", width, config["units"]), take("bias", config["units"])
            return RowLayer(config["units"], partial(layers.dense, kernel=kernel, bias=bias))
        case "LayerNormalization":
            scale = {"gamma": take("gamma", width), "beta": take("beta", width)}
            return RowLayer(width, partial(layers.layer_normalization, **scale, epsilon=config["epsilon"]))
        case "ReLU":
            return RowLayer(width, partial(layers.relu, in_place=in_place))
        case "Concatenate":
            return RowLayer(width, layers.concatenate, additive=True)
        case "NGrams":
            return _ngrams(take, width, **config)
        case "BidirectionalLSTM":
            return _bidirectional_lstm(take, width, **config)
        case "Pool":
            pooling = config["pooling"]
            compute, shares = partial(layers.pool, pooling=pooling), partial(layers.pool_shares, pooling=pooling)
            return QuestionLayer(len(pooling) * width, width, layers.pool_tables, compute, shares)
    raise ValueError(f"{name} is a layer of the unknown kind {layer}")


def _ngrams(take: Take, width: int, filters: int, kernel_sizes: list[int]) -> QuestionLayer:
    words, outputs = sum(kernel_sizes), len(kernel_sizes) * filters
    columns = iter(np.split(take("kernel", width, words * filters), words, axis=1))
    tabulate = partial(
        layers.ngram_tables,
        kernels=[[np.ascontiguousarray(next(columns)) for _ in range(size)] for size in kernel_sizes],
        biases=np.split(take("bias", outputs), len(kernel_sizes)),
    )
    return QuestionLayer(outputs, words * filters, tabulate, partial(layers.ngrams, kernel_sizes=kernel_sizes))


def _bidirectional_lstm(take: Take, width: int, units: int) -> QuestionLayer:
    kernels = [layers.halve_gates(each) for each in np.split(take("kernel", width, 8 * units), 2, axis=1)]
    biases = [layers.halve_gates(each) for each in np.split(take("bias", 8 * units), 2)]
    recurrent = [layers.halve_gates(each) for each in take("recurrent_kernel", 2, units, 4 * units)]
    return QuestionLayer(
        2 * units,
        8 * units,
        partial(layers.lstm_tables, kernels=kernels, biases=biases),
        partial(layers.bidirectional_lstm, recurrent_kernels=recurrent),
    )


def bind_similarity(
    layer: str, config: Config, dimension: int, arrays: Arrays
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """What computes a similarity of this kind: `float32[pairs, dimension]` twice -> `float32[pairs]`.

    Args:
        layer: its kind.
        config: its settings.
        dimension: of an embedding.
        arrays: as in `bind_layer`.

    Raises:
        ValueError: as in `bind_layer`.
    """
    match layer:
        case "Cosine":
            return similarities.cosine
        case "Euclidean":
            return partial(similarities.euclidean, scale=config["scale"])
        case "Manhattan":
            return similarities.manhattan
        case "Learned":
            widths = [2 * dimension, *config["units"], 1]
            *hidden, output = [
                (
                    take_array(arrays, f"similarity/{i}", "kernel", *widths[i : i + 2]),
                    take_array(arrays, f"similarity/{i}", "bias", widths[i + 1]),
                )
                for i in range(len(widths) - 1)
            ]
            ceiling = take_array(arrays, "similarity", "ceiling")
            return partial(similarities.learned, hidden=hidden, output=output, ceiling=ceiling)
    raise ValueError(f"similarity is of the unknown kind {layer}")


def take_array(arrays: Arrays, name: str, weight: str, *shape: int) -> np.ndarray:
    """Take the array of a layer's weight out of `arrays`.

    Raises:
        ValueError: it is not there, or not `float32` of this shape.
    """
    full = f"{name}/{weight}"
    if full not in arrays:
        raise ValueError(f"the array {full} is missing")
    array = arrays.pop(full)
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"the array {full} must be float32{list(shape)}, but it is {array.dtype}{list(array.shape)}")
    return array
