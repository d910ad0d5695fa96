"""Self-attention on packed words: each word of a question is mixed with all words of that question (Vaswani et al. 2017).

Arguments are those of the layers in `siamese.model.layers`. Questions of one length are computed together, so that there
is neither padding nor a mask.
"""

import keras
import numpy as np
import tensorflow as tf

from siamese.model.products import Multiplying

LONGEST_WAVE = 10_000.0  # over 2π, in words
FIRST_SCALE = 0.05  # of the waves: the range of random word vectors
SCORES_AT_ONCE = 2**22  # numbers, 16 MB; a question with more of them is computed alone


@keras.saving.register_keras_serializable("siamese")
class PositionalEncoding(keras.layers.Layer):
    """Vectors of words → one for each token, to which waves over its position in the question are added.

    To the token at step t, from 0, is added a [sin(t f), cos(t f)], with frequencies f from 1 down to nearly 1/10,000. The
    scale a is trained (Li et al. 2019, arXiv:1809.08895), because rows of words have any length.
    """

    mixes_words = True  # its rows are those of tokens

    def build(self, vectors_shape, *_):
        """`scale float32[]`."""
        first = keras.initializers.Constant(FIRST_SCALE)
        self.scale = self.add_weight(shape=(), initializer=first, name="scale")
        self.frequencies = _frequencies(vectors_shape[-1])

    def call(self, vectors, position, question):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]` -> `float32[tokens, width]`."""
        first = tf.cumsum(tf.math.bincount(question), exclusive=True)
        step = tf.range(tf.size(question)) - tf.gather(first, question)
        angle = tf.cast(step, tf.float32)[:, None] * self.frequencies
        waves = tf.concat([tf.sin(angle), tf.cos(angle)], axis=-1)[:, : vectors.shape[-1]]
        return (vectors if position is None else tf.gather(vectors, position)) + self.scale * waves


def _frequencies(width: int) -> np.ndarray:
    """`float32[half of the width, rounded up]`, computed as `siamese.inference.layers.attention` does, to the bit."""
    half = (width + 1) // 2
    return (LONGEST_WAVE ** (-np.arange(half) / half)).astype(np.float32)


@keras.saving.register_keras_serializable("siamese")
class SelfAttention(Multiplying):
    """Several heads side by side, each softmax(q kᵀ / √size) v over the words of a question, where q, k, v = x W.

    A head has size = width // heads numbers, at least 1. There are no biases: that of the keys would change nothing, that of
    the values only what a linear layer behind the heads adds.

    Args:
        heads: their number.
    """

    mixes_words = True

    def __init__(self, heads: int, **kwargs):
        super().__init__(**kwargs)
        if not heads >= 1:
            raise ValueError(f"tower.heads must be at least 1, got {heads}")
        self.heads = heads

    def build(self, vectors_shape, *_):
        """`kernel float32[width, 3, heads, size]`, for queries, keys and values."""
        width = vectors_shape[-1]
        size = max(1, width // self.heads)

        def glorot(shape, dtype=None):
            kernels = [keras.initializers.GlorotUniform()((width, self.heads * size)) for _ in range(3)]
            return tf.reshape(tf.stack(kernels, axis=1), shape)

        self.kernel = self.add_weight(shape=(width, 3, self.heads, size), initializer=glorot, name="kernel")

    def call(self, vectors, position, question):
        """`float32[n, width]`, `int32[tokens]`, `int32[tokens]` -> `float32[tokens, heads * size]`."""
        width, _, heads, size = self.kernel.shape
        projected = self.product(vectors, tf.reshape(self.kernel, [width, -1]))
        length = tf.gather(tf.math.bincount(question), question)
        token = tf.argsort(length, stable=True)  # the tokens of the shortest questions first
        x = tf.gather(projected, token if position is None else tf.gather(position, token))
        starts = _starts(tf.gather(length, token), heads)
        x = tf.reshape(x, [-1, 3, heads, size])
        return tf.gather(_attend(x, tf.gather(length, token), starts), tf.math.invert_permutation(token))

    def get_config(self) -> dict:
        return {**super().get_config(), "heads": self.heads}


def _starts(length, heads):
    """Groups of questions of one length whose scores are computed at once: the first token of each, and the end.

    `int32[tokens]`, the length of each token's question, ascending -> `int32[groups + 1]`.
    """
    behind_shorter = tf.range(tf.size(length)) - tf.searchsorted(length, length)
    questions = tf.maximum(1, SCORES_AT_ONCE // (heads * length * length))
    first = tf.where(tf.equal(behind_shorter % (questions * length), 0))[:, 0]
    return tf.concat([tf.cast(first, tf.int32), [tf.size(length)]], axis=0)


@tf.custom_gradient
def _attend(x, length, starts):
    """softmax(q kᵀ / √size) v of each question and head; the gradient computes the weights again, so none are kept.

    Args:
        x: `float32[tokens, 3, heads, size]`, queries, keys and values, questions of one length together.
        length: `int32[tokens]`, of each token's question.
        starts: of groups, as `_starts` gives them.

    Returns:
        `float32[tokens, heads * size]`.
    """
    _, _, heads, size = x.shape
    scale = size**-0.5

    def split(rows, words):
        """`float32[rows, parts, heads, size]` -> parts, `float32[questions, heads, words, size]` each."""
        parts = rows.shape[1]
        return tf.unstack(tf.transpose(tf.reshape(rows, [-1, words, parts, heads, size]), [2, 0, 3, 1, 4]))

    def joined(parts):
        """The reverse of `split`."""
        return tf.reshape(tf.transpose(tf.stack(parts), [1, 3, 0, 2, 4]), [-1, len(parts), heads, size])

    def each_group(compute, parts, *arrays):
        """What `compute` makes of the rows of each group and of its length: `float32[tokens, parts, heads, size]`."""

        def step(group, rows):
            here = slice(starts[group], starts[group + 1])
            made = compute(*(each[here] for each in arrays), length[starts[group]])
            return group + 1, rows.write(group, made)

        groups = tf.size(starts) - 1
        rows = tf.TensorArray(tf.float32, groups, infer_shape=False, element_shape=[None, parts, heads, size])
        return tf.while_loop(lambda group, _: group < groups, step, [0, rows])[1].concat()

    def forward(rows, words):
        q, k, v = split(rows, words)
        weights = tf.nn.softmax(scale * tf.matmul(q, k, transpose_b=True))
        return joined([tf.matmul(weights, v)])

    def backward(rows, slope, words):
        (q, k, v), [dy] = split(rows, words), split(slope, words)
        weights = tf.nn.softmax(scale * tf.matmul(q, k, transpose_b=True))
        dw = tf.matmul(dy, v, transpose_b=True)
        ds = scale * weights * (dw - tf.reduce_sum(dw * weights, axis=-1, keepdims=True))
        return joined([tf.matmul(ds, k), tf.matmul(ds, q, transpose_a=True), tf.matmul(weights, dy, transpose_a=True)])

    def gradient(slope):
        return each_group(backward, 3, x, tf.reshape(slope, [-1, 1, heads, size])), None, None

    return tf.reshape(each_group(forward, 1, x), [-1, heads * size]), gradient
