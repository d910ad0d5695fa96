"""Export: a Keras network -> the plain description and arrays that `NumpyNetwork` runs.

The only file of this folder that knows Keras; serving never imports it.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from siamese.inference.binding import Arrays
from siamese.inference.network import NumpyNetwork
from siamese.model import layers, lstm, similarity

KINDS = {  # exact classes, for a subclass may compute anything
    keras.layers.Embedding: "Embedding",
    layers.WordEmbedding: "Embedding",
    keras.layers.Dense: "Dense",
    keras.layers.LayerNormalization: "LayerNormalization",
    keras.layers.ReLU: "ReLU",
    keras.layers.Concatenate: "Concatenate",
    layers.NGrams: "NGrams",
    lstm.BidirectionalLSTM: "BidirectionalLSTM",
    layers.Pool: "Pool",
    similarity.Cosine: "Cosine",
    similarity.Euclidean: "Euclidean",
    similarity.Manhattan: "Manhattan",
    similarity.Learned: "Learned",
}
POSITION = 1  # PackWords' output that says where the tokens' vectors stand among those of the distinct words


def numpy_network(network: keras.Model) -> NumpyNetwork:
    """The same network without Keras; its arrays are copies.

    Args:
        network: from `siamese_network`.

    Raises:
        ValueError: it has a layer that a light network does not know, or settings that no tower of this project uses.
    """
    tower, arrays = _tower(network.get_layer("tower"))
    comparison, more = _similarity(network.get_layer("similarity"))
    return NumpyNetwork({"tower": tower, "similarity": comparison}, arrays | more)


def save_keras(network: keras.Model, folder: Path) -> None:
    """Write `network.keras`, for those who go on in Keras."""
    # without the compiled state: the optimizer's slots would triple the file
    keras.Model(network.inputs, network.outputs, name=network.name).save(folder / "network.keras")


def _tower(tower: keras.Model) -> tuple[list[dict[str, Any]], Arrays]:
    """The steps in the order of their computation, and their arrays.

    Keras' description of the model tells what each layer reads. Packing and dropout have no step; the
    indices that Keras hands from layer to layer are known from where its vectors come from.
    """
    description = tower.get_config()
    steps: list[dict[str, Any]] = []
    arrays: Arrays = {}
    stands_for: dict[str, str] = {}  # name of a layer -> of the step whose values it gives
    per_token: set[str] = set()  # steps that give each token a vector of its own
    for each in description["layers"]:
        layer = tower.get_layer(each["name"])
        if isinstance(layer, keras.layers.InputLayer | layers.PackWords):
            continue
        if len(each["inbound_nodes"]) != 1:
            raise ValueError(f"the layer {layer.name} is called {len(each['inbound_nodes'])} times, expected once")
        sources = _sources(each["inbound_nodes"][0]["args"])
        inputs = [stands_for[name] for name, _ in sources if name in stands_for]
        stands_for[layer.name] = layer.name
        if isinstance(layer, keras.layers.Dropout):
            stands_for[layer.name] = inputs[0]
            continue
        kind, config, weights = _layer(layer)
        if kind in ("NGrams", "BidirectionalLSTM", "Pool") and (sources[1][1] == POSITION) == (inputs[0] in per_token):
            each_has = "token a vector of its own" if inputs[0] in per_token else "distinct word a vector"
            raise ValueError(
                f"the layer {layer.name} reads {inputs[0]}, which gives each {each_has}, at the wrong positions"
            )
        if kind in ("NGrams", "BidirectionalLSTM") or (kind != "Pool" and set(inputs) & per_token):
            per_token.add(layer.name)
        steps.append({"layer": kind, "name": layer.name, "inputs": inputs, "config": config})
        arrays |= {f"{layer.name}/{name}": _array(weight) for name, weight in weights.items()}
    output = stands_for[description["output_layers"][0]]
    if steps[-1]["name"] != output:
        raise ValueError(f"the tower's output {output} must be its last layer, but that is {steps[-1]['name']}")
    return steps, arrays


def _layer(layer: keras.layers.Layer) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a light network must know of a layer: its kind, its settings and its weights by name."""
    kind = _kind(layer)
    config: dict[str, Any] = {}
    weights: tuple[str, ...] = ()
    usual = True
    match kind:
        case "Embedding":
            config = {"ids": layer.input_dim, "width": layer.output_dim}
            weights = ("embeddings",)
        case "Dense":
            usual = layer.use_bias and layer.activation is keras.activations.linear
            config = {"units": layer.units}
            weights = ("kernel", "bias")
        case "LayerNormalization":
            usual = layer.center and layer.scale and not layer.rms_scaling and list(layer.axis) == [-1]
            config = {"epsilon": layer.epsilon}
            weights = ("gamma", "beta")
        case "ReLU":
            usual = layer.max_value is None and layer.negative_slope == 0 and layer.threshold == 0
        case "Concatenate":
            usual = layer.axis == -1
        case "NGrams":
            config = {"filters": layer.filters, "kernel_sizes": layer.kernel_sizes}
            weights = ("kernel", "bias")
        case "BidirectionalLSTM":
            config = {"units": layer.units}
            weights = ("kernel", "recurrent_kernel", "bias")
        case "Pool":
            config = {"pooling": layer.pooling}
    if not usual:
        raise ValueError(
            f"the layer {layer.name}, a {type(layer).__name__}, has settings that a light network does not know: "
            f"{layer.get_config()}"
        )
    return kind, config, {name: getattr(layer, name) for name in weights}


def _similarity(layer: keras.layers.Layer) -> tuple[dict[str, Any], Arrays]:
    """The description of the similarity, and its arrays."""
    kind = _kind(layer)
    config: dict[str, Any] = {}
    arrays: Arrays = {}
    if kind == "Euclidean":
        config = {"scale": layer.scale}
    elif kind == "Learned":
        config = {"units": layer.units}
        for number, each in enumerate([*layer.hidden, layer.output_layer]):
            arrays |= {f"similarity/{number}/{name}": _array(getattr(each, name)) for name in ("kernel", "bias")}
        arrays["similarity/ceiling"] = _array(layer.ceiling)
    return {"layer": kind, "config": config}, arrays


def _kind(layer: keras.layers.Layer) -> str:
    if type(layer) not in KINDS:
        raise ValueError(
            f"the layer {layer.name} is a {type(layer).__name__}, which a light network does not know; "
            "teach it in siamese/light"
        )
    return KINDS[type(layer)]


def _array(weight: keras.Variable) -> np.ndarray:
    return np.array(weight.value.read_value(), np.float32)  # `convert_to_numpy` would copy it twice more


def _sources(arguments: object) -> list[tuple[str, int]]:
    """The tensors among a layer's arguments, in order: name of the layer that gives each, and which of its outputs."""
    if isinstance(arguments, dict) and arguments.get("class_name") == "__keras_tensor__":
        name, _, output = arguments["config"]["keras_history"]
        return [(name, output)]
    if isinstance(arguments, list | tuple):
        return [source for each in arguments for source in _sources(each)]
    return []
