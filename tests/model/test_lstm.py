"""The bidirectional LSTM: two of Keras' own, values and gradients, without the padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.lstm import BidirectionalLSTM, time_major

WIDTH, UNITS = 5, 6


def keras_order(gates):
    """Keras keeps the candidates third, this layer last; up to the direction, the conversion is its own inverse."""
    i, f, o, g = np.split(np.asarray(gates), 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


def own_order(gates):
    i, f, g, o = np.split(np.asarray(gates), 4, axis=-1)
    return np.concatenate([i, f, o, g], axis=-1)


@pytest.mark.slow
def test_it_is_two_keras_lstms(padded_questions, assert_same_as_padded):
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
    lengths = (padded_questions != 0).sum(axis=1)

    def weights(gradient):
        kernel, recurrent, bias = (
            [own_order(gradient(getattr(each.cell, name))) for each in pair]
            for name in ("kernel", "recurrent_kernel", "bias")
        )
        return [np.concatenate(kernel, axis=1), np.stack(recurrent), np.concatenate(bias)]

    def padded(words):
        turned = tf.reverse_sequence(backward(tf.reverse_sequence(words, lengths, 1)), lengths, 1)
        return tf.concat([forward(words), turned], axis=-1)

    assert_same_as_padded(layer, padded, weights, WIDTH)


def test_it_starts_as_keras_starts_it():
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


def test_time_major():
    """Questions of 1, 3 and 2 words, a | b c d | e f: forward b e a, c f, d; backward d f a, c e, b."""
    counts, (forward, backward) = time_major(tf.constant([0, 1, 1, 1, 2, 2]))
    assert counts.numpy().tolist() == [3, 2, 1]
    assert forward.numpy().tolist() == [2, 0, 3, 5, 1, 4]
    assert backward.numpy().tolist() == [2, 5, 3, 0, 4, 1]
