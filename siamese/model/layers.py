"""Layers of the towers, on packed words: padding is never computed, and each distinct word is computed once.

A batch of padded questions becomes the list of its tokens, one question after another, and the list of its distinct
words. Whatever depends on the word alone (embedding, feed-forward layers, input products of a convolution or an LSTM)
is computed once for each distinct word: a Quora batch of 508 questions has about 6,450 tokens but 1,460 distinct words.

Every layer reads `vectors[position]`: `vectors float32[n, width]` has a row for each distinct word, and
`position int32[tokens]` is the row of each token. After a layer that gives each token its own row
(it has the attribute `mixes_words`), `position` is None.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from siamese.model.gathering import gather_rows, highest_rows, mean_rows, sum_rows
from siamese.model.products import Multiplying

POOLINGS = ("mean", "max", "last", "ends")
NOTHING = 1e-4  # the number that stands behind a block, below one over the tokens of a question


@keras.saving.register_keras_serializable("siamese")
class PackWords(keras.layers.Layer):
    """Padded questions → distinct words and their positions."""

    def call(self, questions):
        """`int32[batch, length]`, 0 being padding -> three tensors.

        Returns:
            words: `int32[distinct]`, the distinct token ids.
            position: `int32[tokens]`, index into `words` of each token, one question after another.
            question: `int32[tokens]`, the row of the question that each token belongs to, ascending.
        """
        present = tf.not_equal(questions, 0)
        words, position = tf.unique(tf.boolean_mask(questions, present))
        question = tf.cast(tf.where(present)[:, 0], tf.int32)
        return words, position, question


@keras.saving.register_keras_serializable("siamese")
class WordEmbedding(keras.layers.Embedding):
    """Keras' embedding that reads only the requested rows: that of id i, times exp(5 w_i) where `weighted`.

    After a sparse update TensorFlow copies the whole table whenever it is read as a whole, as Keras does.

    Args:
        trainable: whether the rows are tuned.
        weighted: whether each token has a trainable weight exp(5 w), at first 1; the 5 makes its steps those of a rate five
            times as high, because pretrained rows with one weight each need less caution than the map behind them.
        pull: how strongly tuned rows are held where they started, see `pull_back`; 0 for not at all.
        (the others): as in Keras.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        trainable: bool = True,
        weighted: bool = False,
        pull: float = 0.0,
        **kwargs,
    ):
        super().__init__(input_dim, output_dim, **kwargs)
        if not pull >= 0:
            raise ValueError(f"vectors.pull must be at least 0, got {pull}")
        self.tuned = trainable
        self.weighted = weighted
        self.pull = pull if trainable else 0.0

    def build(self, input_shape=None):
        """The table, where it starts, and the weights of the tokens."""
        super().build(input_shape)
        self.embeddings.trainable = self.tuned  # the layer's own switch would hold the weights of the tokens, too
        if self.pull:
            shape = self.embeddings.shape
            self.start = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="start")
        if self.weighted:
            self.token_weight = self.add_weight(shape=(self.input_dim, 1), initializer="zeros", name="token_weight")

    def call(self, words):
        """`int32[...]` -> `float32[..., width]`."""
        rows = tf.gather(self.embeddings.value, words)
        return rows * _positive(tf.gather(self.token_weight.value, words)) if self.weighted else rows

    def save_own_variables(self, store):
        """All of them: Keras' embedding saves its table alone."""
        for number, variable in enumerate([*self.trainable_variables, *self.non_trainable_variables]):
            store[str(number)] = variable

    def load_own_variables(self, store):
        """What was saved, or raise ValueError."""
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        if len(store.keys()) != len(variables):
            raise ValueError(f"{self.name}: expected {len(variables)} variables, the file has {len(store.keys())}")
        for number, variable in enumerate(variables):
            variable.assign(store[str(number)])

    @property
    def rows(self):
        """What a call reads from, `float32[ids, width]`."""
        return self.embeddings * _positive(self.token_weight) if self.weighted else self.embeddings

    def pull_back(self, questions):
        """The loss that holds tuned rows: pull times the mean |row - start|² of the words over the mean |start|².

        `int32[batch, length]`, 0 being padding -> `float32[]`; small data tune rows toward their few words otherwise.
        """
        words, _ = tf.unique(tf.boolean_mask(questions, tf.not_equal(questions, 0)))
        start = tf.gather(self.start.value, words)
        moved = tf.reduce_sum(tf.square(tf.gather(self.embeddings.value, words) - start))
        return self.pull * moved / tf.maximum(tf.reduce_sum(tf.square(start)), 1e-9)

    def get_config(self) -> dict:
        return {**super().get_config(), "trainable": self.tuned, "weighted": self.weighted, "pull": self.pull}


