"""From Keras: a Keras network → description and arrays for `NumpyNetwork`. Serving never imports this module."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from siamese.inference.layers import Embedding, Vectors
from siamese.inference.network import NumpyNetwork
from siamese.inference.parts import Layer, P, QuestionLayer, registered
from siamese.inference.similarities import Similarity
from siamese.model.joined import WordIds
from siamese.model.layers import PackWords

POSITION = 1  # the output of PackWords that holds the row of each token's distinct word


class UnknownLayerError(ValueError):
    """A Keras network has a layer that NumPy cannot compute, so only Keras can run it."""


def check(network: keras.Model) -> None:
    """Raise UnknownLayerError unless NumPy can run a network from `siamese_network`; no weight is copied."""
    _describe(network)


def numpy_network(network: keras.Model) -> NumpyNetwork:
    """The network from `siamese_network` without Keras; its arrays are copies.

    Raises UnknownLayerError if a layer is of a class that no registered part computes, or has settings that it does not.
    """
    description, weights = _describe(network)
    return NumpyNetwork(description, {name: weight_array(weight) for name, weight in weights.items()})


def save_keras(network: keras.Model, folder: Path) -> None:
    """Write `network.keras`, for users of Keras."""
    # without the compiled state: the optimizer's variables would triple the file
    keras.Model(network.inputs, network.outputs, name=network.name).save(folder / "network.keras")


def _describe(network: keras.Model) -> tuple[dict[str, Any], dict[str, keras.Variable]]:
    """The description, and the weights by the names of their arrays."""
    steps, weights = describe_tower(network.get_layer("tower"))
    part, config, more = read_part(Similarity, network.get_layer("similarity"))
    return {"tower": steps, "similarity": {"layer": part.__name__, "config": config}}, weights | more


def describe_tower(tower: keras.Model) -> tuple[list[dict[str, Any]], dict[str, keras.Variable]]:
    """The steps in the order of computation, and their weights.

    Keras' config of the model has the inputs of each layer. Packing, dropout and the token ids beside an encoder's vector
    have no step; positions follow from the source of the vectors. Raises UnknownLayerError as `numpy_network`.
    """
    if not isinstance(tower, keras.Model) or not hasattr(tower, "operations"):
        raise UnknownLayerError(f"the tower is a {_import_path(tower)}, expected keras.Model(inputs, outputs)")
    description, layers = tower.get_config(), {each.name: each for each in tower.operations}
    steps: list[dict[str, Any]] = []
    weights: dict[str, keras.Variable] = {}
    stands_for: dict[str, str] = {}  # name of a layer -> name of the step with its values
    per_token: set[str] = set()  # steps that give each token its own vector
    for each in description["layers"]:
        layer = layers[each["name"]]
        is_input = isinstance(layer, keras.layers.InputLayer)
        reads_vectors = is_input and layer.dtype == "float32" and layer.batch_shape[-1] is not None
        if (is_input or isinstance(layer, PackWords | WordIds)) and not reads_vectors:
            continue
        if len(each["inbound_nodes"]) != 1 and not reads_vectors:
            raise UnknownLayerError(
                f"the layer {layer.name} is called {len(each['inbound_nodes'])} times, expected once"
            )
        sources = [] if reads_vectors else _sources(each["inbound_nodes"][0]["args"])
        inputs = [stands_for[name] for name, _ in sources if name in stands_for]
        stands_for[layer.name] = layer.name
        if type(layer) is keras.layers.Dropout and inputs:
            stands_for[layer.name] = inputs[0]
            continue
        part, config, own = read_part(Layer, layer)
        if not inputs and not issubclass(part, Embedding | Vectors):
            raise UnknownLayerError(f"the layer {layer.name} reads no vectors of words")
        if issubclass(part, QuestionLayer):
            _check_positions(layer, inputs, sources, per_token)
            mixes_words = part.rows == "tokens"
        else:
            mixes_words = bool(set(inputs) & per_token)
        if mixes_words:
            per_token.add(layer.name)
        steps.append({"layer": part.__name__, "name": layer.name, "inputs": inputs, "config": config})
        weights |= own
    output = stands_for[description["output_layers"][0]]
    if steps[-1]["name"] != output:
        raise UnknownLayerError(f"the tower's output {output} must be its last layer, but that is {steps[-1]['name']}")
    return steps, weights


def _check_positions(
    layer: keras.layers.Layer, inputs: list[str], sources: list[tuple[str, int]], per_token: set[str]
) -> None:
    """Raise UnknownLayerError unless a layer reads positions if and only if its vectors are those of distinct words."""
    if (POSITION in [output for _, output in sources]) == (inputs[0] in per_token):
        each_has = "token a vector of its own" if inputs[0] in per_token else "distinct word a vector"
        raise UnknownLayerError(
            f"the layer {layer.name} reads {inputs[0]}, which gives each {each_has}, at the wrong positions"
        )


def read_part(base: type[P], layer: keras.layers.Layer) -> tuple[type[P], dict[str, Any], dict[str, keras.Variable]]:
    """What computes a Keras layer in NumPy, its settings, and its weights by the names of their arrays."""
    path = _import_path(layer)
    part = next((each for each in registered(base).values() if path in each.keras_classes), None)
    if part is None:
        raise UnknownLayerError(
            f"the layer {layer.name} is a {path}, which no registered {base.__name__.lower()} computes in NumPy; "
            "siamese/inference/__init__.py says how to register one"
        )
    config = layer.get_config() if part.required else {}
    for name, required in part.required:
        if config.get(name) != required:
            raise UnknownLayerError(
                f"the layer {layer.name} is a {path} with {name}={config.get(name)!r}, "
                f"but NumPy computes only {name}={required!r}"
            )
    weights = {f"{layer.name}/{name}": weight for name, weight in part.keras_weights(layer).items()}
    return part, part.keras_settings(layer), weights


def _import_path(layer: object) -> str:
    """The import path of a layer's class."""
    kind = type(layer)
    public = getattr(keras.layers, kind.__name__, None) is kind
    return f"{'keras.layers' if public else kind.__module__}.{kind.__qualname__}"


def weight_array(weight: Any) -> np.ndarray:
    """A weight, or what was computed from several, as `float32[...]`, copied once."""
    # `convert_to_numpy` would copy a variable twice more
    return np.array(weight.value.read_value() if isinstance(weight, keras.Variable) else weight, np.float32)


def _sources(arguments: object) -> list[tuple[str, int]]:
    """The tensors among the arguments of a layer, in order: source layer and the index of its output."""
    if isinstance(arguments, dict) and arguments.get("class_name") == "__keras_tensor__":
        name, _, output = arguments["config"]["keras_history"]
        return [(name, output)]
    if isinstance(arguments, list | tuple):
        return [source for each in arguments for source in _sources(each)]
    return []
