"""Towers: token ids -> embedding. Each reads as three paragraphs: inputs, layers, model.

A tower takes `int32[batch, length]`, 0 being padding, and gives `float32[batch, dimension]`. Padding
never changes an embedding: wherever a layer could look at it, the mask has zeroed it before.
"""

from collections.abc import Sequence

import keras
from keras import ops

NEGATIVE = -1e9  # what a masked position counts as in a maximum


def dense(
    word_embedding: keras.layers.Layer,
    units: Sequence[int] = (300,),
    pooling: Sequence[str] = ("mean", "max"),
    dropout: float = 0.0,
    normalization: str = "none",
    skip: bool = False,
) -> keras.Model:
    """Bag of words: ReLU layers over each word, then pooling over the words.

    Args:
        word_embedding: `int32[batch, length]` -> `float32[batch, length, width]`.
        units: width of each ReLU layer; empty for a plain average of words.
        pooling: any of "mean", "max"; several are concatenated (Shen et al. 2018, SWEM-concat).
        dropout: share of each ReLU layer's outputs dropped in training, in [0, 1).
        normalization: "none", or "layer" (Ba et al. 2016) before each ReLU.
        skip: pool the word embedding and every layer side by side instead of the last layer alone.
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    mask = token_mask(questions)

    words = word_embedding(questions)  # float32[batch, length, width]
    levels = [words]
    for width in units:
        levels.append(activate(keras.layers.Dense(width)(levels[-1]), normalization, dropout))

    return keras.Model(questions, pool(levels if skip else levels[-1:], mask, pooling), name="tower")


def conv1d(
    word_embedding: keras.layers.Layer,
    filters: Sequence[int] = (200,),
    kernel_sizes: Sequence[int] = (1, 2, 3),
    pooling: Sequence[str] = ("max",),
    dropout: float = 0.0,
    normalization: str = "none",
    skip: bool = False,
) -> keras.Model:
    """n-gram detectors of several widths side by side, then pooling over positions (Kim 2014).

    Args:
        word_embedding: `int32[batch, length]` -> `float32[batch, length, width]`.
        filters: for each layer, its detectors of each width.
        kernel_sizes: the widths, in words.
        pooling, dropout, normalization, skip: as in `dense`.
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    mask = token_mask(questions)

    words = word_embedding(questions)  # float32[batch, length, width]
    levels = [words]
    for width in filters:
        seen = levels[-1] * mask
        ngrams = [keras.layers.Conv1D(width, size, padding="same")(seen) for size in kernel_sizes]
        joined = keras.layers.Concatenate()(ngrams) if len(ngrams) > 1 else ngrams[0]
        levels.append(activate(joined, normalization, dropout))

    return keras.Model(questions, pool(levels if skip else levels[-1:], mask, pooling), name="tower")


def bilstm(
    word_embedding: keras.layers.Layer,
    units: Sequence[int] = (128,),
    pooling: Sequence[str] = ("max",),
    dropout: float = 0.0,
    normalization: str = "none",
    skip: bool = False,
) -> keras.Model:
    """Bidirectional LSTM, then pooling over time (Conneau et al. 2017, InferSent).

    Both directions start at the question's first or last word: the backward one reads the words in
    reverse with the padding still behind them, so neither ever passes over padding before a word.

    Args:
        word_embedding: `int32[batch, length]` -> `float32[batch, length, width]`.
        units: for each layer, the width of each direction.
        pooling, dropout, normalization, skip: as in `dense`; normalisation follows each layer.
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    mask = token_mask(questions)

    words = word_embedding(questions)  # float32[batch, length, width]
    levels = [words]
    for width in units:
        forward = keras.layers.LSTM(width, return_sequences=True)(levels[-1])
        backward = keras.layers.LSTM(width, return_sequences=True)(reverse(levels[-1], mask))
        both = keras.layers.Concatenate()([forward, reverse(backward, mask)])
        both = normalize(both, normalization)
        levels.append(keras.layers.Dropout(dropout)(both) if dropout else both)

    return keras.Model(questions, pool(levels if skip else levels[-1:], mask, pooling), name="tower")


def token_mask(questions):
    """1 at tokens, 0 at padding: `int32[batch, length]` -> `float32[batch, length, 1]`."""
    return ops.expand_dims(ops.cast(ops.not_equal(questions, 0), "float32"), -1)


def activate(x, normalization: str, dropout: float):
    """Normalise, ReLU, dropout: the end of every feed-forward layer."""
    x = keras.layers.ReLU()(normalize(x, normalization))
    return keras.layers.Dropout(dropout)(x) if dropout else x


def normalize(x, normalization: str):
    """Layer normalisation (Ba et al. 2016), or nothing."""
    if normalization not in ("none", "layer"):
        raise ValueError(f"tower.normalization must be none or layer, got {normalization!r}")
    return keras.layers.LayerNormalization()(x) if normalization == "layer" else x


def reverse(words, mask):
    """Each question's words in reverse order, padding staying behind them."""
    length = ops.sum(ops.cast(mask, "int32"), axis=1)  # int32[batch, 1]
    position = ops.cumsum(ops.ones_like(mask[..., 0], dtype="int32"), axis=1) - 1  # int32[batch, length]
    source = ops.where(position < length, length - 1 - position, position)
    return ops.take_along_axis(words, ops.expand_dims(source, -1), axis=1)


def pool(levels: Sequence, mask, pooling: Sequence[str]):
    """Each level `float32[batch, length, width]` pooled each way, side by side: `float32[batch, dimension]`, blind to padding."""
    if not pooling or set(pooling) - {"mean", "max"}:
        raise ValueError(f"tower.pooling must list one or both of mean, max; got {list(pooling)}")
    pooled = []
    for words in levels:
        if "mean" in pooling:
            pooled.append(ops.sum(words * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0))
        if "max" in pooling:
            pooled.append(ops.max(ops.where(mask > 0, words, NEGATIVE), axis=1))
    return ops.concatenate(pooled, axis=-1) if len(pooled) > 1 else pooled[0]
