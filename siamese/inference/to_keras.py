"""To Keras: the weights of a saved tower → a new Keras network with the same layers, so that training goes on from them."""

from typing import Any

import keras

from siamese.inference.from_keras import UnknownLayerError, describe_tower
from siamese.inference.network import NumpyNetwork
from siamese.model.hybrid import LEXICAL
from siamese.model.joined import BESIDE, MAPPED
from siamese.model.linear_map import NAME as LINEAR_MAP
from siamese.model.towers import READ

SIZE_OF_TABLE = "ids"  # setting of an embedding
Steps = list[dict[str, Any]]


def same_layers(tower: keras.Model, saved: NumpyNetwork) -> bool:
    """Whether two towers differ in weights, in the names of layers, in the number of token ids and in what stands beside alone.

    Beside the layers stand lexical blocks, the vector of an encoder that reads the words, too, and a linear map behind all.
    """
    try:
        steps, _ = describe_tower(tower)
    except UnknownLayerError:
        return False
    return _nameless(_own(steps)) == _nameless(_own(saved.description["tower"]))


def copy_tower(tower: keras.Model, saved: NumpyNetwork, same_encoder: bool = False) -> None:
    """Give a tower the weights of a saved one with the `same_layers`, but for tables of words and what stands beside.

    Where both read the vectors of the same encoder beside their words, the map of these is given, too; and a linear map behind
    all, where it reads and gives as many numbers in both.
    """
    steps, weights = describe_tower(tower)
    pairs = zip(_own(steps), _own(saved.description["tower"]), strict=True)
    given = {step["name"]: other["name"] for step, other in pairs}
    embeddings = {step["name"] for step in steps if SIZE_OF_TABLE in step["config"]}
    if same_encoder:
        given[MAPPED] = MAPPED
    if same_encoder or not any(step["name"] == MAPPED for step in steps):
        given |= _same_linear_map(weights, saved)
    for name, weight in weights.items():
        layer, _, part = name.rpartition("/")
        if layer in given and layer not in embeddings:
            weight.assign(saved.arrays[f"{given[layer]}/{part}"])


def _same_linear_map(weights: dict[str, keras.Variable], saved: NumpyNetwork) -> dict[str, str]:
    """The name of a linear map behind all, where both have one of the same shape."""
    kernel = f"{LINEAR_MAP}/kernel"
    alike = {kernel} <= weights.keys() & saved.arrays.keys() and weights[kernel].shape == saved.arrays[kernel].shape
    return {LINEAR_MAP: LINEAR_MAP} if alike else {}


def _own(steps: Steps) -> Steps:
    """The steps of the tower alone, without what `siamese.model.hybrid`, `joined` and `linear_map` gave it."""
    kept = [dict(step) for step in steps if step["name"] not in (*LEXICAL, *BESIDE, LINEAR_MAP)]
    read = next((step for step in kept if step["name"] == READ), None)
    if read is None:
        return kept
    kept.remove(read)
    for step in kept:
        if step["name"] in read["inputs"]:
            step["config"] = {"width": read["config"]["end"]}
        if READ in step["inputs"]:
            step["inputs"] = read["inputs"]
    return kept


def _nameless(steps: Steps) -> Steps:
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
