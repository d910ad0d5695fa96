"""The towers' own layers: what Keras' padded layers compute, values and gradients, without the padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.layers import BidirectionalLSTM, NGrams, PackWords, Pool, time_major

IDS, WIDTH, UNITS = 12, 5, 6
LENGTHS = (3, 9, 1, 5, 9, 2, 4)


@pytest.fixture(scope="module")
def questions() -> np.ndarray:
    """`int32[7, 9]`, padded; words repeat within questions and between them."""
    generator = np.random.default_rng(0)
    padded = np.zeros((len(LENGTHS), max(LENGTHS)), np.int32)
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = generator.integers(1, IDS, length)
    return padded


def assert_same(layer, padded_layers, weights, questions):
    """Output and gradients of a packed layer are those of Keras layers over padded questions.

    Args:
        layer: vectors, position, question -> `float32[tokens, …]`.
        padded_layers: `float32[batch, length, width]` -> `float32[batch, length, …]`.
        weights: gradients of Keras' weights -> those of the layer's weights, in its layout.
    """
    table = tf.Variable(np.random.default_rng(1).normal(size=(IDS, WIDTH)).astype(np.float32))
    with tf.GradientTape() as tape:
        words, position, question = PackWords()(questions)
        packed = layer(tf.gather(table, words), position, question)
        slope = np.random.default_rng(2).normal(size=packed.shape).astype(np.float32)
        total = tf.reduce_sum(packed * slope)
    own = tape.gradient(total, [table, *layer.trainable_variables])
    with tf.GradientTape(persistent=True) as tape:
        padded = tf.boolean_mask(padded_layers(tf.gather(table, questions)), questions != 0)
        total = tf.reduce_sum(padded * slope)
    np.testing.assert_allclose(packed, padded, atol=2e-6)
    expected = [tape.gradient(total, table), *weights(lambda variable: tape.gradient(total, variable.value).numpy())]
    for one, other in zip(own, expected, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), atol=2e-5)


@pytest.mark.parametrize("sizes", [[1], [2], [5], [1, 2, 3]], ids=str)
def test_ngrams_are_keras_convolutions(sizes, questions):
    """Padded with zeros, which is what a convolution with "same" padding sees beyond a question."""
    layer, convolutions = NGrams(4, sizes), [keras.layers.Conv1D(4, size, padding="same") for size in sizes]
    layer.build((None, WIDTH))
    layer.bias.assign(np.random.default_rng(3).normal(size=layer.bias.shape))
    blocks = np.split(layer.kernel.numpy(), 4 * np.cumsum(sizes)[:-1], axis=1)
    for number, (size, each, block) in enumerate(zip(sizes, convolutions, blocks, strict=True)):
        each.build((None, None, WIDTH))
        each.kernel.assign(block.reshape(WIDTH, size, 4).transpose(1, 0, 2))
        each.bias.assign(layer.bias[4 * number : 4 * number + 4])

    def weights(gradient):
        kernels = [gradient(each.kernel).transpose(1, 0, 2).reshape(WIDTH, -1) for each in convolutions]
        return [np.concatenate(kernels, axis=1), np.concatenate([gradient(each.bias) for each in convolutions])]

    mask = (questions != 0)[..., None].astype(np.float32)
    assert_same(
        layer, lambda words: tf.concat([each(words * mask) for each in convolutions], axis=-1), weights, questions
    )


def keras_order(gates):
    """Keras keeps the candidates third, this layer last; the change is its own inverse but for the direction."""
    i, f, o, g = np.split(np.asarray(gates), 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def own_order(gates):
    i, f, g, o = np.split(np.asarray(gates), 4, axis=-1)
    return np.concatenate([i, f, o, g], axis=-1)


def test_bidirectional_lstm_is_two_keras_lstms(questions):
    """The backward one reads each question from its last word: `reverse_sequence` keeps the padding behind."""
    layer, pair = BidirectionalLSTM(UNITS), [keras.layers.LSTM(UNITS, return_sequences=True) for _ in range(2)]
    layer.build((None, WIDTH))
    layer.bias.assign(np.random.default_rng(3).normal(size=layer.bias.shape))
    for direction, each in enumerate(pair):
        columns = slice(4 * UNITS * direction, 4 * UNITS * (direction + 1))
        each.build((None, None, WIDTH))
        each.cell.kernel.assign(keras_order(layer.kernel[:, columns]))
        each.cell.recurrent_kernel.assign(keras_order(layer.recurrent_kernel[direction]))
        each.cell.bias.assign(keras_order(layer.bias[columns]))
    forward, backward = pair

    def weights(gradient):
        kernel, recurrent, bias = (
            [own_order(gradient(getattr(each.cell, name))) for each in pair]
            for name in ("kernel", "recurrent_kernel", "bias")
        )
        return [np.concatenate(kernel, axis=1), np.stack(recurrent), np.concatenate(bias)]

    def padded(words):
        return tf.concat(
            [forward(words), tf.reverse_sequence(backward(tf.reverse_sequence(words, LENGTHS, 1)), LENGTHS, 1)], axis=-1
        )

    assert_same(layer, padded, weights, questions)


def test_an_lstm_starts_as_keras_starts_it():
    """Glorot for each direction's kernel, orthogonal rows in the recurrent one, forget gates open."""
    keras.utils.set_random_seed(0)
    layer = BidirectionalLSTM(UNITS)
    layer.build((None, WIDTH))
    limit = np.sqrt(6 / (WIDTH + 4 * UNITS))
    assert 0.9 * limit < np.abs(layer.kernel).max() <= limit
    for each in np.asarray(layer.recurrent_kernel):
        np.testing.assert_allclose(each @ each.T, np.eye(UNITS), atol=1e-5)
    assert not np.array_equal(*np.asarray(layer.recurrent_kernel))
    np.testing.assert_array_equal(np.reshape(layer.bias, (2, 4, UNITS)).mean(2), [[0, 1, 0, 0]] * 2)


