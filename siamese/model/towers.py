"""Towers: token ids, or an encoder's vectors, → embedding. Each reads as three paragraphs: inputs, layers, model.

A tower takes `int32[batch, length]`, 0 being padding, and returns `float32[batch, dimension]`. The first layer packs the
words, so that no layer sees padding. A level is the output of one layer: vectors `float32[n, width]` and the position of
each token among them, or None if each token has its own vector.
"""

from collections.abc import Sequence

import keras

from siamese.model.attention import PositionalEncoding, SelfAttention
from siamese.model.gru import BidirectionalGRU, ForwardGRU
from siamese.model.layers import Columns, NGrams, PackWords, Pool, TokenVectors
from siamese.model.lstm import BidirectionalLSTM, ForwardLSTM

CELLS = {"lstm": (ForwardLSTM, BidirectionalLSTM), "gru": (ForwardGRU, BidirectionalGRU)}
READ = "read"  # name of the layer that leaves out what the head over an encoder does not read


def averaging(
    word_embedding: keras.layers.Layer,
    units: Sequence[int] = (600,),
    pooling: Sequence[str] = ("mean",),
    dropout: float = 0.2,
) -> keras.Model:
    """Bag of words: pooling over the words' vectors, then a head (deep averaging network, Iyyer et al. 2015).

    Args:
        word_embedding: `int32[words]` -> `float32[words, width]`.
        units: width of each residual ReLU layer of the head, see `project`.
        pooling: any of "mean", "max"; several are concatenated.
        dropout: share of the inputs of the head's map and of each layer dropped in training, in [0, 1).
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    words, position, question = PackWords()(questions)

    pooled = pool([(word_embedding(words), position)], question, questions, pooling)

    return keras.Model(questions, project(pooled, units, dropout), name="tower")


def dense(
    word_embedding: keras.layers.Layer,
    units: Sequence[int] = (300,),
    pooling: Sequence[str] = ("mean",),
    dropout: float = 0.0,
    normalization: str = "none",
    skip: bool = True,
) -> keras.Model:
    """Bag of words: ReLU layers over each word, then pooling over the words.

    Args:
        word_embedding: `int32[words]` -> `float32[words, width]`.
        units: width of each ReLU layer; empty for a plain average of words.
        pooling: any of "mean", "max"; several are concatenated (Shen et al. 2018, SWEM-concat).
        dropout: share of each ReLU layer's outputs dropped in training, in [0, 1); a word that occurs
            several times in a batch has one mask.
        normalization: "none", or "layer" (Ba et al. 2016) before each ReLU.
        skip: pool the word embedding and every layer, concatenated, instead of the last layer alone.
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    words, position, question = PackWords()(questions)

    levels = [(word_embedding(words), position)]
    for width in units:
        vectors, _ = levels[-1]  # float32[distinct, width]: a word's vector does not depend on its neighbours
        levels.append((activate(keras.layers.Dense(width)(vectors), normalization, dropout, len(levels)), position))

    return keras.Model(questions, pool(levels if skip else levels[-1:], question, questions, pooling), name="tower")


