"""The towers' own layers: what Keras' padded layers compute, values and gradients, without the padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model.gru import BidirectionalGRU
from siamese.model.layers import NGrams, PackWords, Pool, TokenVectors, UnitBlocks
from siamese.model.lstm import BidirectionalLSTM

WIDTH = 5


@pytest.mark.parametrize("sizes", [[1], [2], [5], [1, 2, 3]], ids=str)
def test_ngrams_are_keras_convolutions(sizes, padded_questions, assert_same_as_padded):
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

    mask = (padded_questions != 0)[..., None].astype(np.float32)
    assert_same_as_padded(
        layer, lambda words: tf.concat([each(words * mask) for each in convolutions], axis=-1), weights, WIDTH
    )


def test_packed_words():
    words, position, question = PackWords()(np.array([[7, 3, 7, 0], [3, 0, 0, 0]], np.int32))
    assert words.numpy().tolist() == [7, 3]
    assert position.numpy().tolist() == [0, 1, 0, 1]
    assert question.numpy().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "layer",
    [NGrams(4, [1, 2, 3]), BidirectionalLSTM(3), BidirectionalGRU(3), Pool(["mean", "max", "last", "ends"])],
    ids=str,
)
def test_without_positions_each_token_has_its_own_row(layer, padded_questions):
    _, position, question = PackWords()(padded_questions)
    tokens = np.random.default_rng(0).normal(size=(len(position), WIDTH)).astype(np.float32)
    more = (padded_questions,) if isinstance(layer, Pool) else ()
    expected = layer(tokens, np.arange(len(tokens), dtype=np.int32), question, *more)
    np.testing.assert_allclose(layer(tokens, None, question, *more), expected, atol=1e-6)


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


def test_the_last_word_and_the_ends_by_hand():
    """Words 0 1, none, and 1 2 0; of the ends the first half of the numbers is the last word's, the rest the first's."""
    vectors = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    questions = np.array([[5, 6, 0], [0, 0, 0], [6, 7, 5]], np.int32)
    position, question = np.array([0, 1, 1, 2, 0], np.int32), np.array([0, 0, 2, 2, 2], np.int32)
    with tf.GradientTape() as tape:
        pooled = Pool(["ends", "last"])(vectors, position, question, questions)
    assert pooled.numpy().tolist() == [[4, 5, 6, 4, 2, 3], [0] * 6, [1, 2, 3, 1, 5, 6]]
    slope = tape.gradient(pooled, vectors, np.array([[1] * 6, [100] * 6, [10] * 6], np.float32))
    assert tf.convert_to_tensor(slope).numpy().tolist() == [[20, 11, 11], [2, 11, 11], [0, 0, 0]]


def test_pooling_nothing_or_by_an_unknown_way_is_refused():
    for pooling in ([], ["sum"]):
        with pytest.raises(ValueError, match="pooling must list some of mean, max, last, ends; got"):
            Pool(pooling)


def test_each_token_has_the_vector_of_its_word():
    vectors = TokenVectors()(np.array([[1.0], [2.0]], np.float32), np.array([1, 0, 1], np.int32), np.zeros(3, np.int32))
    assert vectors.numpy().tolist() == [[2], [1], [2]]


def test_trailing_questions_without_a_word_get_zeros():
    pooled = Pool(["max"])(
        np.ones((1, 2), np.float32), np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([[4], [0]], np.int32)
    )
    assert pooled.numpy().tolist() == [[1, 1], [0, 0]]


def test_unit_blocks_by_hand():
    """Shares 1/2, 1/4, 1/4. An embedding of length 5 and a block of length 2 become units times the roots of their shares, with
    nearly nothing behind them; a block of zeros becomes the number behind it alone, as long as the root of its share."""
    blocks = UnitBlocks([1, 2], [0.25, 0.25])
    embedding, lexical = np.array([[3.0, 4.0]], np.float32), np.array([[2.0, 0.0, 0.0]], np.float32)
    [found] = np.array(blocks(embedding, lexical))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found, [0.6 * half, 0.8 * half, 0, 0.5, 0, 0, 0, 0.5], atol=1e-4)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert 0 < found[2] < found[4] < 1e-4  # what stands behind a longer block is less