def _positive(weight):
    return tf.exp(5.0 * weight)


@keras.saving.register_keras_serializable("siamese")
class NGrams(Multiplying):
    """Convolutions of several widths side by side, each word multiplied by all weights once.

    The output of width k at token t is bias_k + Σ_j W_kj · x[t - (k-1)//2 + j], with zeros outside the question, as
    `Conv1D(filters, k, padding="same")` computes it. Because the convolution is linear, W_kj · x is computed once for
    each distinct word, then gathered and added at the tokens.

    Args:
        filters: detectors of each width.
        kernel_sizes: the widths, in words.
    """

    mixes_words = True

    def __init__(self, filters: int, kernel_sizes: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_sizes = list(kernel_sizes)

    def build(self, vectors_shape, *_):
        """`kernel float32[width, sum(kernel_sizes) * filters]`, columns by kernel size, then offset j, then filter."""
        width = vectors_shape[-1]

        def glorot(shape, dtype=None):
            kernels = [keras.initializers.GlorotUniform()((k, width, self.filters)) for k in self.kernel_sizes]
            return tf.concat([tf.reshape(tf.transpose(each, [1, 0, 2]), [width, -1]) for each in kernels], axis=1)

        shape = (width, sum(self.kernel_sizes) * self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=glorot, name="kernel")
        self.bias = self.add_weight(shape=(len(self.kernel_sizes) * self.filters,), initializer="zeros", name="bias")

    def call(self, vectors, position, question):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]` -> `float32[tokens, len(kernel_sizes) * filters]`."""
        tokens = tf.size(question)
        token = tf.range(tokens)
        widths = [size * self.filters for size in self.kernel_sizes]
        outputs = []
        every_product = tf.split(self.product(vectors, self.kernel), widths, axis=1)
        for size, products in zip(self.kernel_sizes, every_product, strict=True):
            projected = tf.reshape(products, [-1, self.filters])  # row n·size + j is W_kj · vectors[n]
            offset = tf.range(size) - (size - 1) // 2
            neighbour = tf.clip_by_value(token[:, None] + offset, 0, tokens - 1)  # int32[tokens, size]
            inside = (neighbour == token[:, None] + offset) & (tf.gather(question, neighbour) == question[:, None])
            row = (neighbour if position is None else tf.gather(position, neighbour)) * size + tf.range(size)
            rows, at = tf.boolean_mask(row, inside), tf.where(inside)[:, 0]
            outputs.append(sum_rows(projected, rows, tf.cast(at, tf.int32), tokens))
        return tf.concat(outputs, axis=-1) + self.bias

    def get_config(self) -> dict:
        return {**super().get_config(), "filters": self.filters, "kernel_sizes": self.kernel_sizes}


@keras.saving.register_keras_serializable("siamese")
class Pool(keras.layers.Layer):
    """Words of a question → one vector: their mean, their maximum, the last one, or several of them concatenated.

    Args:
        pooling: any of POOLINGS. "ends" is where the two directions of a recurrent layer end: the first half of the
            numbers of the last token, the second half of those of the first token.
    """

    def __init__(self, pooling: Sequence[str], **kwargs):
        super().__init__(**kwargs)
        if not pooling or set(pooling) - set(POOLINGS):
            raise ValueError(f"pooling must list some of {', '.join(POOLINGS)}; got {list(pooling)}")
        self.pooling = [each for each in POOLINGS if each in pooling]

    def call(self, vectors, position, question, questions):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]`, `int32[batch, length]` -> `float32[batch, dimension]`.

        A question without any word gets zeros.
        """
        batch = tf.shape(questions)[0]
        row = tf.range(tf.size(question)) if position is None else position
        pooled = []
        if "mean" in self.pooling:
            pooled.append(mean_rows(vectors, row, question, batch))
        if "max" in self.pooling:
            width = vectors.shape[-1]
            # the columns share nothing, so that each half can have a core
            halves = tf.split(vectors, [width - width // 2, width // 2], axis=1)
            words = halves if position is None else [gather_rows(half, position) for half in halves]
            pooled += [highest_rows(each, question, batch) for each in words]  # float32[tokens, half of the width]
        if {"last", "ends"} & set(self.pooling):
            at_end = tf.not_equal(question, tf.concat([question[1:], [-1]], axis=0))
            last = _selected(vectors, row, question, at_end, batch)
        if "last" in self.pooling:
            pooled.append(last)
        if "ends" in self.pooling:
            at_start = tf.not_equal(question, tf.concat([[-1], question[:-1]], axis=0))
            half = vectors.shape[-1] // 2
            pooled += [last[:, :half], _selected(vectors, row, question, at_start, batch)[:, half:]]
        return tf.concat(pooled, axis=-1) if len(pooled) > 1 else pooled[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "pooling": self.pooling}


def _selected(vectors, row, question, selected, batch):
    """The vector of the one selected token of each question, `bool[tokens]` -> `float32[batch, width]`; else zeros."""
    rows, of = tf.boolean_mask(row, selected), tf.boolean_mask(question, selected)
    return sum_rows(vectors, rows, of, batch)


@keras.saving.register_keras_serializable("siamese")
class TokenVectors(keras.layers.Layer):
    """Vectors of distinct words → one for each token, to be concatenated with the output of a layer that mixes words."""

    mixes_words = True  # its rows are those of tokens

    def call(self, vectors, position, question):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]` -> `float32[tokens, width]`."""
        return gather_rows(vectors, position)


