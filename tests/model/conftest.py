"""What the tests of the layers share: padded questions, and Keras' layers over them to compare with."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.layers import PackWords

LENGTHS, IDS = (3, 9, 1, 5, 9, 2, 4), 12  # of the padded questions


@pytest.fixture(scope="session")
def padded_questions() -> np.ndarray:
    """`int32[7, 9]`, padded; words repeat within questions and between them."""
    generator = np.random.default_rng(0)
    padded = np.zeros((len(LENGTHS), max(LENGTHS)), np.int32)
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = generator.integers(1, IDS, length)
    return padded


@pytest.fixture(scope="session")
def assert_same_as_padded(padded_questions):
    """A function that compares a layer on packed words with Keras' layers on padded ones."""

    def check(layer, padded_layers, weights, width):
        """Output and gradients of a packed layer are those of Keras layers over padded questions.

        Args:
            layer: vectors, position, question -> `float32[tokens, …]`.
            padded_layers: `float32[batch, length, width]` -> `float32[batch, length, …]`.
            weights: gradients of Keras' weights -> those of the layer's weights, in its layout.
            width: of a word's vector.
        """
        table = tf.Variable(np.random.default_rng(1).normal(size=(IDS, width)).astype(np.float32))
        with tf.GradientTape() as tape:
            words, position, question = PackWords()(padded_questions)
            packed = layer(tf.gather(table, words), position, question)
            slope = np.random.default_rng(2).normal(size=packed.shape).astype(np.float32)
            total = tf.reduce_sum(packed * slope)
        own = tape.gradient(total, [table, *layer.trainable_variables])
        with tf.GradientTape(persistent=True) as tape:
            padded = tf.boolean_mask(padded_layers(tf.gather(table, padded_questions)), padded_questions != 0)
            total = tf.reduce_sum(padded * slope)
        np.testing.assert_allclose(packed, padded, atol=2e-6)
        expected = [
            tape.gradient(total, table),
            *weights(lambda variable: tape.gradient(total, variable.value).numpy()),
        ]
        for one, other in zip(own, expected, strict=True):
            np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), atol=2e-5)

    return check
