"""SavedModel: the Keras network for TensorFlow Serving. Importing this module imports TensorFlow."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from siamese.export.runners import INPUTS, OUTPUT, Runner

SIGNATURE = "serving_default"


def part(network: keras.Model, name: str) -> keras.Model:
    """The "tower" of a network, or the whole "network"; its output is named as in ONNX."""
    if name == "network":
        return keras.Model(network.inputs, {OUTPUT[name]: network.outputs[0]})
    questions = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name=INPUTS[name][0])
    return keras.Model(questions, {OUTPUT[name]: network.get_layer("tower")(questions)})


def save(network: keras.Model, name: str, folder: Path) -> None:
    """Write a part as a SavedModel; inputs and output are named as in ONNX."""
    part(network, name).export(folder, format="tf_saved_model", verbose=False)


def keras_runner(network: keras.Model, name: str) -> Runner:
    """A part of the Keras network."""
    model = part(network, name)

    def run(*questions: np.ndarray) -> np.ndarray:
        given = list(questions) if len(questions) > 1 else questions[0]  # Keras warns of a list with one input
        return keras.ops.convert_to_numpy(model(given)[OUTPUT[name]])

    return run


def saved_runner(folder: Path, name: str) -> Runner:
    """A SavedModel that `save` wrote, called through its serving signature."""
    model = tf.saved_model.load(str(folder))

    def run(*questions: np.ndarray) -> np.ndarray:
        arguments = dict(zip(INPUTS[name], map(tf.constant, questions), strict=True))
        return model.signatures[SIGNATURE](**arguments)[OUTPUT[name]].numpy()

    return run