def conv1d(
    word_embedding: keras.layers.Layer,
    filters: Sequence[int] = (200,),
    kernel_sizes: Sequence[int] = (1, 2, 3),
    pooling: Sequence[str] = ("mean",),
    dropout: float = 0.0,
    normalization: str = "none",
    skip: bool = True,
) -> keras.Model:
    """Convolutions of several widths, concatenated, then pooling over positions (Kim 2014).

    Args:
        filters: for each layer, the filters of each width.
        kernel_sizes: the widths, in words.
        (the others): as in `dense`, but each token has its own dropout mask.
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    words, position, question = PackWords()(questions)

    levels = [(word_embedding(words), position)]
    for width in filters:
        ngrams = NGrams(width, kernel_sizes)(*levels[-1], question)  # float32[tokens, width * len(kernel_sizes)]
        levels.append((activate(ngrams, normalization, dropout, len(levels)), None))

    return keras.Model(questions, pool(levels if skip else levels[-1:], question, questions, pooling), name="tower")


def bilstm(
    word_embedding: keras.layers.Layer,
    units: Sequence[int] = (128,),
    pooling: Sequence[str] = ("mean",),
    dropout: float = 0.0,
    normalization: str = "none",
    skip: bool = True,
    cell: str = "lstm",
    bidirectional: bool = True,
    shortcuts: bool = False,
) -> keras.Model:
    """Bidirectional LSTM, then pooling over time (Conneau et al. 2017, InferSent).

    Args:
        units: for each layer, the width of each direction.
        pooling: any of "mean", "max", "last". The last is the output at which each direction ends: the forward half at
            the last word beside the backward half at the first word. With skip, the word embedding is halved likewise.
        cell: "lstm", or "gru" (Cho et al. 2014).
        bidirectional: whether each layer reads backward, too.
        shortcuts: each layer reads the word embedding and all layers before it, concatenated (Nie & Bansal 2017).
        (the others): as in `conv1d`; normalization follows each layer.
    """
    if cell not in CELLS:
        raise ValueError(f"tower.cell must be one of {', '.join(CELLS)}, got {cell!r}")
    questions = keras.Input((None,), dtype="int32", name="questions")
    words, position, question = PackWords()(questions)

    levels = [(word_embedding(words), position)]
    for width in units:
        read = concatenate(levels, question) if shortcuts and len(levels) > 1 else levels[-1]
        mixed = CELLS[cell][bidirectional](width)(*read, question)  # float32[tokens, directions * width]
        levels.append((drop(normalize(mixed, normalization), dropout, len(levels)), None))

    pooled = pool(levels if skip else levels[-1:], question, questions, pooling, "ends" if bidirectional else "last")
    return keras.Model(questions, pooled, name="tower")


def attention(
    word_embedding: keras.layers.Layer,
    units: Sequence[int] = (256,),
    heads: int = 8,
    pooling: Sequence[str] = ("mean",),
    dropout: float = 0.0,
    normalization: str = "layer",
    skip: bool = True,
    positions: bool = True,
) -> keras.Model:
    """Blocks of multi-head self-attention and two feed-forward layers, both residual, then pooling (Vaswani et al. 2017).

    Args:
        units: for each block, the width of its ReLU layer; the outputs are as wide as the word embedding.
        heads: of each block.
        positions: whether the first block reads the words' positions; without them words have no order.
        (the others): as in `conv1d`; normalization follows attention as well as the feed-forward layers.
    """
    questions = keras.Input((None,), dtype="int32", name="questions")
    words, position, question = PackWords()(questions)

    levels = [(word_embedding(words), position)]
    x = (PositionalEncoding() if positions else TokenVectors())(*levels[0], question)  # float32[tokens, width]
    for width in units:
        mixed = keras.layers.Dense(x.shape[-1])(SelfAttention(heads)(x, None, question))
        x = normalize(keras.layers.Add()([x, mixed]), normalization)
        added = keras.layers.Dense(x.shape[-1])(keras.layers.ReLU()(keras.layers.Dense(width)(x)))
        x = drop(normalize(keras.layers.Add()([x, added]), normalization), dropout, len(levels))
        levels.append((x, None))

    return keras.Model(questions, pool(levels if skip else levels[-1:], question, questions, pooling), name="tower")


def encoder(
    vector_width: int, units: Sequence[int] = (), dropout: float = 0.0, width: int | None = None, unread: int = 0
) -> keras.Model:
    """A head over the vectors of a frozen sentence encoder; at first the embedding is the vector itself.

    Args:
        vector_width: of the encoder, see `siamese.pretrained`.
        units: width of each residual ReLU layer (He et al. 2016), which at first adds nothing.
        dropout: share of the vector's numbers, and of the input of each layer, dropped in training, in [0, 1).
        width: of the embedding; None for that of the encoder. A smaller one starts as the first numbers of the vector.
        unread: numbers behind the vector, which the head does not read.
    """
    vectors = keras.Input((vector_width + unread,), dtype="float32", name="vectors")
    read = Columns(0, vector_width, name=READ)(vectors) if unread else vectors

    x = project(read, units, dropout, width)

    return keras.Model(vectors, x, name="tower")


def project(x: keras.KerasTensor, units: Sequence[int], dropout: float, width: int | None = None) -> keras.KerasTensor:
    """A linear map that starts as the identity, then residual ReLU layers that at first add nothing (He et al. 2016).

    Training starts where pretraining ended, and few pairs do not lead far from there.

    Args:
        x: `float32[batch, n]`.
        units: width of each ReLU layer.
        dropout: share of the input of the map and of each layer dropped in training, in [0, 1).
        width: of the result; None for n. A smaller one starts as the first numbers of x.
    """
    width = width or x.shape[-1]
    x = keras.layers.Dense(width, kernel_initializer="identity", name="projection")(keras.layers.Dropout(dropout)(x))
    for hidden in units:
        added = keras.layers.ReLU()(keras.layers.Dense(hidden)(keras.layers.Dropout(dropout)(x)))
        x = keras.layers.Add()([x, keras.layers.Dense(width, kernel_initializer="zeros")(added)])
    return x


def activate(x: keras.KerasTensor, normalization: str, dropout: float, level: int) -> keras.KerasTensor:
    """Normalization, ReLU, dropout: the end of every feed-forward level."""
    return drop(keras.layers.ReLU()(normalize(x, normalization)), dropout, level)


def normalize(x: keras.KerasTensor, normalization: str) -> keras.KerasTensor:
    """Layer normalization (Ba et al. 2016), or the identity."""
    if normalization not in ("none", "layer"):
        raise ValueError(f"tower.normalization must be none or layer, got {normalization!r}")
    return keras.layers.LayerNormalization()(x) if normalization == "layer" else x


def drop(x: keras.KerasTensor, dropout: float, level: int) -> keras.KerasTensor:
    """Dropout (Srivastava et al. 2014). Layer probing finds the end of a level by the name of this layer."""
    return keras.layers.Dropout(dropout, name=f"level_{level}")(x)


def concatenate(levels: Sequence, question: keras.KerasTensor) -> tuple[keras.KerasTensor, None]:
    """All levels side by side, as one: `float32[tokens, sum of widths]`."""
    return keras.layers.Concatenate()([TokenVectors()(*levels[0], question), *(x for x, _ in levels[1:])]), None


def pool(
    levels: Sequence,
    question: keras.KerasTensor,
    questions: keras.KerasTensor,
    pooling: Sequence[str],
    last: str | None = None,
) -> keras.KerasTensor:
    """All poolings of all levels, concatenated: `float32[batch, dimension]`.

    `last` is what `Pool` has for the pooling "last"; None where words have no order.
    """
    known = {"mean": "mean", "max": "max"} | ({"last": last} if last else {})
    if not pooling or set(pooling) - set(known):
        raise ValueError(f"tower.pooling must list some of {', '.join(known)}; got {list(pooling)}")
    pooling = [known[each] for each in pooling]
    pooled = [Pool(pooling)(vectors, position, question, questions) for vectors, position in levels]
    return keras.layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]
