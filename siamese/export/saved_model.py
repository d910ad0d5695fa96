"""SavedModel: the Keras network for TensorFlow Serving. Importing this module imports TensorFlow."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from siamese.export.runners import INPUTS, OUTPUT, Runner
from siamese.model import similarity, towers  # noqa: F401 (importing them registers their layers)

SIGNATURE = "serving_default"


def load_keras(detector: Path) -> keras.Model:
    """The Keras network in a detector's folder.

    Raises:
        ValueError: there is none.
    """
    file = detector / "network.keras"
    if not file.is_file():
        raise ValueError(
            f"{detector} has no network.keras, which only training writes; export a run instead, "
            "or leave saved_model out: formats=onnx,float16,int8"
        )
    return keras.saving.load_model(file)


def part(network: keras.Model, name: str) -> keras.Model:
    """The "tower" of a network, or the whole "network"; its output is named as in ONNX."""
    model = network.get_layer("tower") if name == "tower" else network
    return keras.Model(model.inputs, {OUTPUT[name]: model.outputs[0]})


def save(network: keras.Model, name: str, folder: Path) -> None:
    """Write a part as a SavedModel; inputs and output are named as in ONNX."""
    part(network, name).export(folder, format="tf_saved_model", verbose=False)


def keras_runner(network: keras.Model, name: str) -> Runner:
    """A part of the Keras network."""
    model = part(network, name)
    return lambda *questions: keras.ops.convert_to_numpy(model(list(questions))[OUTPUT[name]])


def saved_runner(folder: Path, name: str) -> Runner:
    """A SavedModel that `save` wrote, called through its serving signature."""
    model = tf.saved_model.load(str(folder))

    def run(*questions: np.ndarray) -> np.ndarray:
        arguments = dict(zip(INPUTS[name], map(tf.constant, questions), strict=True))
        return model.signatures[SIGNATURE](**arguments)[OUTPUT[name]].numpy()

    return run
