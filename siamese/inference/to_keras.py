"""To Keras: the weights of a saved tower → a new Keras network with the same layers, so that training goes on from them."""

from typing import Any

import keras

from siamese.inference.from_keras import UnknownLayerError, describe_tower
from siamese.inference.network import NumpyNetwork

SIZE_OF_TABLE = "ids"  # setting of an embedding


def same_layers(network: keras.Model, saved: NumpyNetwork) -> bool:
    """Whether two towers differ in weights, in the names of layers and in the number of token ids alone."""
    try:
        steps, _ = describe_tower(network.get_layer("tower"))
    except UnknownLayerError:
        return False
    return _nameless(steps) == _nameless(saved.description["tower"])


def copy_tower(network: keras.Model, saved: NumpyNetwork) -> None:
    """Give the tower of a network the weights of a saved one with the `same_layers`, but for the word embedding."""
    steps, weights = describe_tower(network.get_layer("tower"))
    given = {step["name"]: other["name"] for step, other in zip(steps, saved.description["tower"], strict=True)}
    embeddings = {step["name"] for step in steps if SIZE_OF_TABLE in step["config"]}
    for name, weight in weights.items():
        layer, _, part = name.rpartition("/")
        if layer not in embeddings:
            weight.assign(saved.arrays[f"{given[layer]}/{part}"])


def _nameless(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps with numbers in place of their names, which Keras gives by what else a process built."""
    number = {step["name"]: at for at, step in enumerate(steps)}
    return [
        {
            "layer": step["layer"],
            "inputs": [number[name] for name in step["inputs"]],
            "config": {key: value for key, value in step["config"].items() if key != SIZE_OF_TABLE},
        }
        for step in steps
    ]
