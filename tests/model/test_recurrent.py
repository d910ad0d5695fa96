"""Recurrent layers: Keras' own, one for each direction, values and gradients, without the padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.gru import BidirectionalGRU, ForwardGRU
from siamese.model.lstm import BidirectionalLSTM, ForwardLSTM
from siamese.model.recurrent import time_major

WIDTH, UNITS = 5, 6


def lstm_order(gates):
    """Keras keeps the candidates third, this layer last; up to the direction, the conversion is its own inverse."""
    i, f, o, g = np.split(np.asarray(gates), 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


class LSTMs:
    """Keras' LSTM with the weights of one direction, and its gradients as that direction has them."""

    def __init__(self):
        self.layer = keras.layers.LSTM(UNITS, return_sequences=True)
        self.layer.build((None, None, WIDTH))

    def assign(self, kernel, recurrent_kernel, bias):
        cell = self.layer.cell
        for weight, value in zip(
            (cell.kernel, cell.recurrent_kernel, cell.bias), (kernel, recurrent_kernel, bias), strict=True
        ):
            weight.assign(lstm_order(value))

    def weights(self, gradient):
        cell = self.layer.cell
        return [lstm_order(gradient(each)) for each in (cell.kernel, cell.recurrent_kernel, cell.bias)]


class GRUs:
    """Keras' GRU, whose bias has a second row for the recurrent product."""

    def __init__(self):
        self.layer = keras.layers.GRU(UNITS, return_sequences=True)
        self.layer.build((None, None, WIDTH))

    def assign(self, kernel, recurrent_kernel, bias, recurrent_bias):
        self.layer.cell.kernel.assign(kernel)
        self.layer.cell.recurrent_kernel.assign(recurrent_kernel)
        self.layer.cell.bias.assign([bias, [*np.zeros(2 * UNITS), *recurrent_bias]])

    def weights(self, gradient):
        cell = self.layer.cell
        own, recurrent = gradient(cell.bias)
        return [gradient(cell.kernel), gradient(cell.recurrent_kernel), own, recurrent[2 * UNITS :]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "reference"),
    [(BidirectionalLSTM, LSTMs), (ForwardLSTM, LSTMs), (BidirectionalGRU, GRUs), (ForwardGRU, GRUs)],
)
def test_it_is_one_layer_of_keras_for_each_direction(own, reference, padded_questions, assert_same_as_padded):
    """The backward one reads each question from its last word: `reverse_sequence` keeps the padding behind."""
    layer = own(UNITS)
    layer.build((None, WIDTH))
    draw = np.random.default_rng(3)
    for bias in layer.weights[2:]:
        bias.assign(draw.normal(size=bias.shape))
    each_direction = [reference() for _ in range(layer.directions)]
    kernel, recurrent, bias, *more = (np.asarray(weight) for weight in layer.weights)
    kernels, biases = np.split(kernel, layer.directions, axis=1), np.split(bias, layer.directions)
    for each, *weights in zip(each_direction, kernels, recurrent, biases, *more, strict=True):
        each.assign(*weights)
    lengths = (padded_questions != 0).sum(axis=1)

    def weights(gradient):
        kernel, recurrent, bias, *more = zip(*(each.weights(gradient) for each in each_direction), strict=True)
        return [np.concatenate(kernel, axis=1), np.stack(recurrent), np.concatenate(bias), *map(np.stack, more)]

    def padded(words):
        outputs = [each_direction[0].layer(words)]
        for backward in each_direction[1:]:
            turned = backward.layer(tf.reverse_sequence(words, lengths, 1))
            outputs.append(tf.reverse_sequence(turned, lengths, 1))
        return tf.concat(outputs, axis=-1)

    assert_same_as_padded(layer, padded, weights, WIDTH)


@pytest.mark.parametrize(("own", "first_bias"), [(BidirectionalLSTM, [0, 1, 0, 0]), (BidirectionalGRU, [0, 0, 0])])
def test_it_starts_as_keras_starts_it(own, first_bias):
    """Glorot for each direction's kernel, orthogonal rows in the recurrent one, forget gates open."""
    keras.utils.set_random_seed(0)
    layer = own(UNITS)
    layer.build((None, WIDTH))
    gates = len(first_bias)
    limit = np.sqrt(6 / (WIDTH + gates * UNITS))
    assert 0.9 * limit < np.abs(layer.kernel).max() <= limit
    for each in np.asarray(layer.recurrent_kernel):
        np.testing.assert_allclose(each @ each.T, np.eye(UNITS), atol=1e-5)
    assert not np.array_equal(*np.asarray(layer.recurrent_kernel))
    np.testing.assert_array_equal(np.reshape(layer.bias, (2, gates, UNITS)).mean(2), [first_bias] * 2)


def test_time_major():
    """Questions of 1, 3 and 2 words, a | b c d | e f: forward b e a, c f, d; backward d f a, c e, b."""
    counts, (forward, backward) = time_major(tf.constant([0, 1, 1, 1, 2, 2]))
    assert counts.numpy().tolist() == [3, 2, 1]
    assert forward.numpy().tolist() == [2, 0, 3, 5, 1, 4]
    assert backward.numpy().tolist() == [2, 5, 3, 0, 4, 1]
