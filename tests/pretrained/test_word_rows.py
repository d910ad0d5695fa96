"""Word rows: what an encoder makes of each word alone."""

import numpy as np
import pytest

from siamese.pretrained.word_rows import encoded

VOCABULARY = ["", "[UNK]", "pay", "card", "##card", "lost"]
SIZE, SEED = 8, 3  # two buckets


def rows(encoder, width=None, vocabulary=VOCABULARY, **options):
    return encoded(vocabulary, SIZE, SEED, encoder, True, width, **options)


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_words_lie_to_each_other_as_the_encoder_has_them(encoder_vectorizer):
    encoder = encoder_vectorizer.encoder
    found = rows(encoder)
    alone = encoder.encode(["pay", "card", "card", "lost"])
    assert cosines(found.matrix[2:6]) == pytest.approx(cosines(alone - alone.mean(axis=0)), abs=1e-4)
    assert (found.matrix.shape, found.matrix.dtype) == ((SIZE, encoder.dimension), np.float32)
    assert (found.found, found.trainable, found.weighted, found.pull) == (1.0, True, False, 0.0)
    assert not found.matrix[0].any()
    assert found.matrix[[1, 6, 7]].any(axis=1).all()  # unknown words and buckets start at random


def test_fewer_numbers_are_the_axes_along_which_words_differ_most(encoder_vectorizer):
    encoder = encoder_vectorizer.encoder
    every, first = rows(encoder).matrix[2:6], rows(encoder, width=2).matrix[2:6]
    assert first / first.std() == pytest.approx(every[:, :2] / every[:, :2].std(), abs=1e-4)
    first_axis, second_axis, *others = every.var(axis=0)
    assert first_axis > second_axis > 1e6 * max(others)  # three points lie in a plane


def test_more_numbers_are_random_columns_behind(encoder_vectorizer):
    encoder = encoder_vectorizer.encoder
    more = rows(encoder, width=encoder.dimension + 2).matrix
    assert more[:, : encoder.dimension] == pytest.approx(
        np.where(np.isin(np.arange(SIZE), [2, 3, 4, 5])[:, None], rows(encoder).matrix, more[:, : encoder.dimension])
    )
    assert more[2:6, encoder.dimension :].std() > 0


def test_weights_and_pull_are_passed_on(encoder_vectorizer):
    found = rows(encoder_vectorizer.encoder, weighted=True, pull=0.5)
    assert (found.weighted, found.pull) == (True, 0.5)


def test_a_width_below_one_is_refused(encoder_vectorizer):
    with pytest.raises(ValueError, match=r"vectors\.width must be at least 1, got 0"):
        rows(encoder_vectorizer.encoder, width=0)