@keras.saving.register_keras_serializable("siamese")
class Columns(keras.layers.Layer):
    """Some of the numbers of each vector, those from `start` up to `end`."""

    def __init__(self, start: int, end: int, **kwargs):
        super().__init__(**kwargs)
        self.start, self.end = start, end

    def call(self, vectors):
        """`float32[batch, width]` -> `float32[batch, end - start]`."""
        return vectors[:, self.start : self.end]

    def get_config(self) -> dict:
        return {**super().get_config(), "start": self.start, "end": self.end}


@keras.saving.register_keras_serializable("siamese")
class UnitBlocks(keras.layers.Layer):
    """Vectors of blocks → one of length 1, whose cosine is the mean of the blocks' cosines, weighted by `shares`.

    Block x becomes √share · [x, ε] / |[x, ε]|: the cosine of two blocks of zeros is 1, that of zeros and others nearly 0.

    Args:
        widths: of the lexical blocks, which lie side by side in the second input.
        start: the share of each of them, at least 0, together below 1; the embedding has the rest.
    """

    def __init__(self, widths: Sequence[int], start: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        if min(start) < 0 or not sum(start) < 1:
            raise ValueError(
                f"the shares of the lexical blocks must be at least 0 and together below 1, got {list(start)}"
            )
        self.widths, self.start = list(widths), list(start)

    def build(self, embedding_shape, lexical_shape):
        """`shares float32[blocks]`, the embedding's first; gradients do not move them."""
        first = keras.initializers.Constant([1.0 - sum(self.start), *self.start])
        self.shares = self.add_weight(shape=(1 + len(self.start),), initializer=first, trainable=False, name="shares")

    def call(self, embedding, lexical):
        """`float32[batch, dimension]`, `float32[batch, sum(widths)]` -> `float32[batch, both + blocks]`."""
        blocks = [embedding, *tf.split(lexical, self.widths, axis=-1)]
        scaled = []
        for block, root in zip(blocks, tf.unstack(tf.sqrt(tf.convert_to_tensor(self.shares))), strict=True):
            length = tf.sqrt(tf.reduce_sum(tf.square(block), axis=-1, keepdims=True) + NOTHING**2)
            scaled += [block * (root / length), NOTHING * (root / length)]
        return tf.concat(scaled, axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "widths": self.widths, "start": self.start}
