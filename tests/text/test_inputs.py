"""Inputs of a network: token ids of many questions with and without padding, and vectors in their place or beside them."""

import numpy as np
import pytest

from siamese.text.inputs import QuestionVectors, TokenIds, WordsAndVectors, parts


@pytest.fixture
def three_questions() -> TokenIds:
    """5 6 7, then 8, then 9 9."""
    return TokenIds(np.array([5, 6, 7, 8, 9, 9], np.int32), np.array([0, 3, 4, 6]))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([0, 1, 2], [[5, 6, 7], [8, 0, 0], [9, 9, 0]]),
        ([2, 1], [[9, 9], [8, 0]]),
        ([1, 1], [[8], [8]]),
    ],
)
def test_padding(three_questions, rows, expected):
    padded = three_questions.padded(np.array(rows))
    assert padded.dtype == np.int32
    assert padded.tolist() == expected


def test_lengths(three_questions):
    assert len(three_questions) == 3
    assert three_questions.lengths.tolist() == [3, 1, 2]


def test_questions_with_the_same_tokens_have_the_same_number(three_questions):
    assert three_questions.take(np.array([2, 0, 2, 1])).numbered().tolist() == [0, 1, 0, 2]


def test_a_vector_counts_as_one_token():
    vectors = QuestionVectors(np.array([[0.6, 0.8], [1.0, 0.0], [0.6, 0.8]], np.float32))
    assert vectors.lengths.tolist() == [1, 1, 1]
    assert vectors.numbered().tolist() == [0, 1, 0]
    assert vectors.take(np.array([1])).padded(np.array([0])).tolist() == [[1.0, 0.0]]


@pytest.fixture
def both(three_questions) -> WordsAndVectors:
    return WordsAndVectors(three_questions, QuestionVectors(np.array([[0.6, 0.8], [1, 0], [0, 1]], np.float32)))


def test_the_vector_stands_before_the_token_ids(both):
    padded = both.padded(np.array([0, 1]))
    assert padded.dtype == np.float32
    assert padded.tolist() == np.array([[0.6, 0.8, 5, 6, 7], [1, 0, 8, 0, 0]], np.float32).tolist()
    assert both.take(np.array([2])).padded(np.array([0])).tolist() == [[0, 1, 9, 9]]


def test_the_largest_ids_are_exact_beside_a_vector():
    ids = TokenIds(np.array([2**24 - 1, 2**24 - 2], np.int32), np.array([0, 2]))
    padded = WordsAndVectors(ids, QuestionVectors(np.zeros((1, 1), np.float32))).padded(np.array([0]))
    assert padded.astype(np.int32).tolist() == [[0, 2**24 - 1, 2**24 - 2]]


def test_words_count_where_a_vector_stands_beside_them(both):
    assert len(both) == 3
    assert both.lengths.tolist() == [3, 1, 2]
    assert both.values is both.token_ids.values


def test_the_same_question_has_the_same_tokens_and_the_same_vector(three_questions):
    vectors = QuestionVectors(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32))
    both = WordsAndVectors(three_questions.take(np.array([0, 1, 0, 0])), vectors)
    assert both.numbered().tolist() == [0, 1, 0, 2]


def test_the_parts_of_inputs(both):
    assert parts(both) == (both.token_ids, both.vectors)
    assert parts(both.token_ids) == (both.token_ids, None)
    assert parts(both.vectors) == (None, both.vectors)
