"""The Siamese network: one shared tower, two questions, one similarity."""

import keras
import numpy as np

from siamese.model.layers import WordEmbedding


def word_embedding(
    matrix: np.ndarray, trainable: bool, weighted: bool = False, pull: float = 0.0, name: str = "word_embedding"
) -> keras.layers.Layer:
    """The shared embedding table, initialized with `matrix`, `float32[ids, width]`; the options are `WordEmbedding`'s."""
    ids, width = matrix.shape
    layer = WordEmbedding(ids, width, trainable=trainable, weighted=weighted, pull=pull, name=name)
    layer.build()
    layer.embeddings.assign(matrix)
    if layer.pull:
        layer.start.assign(matrix)
    return layer


def siamese_network(tower: keras.Model, similarity: keras.layers.Layer) -> keras.Model:
    """Call one tower on both questions and compare the embeddings.

    Args:
        tower: `int32[batch, length]`, vectors `float32[batch, width]`, or both side by side -> `float32[batch, dimension]`.
        similarity: `float32[batch, dimension]` twice -> `float32[batch]` in [0, 1].

    Returns:
        A functional model, the tower's input twice -> `float32[batch]`, with the layers "tower" and "similarity".
    """
    read = next(iter(getattr(tower, "inputs", None) or [keras.Input((None,), dtype="int32")]))
    left, right = (keras.Input(read.shape[1:], dtype=read.dtype, name=side) for side in ("left", "right"))
    tower.name, similarity.name = "tower", "similarity"
    return keras.Model([left, right], similarity(tower(left), tower(right)), name="siamese")
