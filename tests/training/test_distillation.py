"""Distillation: the mean of the rows of a question points where the encoder's vector of the question does."""

import numpy as np
import pytest

from siamese.pretrained.piece_table import PieceTable
from siamese.text.vocabulary import word_pieces
from siamese.training.distillation import distill as distill_with_lessons

WORDS = [f"{first}{second}" for first in ("ba", "ko", "mi", "tu") for second in ("la", "re", "so", "ni")]


def encode(texts, project=lambda vectors: vectors):
    """An encoder whose vector is the sum of a fixed vector for each word, of length 1."""
    words = {word: np.random.default_rng(i).normal(size=12) for i, word in enumerate(WORDS)}
    sums = np.array([sum((words.get(word, np.full(12, 0.1)) for word in text.split()), np.zeros(12)) for text in texts])
    return project((sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)).astype(np.float32))


def distill(*arguments, **options):
    return distill_with_lessons(*arguments, **options)[0]


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


def test_held_out_questions_do_not_change_the_fit(tokenizer):
    """Their weight is 0: only the principal axes and the frequencies of pieces know them."""
    questions = texts_of(100, 0)
    _, lessons = distill_with_lessons(encode, tokenizer, questions, width=12, held_out=0.2)
    assert len(lessons.held_out) == 20

    def turned(texts, project=lambda vectors: vectors):
        vectors = encode(texts)
        if len(texts) == len(questions) and project(vectors).shape[1] == 12 and turned.calls:
            vectors[lessons.held_out] = -vectors[lessons.held_out]
        turned.calls += 1
        return project(vectors)

    turned.calls = 0  # the first call gives the axes
    rows, other = distill_with_lessons(turned, tokenizer, questions, width=12, held_out=0.2)
    assert not np.array_equal(other.target[lessons.held_out], lessons.target[lessons.held_out])
    np.testing.assert_array_equal(rows, distill(encode, tokenizer, questions, width=12, held_out=0.2))


@pytest.mark.parametrize(
    ("questions", "share", "held_out"), [(100, 0.0, 0), (100, 0.05, 5), (10, 0.05, 2), (3, 0.5, 1)]
)
def test_few_questions_are_held_out_and_enough_are_left(tokenizer, questions, share, held_out):
    _, lessons = distill_with_lessons(encode, tokenizer, texts_of(questions, 0), width=2, held_out=share)
    assert len(lessons.held_out) == held_out


def test_a_share_out_of_range_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"held_out must lie in \[0, 1\), got 1"):
        distill(encode, tokenizer, texts_of(10, 0), held_out=1.0)