def test_packed_words():
    words, position, question = PackWords()(np.array([[7, 3, 7, 0], [3, 0, 0, 0]], np.int32))
    assert words.numpy().tolist() == [7, 3]
    assert position.numpy().tolist() == [0, 1, 0, 1]
    assert question.numpy().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("layer", [NGrams(4, [1, 2, 3]), BidirectionalLSTM(3), Pool(["mean", "max"])], ids=str)
def test_no_position_means_that_each_token_has_its_own_row(layer, questions):
    _, position, question = PackWords()(questions)
    tokens = np.random.default_rng(0).normal(size=(len(position), WIDTH)).astype(np.float32)
    more = (questions,) if isinstance(layer, Pool) else ()
    expected = layer(tokens, np.arange(len(tokens), dtype=np.int32), question, *more)
    np.testing.assert_allclose(layer(tokens, None, question, *more), expected, atol=1e-6)


def test_time_major():
    """Questions of 1, 3 and 2 words, a | b c d | e f: forward b e a, c f, d; backward d f a, c e, b."""
    counts, (forward, backward) = time_major(tf.constant([0, 1, 1, 1, 2, 2]))
    assert counts.numpy().tolist() == [3, 2, 1]
    assert forward.numpy().tolist() == [2, 0, 3, 5, 1, 4]
    assert backward.numpy().tolist() == [2, 5, 3, 0, 4, 1]


def test_pooling_by_hand():
    """Words 0 0 1 and, in the last question, 1; the question between them has none and gets zeros."""
    vectors = tf.Variable([[1.0, -3.0], [4.0, -6.0]])
    questions = np.array([[5, 5, 6], [0, 0, 0], [6, 0, 0]], np.int32)
    position, question = np.array([0, 0, 1, 1], np.int32), np.array([0, 0, 0, 2], np.int32)
    with tf.GradientTape() as tape:
        pooled = Pool(["max", "mean"])(vectors, position, question, questions)
    assert pooled.numpy().tolist() == [[2, -4, 4, -3], [0, 0, 0, 0], [4, -6, 4, -6]]
    # a word that is the highest twice in a question gets the slope of one maximum
    slope = tape.gradient(pooled, vectors, np.array([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 10, 10]], np.float32))
    assert tf.convert_to_tensor(slope).numpy().tolist() == [[0, 1], [11, 10]]


def test_trailing_questions_without_a_word_get_zeros():
    pooled = Pool(["max"])(
        np.ones((1, 2), np.float32), np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([[4], [0]], np.int32)
    )
    assert pooled.numpy().tolist() == [[1, 1], [0, 0]]
