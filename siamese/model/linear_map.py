"""Linear map: a tower whose embeddings have the number of numbers that one chooses.

A learned similarity weighs each number of an embedding; a cosine counts all alike, and its numbers cannot be below zero where
a pooled ReLU layer gives them. A linear map behind the tower learns both.
"""

import keras

NAME = "linear_map"  # of the layer


def with_dimension(tower: keras.Model, dimension: int) -> keras.Model:
    """The tower with a linear map behind its embeddings (the last layer of DSSM, Huang et al. 2013, without its tanh).

    Args:
        tower: `int32[batch, length]`, or what else it reads -> `float32[batch, width]`.
        dimension: numbers of an embedding, at least 1.

    Returns:
        A tower of the same layers and one more, to `float32[batch, dimension]`.

    Raises:
        ValueError: the tower is no functional model, so that its inputs are not known, or dimension is below 1.
    """
    if not isinstance(dimension, int) or dimension < 1:
        raise ValueError(f"dimension must be a whole number of at least 1, or null, got {dimension!r}")
    if not getattr(tower, "inputs", None):
        raise ValueError(f"dimension={dimension} takes a tower that is keras.Model(inputs, outputs), got {tower}")
    return keras.Model(tower.inputs[0], keras.layers.Dense(dimension, name=NAME)(tower.outputs[0]), name="tower")


def without_dimension(tower: keras.Model) -> keras.Model:
    """The tower that `with_dimension` was given, with the same layers; any other is returned as it is."""
    maps = [layer for layer in getattr(tower, "layers", []) if layer.name == NAME]
    return keras.Model(tower.input, maps[0].input, name="tower") if maps else tower
