"""Self-attention on packed words: what a padded one with a mask computes, values and gradients, without the padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.model import attention
from siamese.model.attention import PositionalEncoding, SelfAttention

WIDTH, HEADS = 6, 2
LIMITS = {"all at once": 2**22, "two questions": 40, "each alone": 1}


def masked(layer: SelfAttention, mask: np.ndarray):
    """Keras' own layer with the layer's kernel, without what stands behind the heads."""
    size = layer.kernel.shape[-1]
    padded = keras.layers.MultiHeadAttention(layer.heads, size, use_bias=False)
    padded.build((None, None, WIDTH), (None, None, WIDTH))
    projections = padded.query_dense, padded.key_dense, padded.value_dense
    for each, kernel in zip(projections, np.moveaxis(layer.kernel.numpy(), 1, 0), strict=True):
        each.kernel.assign(kernel)
    padded.output_dense.kernel.assign(np.eye(WIDTH).reshape(layer.heads, size, WIDTH))

    def weights(gradient):
        return [np.stack([gradient(each.kernel) for each in projections], axis=1)]

    return lambda words: padded(words, words, attention_mask=mask[:, None, :]), weights


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_it_is_keras_attention_with_a_mask(limit, padded_questions, assert_same_as_padded, monkeypatch):
    """However many questions of one length are computed at once."""
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", limit)
    layer = SelfAttention(HEADS)
    layer.build((None, WIDTH))
    assert_same_as_padded(layer, *masked(layer, padded_questions != 0), WIDTH)


def test_attention_by_hand():
    """One head of 2 numbers, whose queries, keys and values are the vectors; questions a b and b."""
    layer = SelfAttention(1)
    layer.build((None, 2))
    layer.kernel.assign(np.tile(np.eye(2)[:, None, None], (1, 3, 1, 1)))
    a, b = np.float32([1, 0]), np.float32([0, np.sqrt(2) * np.log(3)])
    given = layer(np.stack([a, b]), np.int32([0, 1, 1]), np.int32([0, 0, 1]))
    # scores a·a / √2 = 1/√2 and a·b = 0; b·a = 0 and b·b / √2 = √2 ln² 3
    of_a, of_b = 1 / (1 + np.exp(-np.sqrt(0.5))), 1 / (1 + np.exp(-np.sqrt(2) * np.log(3) ** 2))
    np.testing.assert_allclose(given, [of_a * a + (1 - of_a) * b, of_b * b + (1 - of_b) * a, b], atol=1e-6)


def test_positions_by_hand():
    """Three numbers: two frequencies, 1 and 1/100, and of the cosines only the first."""
    layer = PositionalEncoding()
    layer.build((None, 3))
    layer.scale.assign(2.0)
    given = layer(np.float32([[1, 2, 3], [4, 5, 6]]), np.int32([1, 0, 1, 1]), np.int32([0, 0, 0, 2]))
    waves = [[np.sin(t), np.sin(t / 100), np.cos(t)] for t in (0, 1, 2, 0)]
    np.testing.assert_allclose(given, [[4, 5, 6], [1, 2, 3], [4, 5, 6], [4, 5, 6]] + 2 * np.array(waves), atol=1e-6)


def test_questions_are_computed_by_length_in_groups(monkeypatch):
    """A score for each pair of words and each of 2 heads: 16 numbers are 8 questions of a word, 2 of two or 1 of three."""
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", 16)
    lengths = np.repeat([1, 2, 3], [9, 3 * 2, 2 * 3]).astype(np.int32)
    assert attention._starts(tf.constant(lengths), 2).numpy().tolist() == [0, 8, 9, 13, 15, 18, 21]


def test_each_head_has_its_share_of_the_width_and_at_least_one_number():
    for heads, size in ((1, 6), (2, 3), (4, 1), (9, 1)):
        layer = SelfAttention(heads)
        layer.build((None, WIDTH))
        assert layer.kernel.shape == (WIDTH, 3, heads, size)


def test_it_starts_as_three_linear_layers():
    keras.utils.set_random_seed(0)
    layer = SelfAttention(HEADS)
    layer.build((None, 60))
    limit = np.sqrt(6 / 120)
    for kernel in np.moveaxis(layer.kernel.numpy(), 1, 0):
        assert 0.9 * limit < np.abs(kernel).max() <= limit


@pytest.mark.parametrize("layer", [SelfAttention(HEADS), PositionalEncoding()], ids=lambda each: type(each).__name__)
def test_no_words_at_all(layer):
    layer.build((None, WIDTH))

    @tf.function
    def train(vectors, none):
        with tf.GradientTape() as tape:
            given = layer(vectors, none, none)
        return given, tape.gradient(given, layer.trainable_variables[0].value)

    given, slope = train(np.zeros((0, WIDTH), np.float32), np.zeros(0, np.int32))
    assert given.shape == (0, WIDTH)
    assert not np.any(slope)


def test_memory_is_bounded_for_many_long_questions():
    """1,024 questions of 96 words have 75 million scores, 302 MB, of which a group has 16 MB."""
    starts = attention._starts(tf.fill([1_024 * 96], 96), 8).numpy()
    questions = np.diff(starts) // 96
    assert questions.sum() == 1_024
    assert (questions * 8 * 96**2 <= attention.SCORES_AT_ONCE).all()


@pytest.mark.parametrize("heads", [0, -1, float("nan")])
def test_no_heads_are_refused(heads):
    with pytest.raises(ValueError, match=rf"tower\.heads must be at least 1, got {heads}"):
        SelfAttention(heads)
