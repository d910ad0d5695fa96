"""Distillation: the mean of the rows of a question points where the encoder's vector of the question does."""

import numpy as np
import pytest

from siamese.pretrained.piece_table import PieceTable
from siamese.text.vocabulary import word_pieces
from siamese.training.distillation import distill

WORDS = [f"{first}{second}" for first in ("ba", "ko", "mi", "tu") for second in ("la", "re", "so", "ni")]


def encode(texts):
    """An encoder whose vector is the sum of a fixed vector for each word, of length 1."""
    words = {word: np.random.default_rng(i).normal(size=12) for i, word in enumerate(WORDS)}
    sums = np.array([sum((words.get(word, np.full(12, 0.1)) for word in text.split()), np.zeros(12)) for text in texts])
    return (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def texts_of(number, seed):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(2, 6))) for _ in range(number)]


@pytest.fixture(scope="module")
def tokenizer():
    return word_pieces(WORDS * 3, 200)


def agreement(tokenizer, rows, texts):
    """Correlation of the table's similarities with those of the encoder, over all pairs of texts."""
    means = np.stack([rows[encoding.ids].mean(axis=0) for encoding in tokenizer.encode_batch(texts)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    vectors = encode(texts)
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    above = np.triu_indices(len(texts), 1)
    return np.corrcoef((means @ means.T)[above], (vectors @ vectors.T)[above])[0, 1]


def test_similarities_of_new_texts_are_nearly_those_of_the_encoder(tokenizer):
    rows = distill(encode, tokenizer, texts_of(200, 0), texts_of(200, 1), width=12)
    assert agreement(tokenizer, rows, texts_of(50, 2)) > 0.9


def test_regression_betters_the_rows_of_the_pieces_alone(tokenizer):
    new = texts_of(50, 2)
    alone = distill(encode, tokenizer, texts_of(200, 0), width=12, penalty=1e9)
    fitted = distill(encode, tokenizer, texts_of(200, 0), width=12, penalty=1.0)
    assert agreement(tokenizer, fitted, new) > agreement(tokenizer, alone, new)


def test_padding_and_unknown_signs_have_no_vector_and_means_have_about_length_one(tokenizer):
    questions = texts_of(100, 0)
    rows = distill(encode, tokenizer, questions, width=8)
    assert rows.shape == (tokenizer.get_vocab_size(), 8)
    assert (rows[:2] == 0).all()
    lengths = [np.linalg.norm(rows[each.ids].mean(axis=0)) for each in tokenizer.encode_batch(questions)]
    assert 0.5 < np.mean(lengths) < 4


def test_the_same_texts_give_the_same_rows(tokenizer):
    one, other = (distill(encode, tokenizer, texts_of(60, 0), width=8) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("questions", "choice"), [(["one"], {}), (["one", "two"], {"penalty": 0}), (["one", "two"], {"width": 0})]
)
def test_values_out_of_range_are_refused(tokenizer, questions, choice):
    with pytest.raises(ValueError, match="distillation needs at least 2 questions"):
        distill(encode, tokenizer, questions, **choice)


def test_eight_bits_change_similarities_by_less_than_a_hundredth(tokenizer):
    rows = distill(encode, tokenizer, texts_of(100, 0), width=12)
    table = PieceTable.of(tokenizer, rows)
    assert np.abs(table.matrix - rows).max() <= np.abs(rows).max() / 127
    new = texts_of(50, 3)
    assert abs(agreement(tokenizer, table.matrix, new) - agreement(tokenizer, rows, new)) < 0.01
