"""The Keras baseline: how public Keras repositories for this task train, to be measured against.

Arrays padded to one length, a shared tower called on both sides, Adam, and `fit`.
"""

import keras
import numpy as np

from experiments.benchmark.towers import MeasuredTower
from siamese.model.similarity import Cosine
from siamese.text.inputs import TokenIds

LENGTH = 30  # tokens that each question is padded or cut to


def network(tower: MeasuredTower, vocabulary: int, width: int) -> keras.Model:
    """A compiled model, `int32[batch, 30]` twice -> `float32[batch, 1]`."""
    layers = keras.layers
    question = keras.Input((LENGTH,), dtype="int32")
    words = layers.Embedding(vocabulary, width)(question)  # float32[batch, 30, width]
    if tower.kind == "dense":
        levels = layers.Dense(tower.units, activation="relu")(words)
    elif tower.kind == "conv1d":
        ngrams = [layers.Conv1D(tower.units, size, padding="same", activation="relu") for size in tower.kernel_sizes]
        levels = layers.Concatenate()([layer(words) for layer in ngrams])
    else:
        levels = layers.Bidirectional(layers.LSTM(tower.units, return_sequences=True))(words)
    pool = layers.GlobalMaxPooling1D() if tower.pooling == "max" else layers.GlobalAveragePooling1D()
    shared = keras.Model(question, pool(levels))

    left, right = keras.Input((LENGTH,), dtype="int32"), keras.Input((LENGTH,), dtype="int32")
    similarity = layers.Reshape((1,))(Cosine()(shared(left), shared(right)))
    model = keras.Model([left, right], similarity)
    model.compile(loss="binary_crossentropy", optimizer="adam")
    return model


def padded(token_ids: TokenIds, rows: np.ndarray) -> np.ndarray:
    """The questions at `rows`, padded or cut: `int32[rows, 30]`."""
    found = token_ids.padded(rows)[:, :LENGTH]
    return np.pad(found, ((0, 0), (0, LENGTH - found.shape[1])))
