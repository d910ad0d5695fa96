"""A vectorizer of words with an encoder beside it."""

import json

import numpy as np
import pytest

from siamese.data.checked_folder import CheckedFolder
from siamese.pretrained import joined as joined_module
from siamese.pretrained.joined import JoinedVectorizer
from siamese.text.inputs import UNKNOWN, WordsAndVectors

QUESTIONS = ["how do i pay my bill", "zzz", "how do i pay my bill", ""]


@pytest.fixture
def joined(vectorizer, encoder_vectorizer) -> JoinedVectorizer:
    return JoinedVectorizer(vectorizer, encoder_vectorizer)


def assert_same(one: WordsAndVectors, other: WordsAndVectors) -> None:
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.vectors.values, other.vectors.values)


def test_words_and_vectors_are_those_of_both(joined, vectorizer, encoder_vectorizer):
    inputs, coverage = joined.read(QUESTIONS)
    assert_same(inputs, joined.encode(QUESTIONS))
    np.testing.assert_array_equal(inputs.values, vectorizer.encode(QUESTIONS).values)
    np.testing.assert_array_equal(inputs.vectors.values, encoder_vectorizer.encode(QUESTIONS).values)
    assert inputs.numbered().tolist() == [0, 1, 0, 2]
    assert joined.size == vectorizer.size
    assert joined.requirements == encoder_vectorizer.requirements
    of_words = vectorizer.coverage(QUESTIONS)
    for found in (coverage, joined.coverage(QUESTIONS)):
        assert found.known_words.tolist() == of_words.known_words.tolist()
        assert found.cut.tolist() == of_words.cut.tolist()
    assert len(joined.encode([])) == 0
    assert joined.seconds(QUESTIONS) > 0


def test_each_word_is_left_out_of_tokens_and_of_the_encoded_text(joined, encoder_vectorizer):
    spans, word = joined.words("how do i pay?")
    inputs = joined.without_each_word("how do i pay?")
    texts = ["how do i pay?", "do i pay?", "how i pay?", "how do pay?", "how do i ?", "how do i pay"]
    assert (len(spans), word.tolist()) == (5, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(inputs.vectors.values, encoder_vectorizer.encode(texts).values)
    np.testing.assert_array_equal(inputs.token_ids.lengths, [5, 4, 4, 4, 4, 4])


def test_a_question_without_words_has_nothing_to_leave_out(joined):
    inputs = joined.without_each_word("")
    assert (len(inputs), inputs.values.tolist()) == (1, [UNKNOWN])


def test_no_more_words_are_left_out_than_anyone_reads(joined, monkeypatch):
    monkeypatch.setattr(joined_module, "MOST_WORDS", 3)
    spans, word = joined.words("how do i pay my bill")
    assert (len(spans), word.tolist()) == (3, [0, 1, 2])
    assert len(joined.without_each_word("how do i pay my bill")) == 4


def test_what_was_saved_reads_the_same(joined, tmp_path):
    joined.save(tmp_path)
    again = JoinedVectorizer.load(CheckedFolder(tmp_path))
    assert_same(again.encode(QUESTIONS), joined.encode(QUESTIONS))
    assert again.to_json() == joined.to_json()


def test_the_json_identifies_words_and_encoder(joined):
    described = json.loads(joined.to_json())
    assert described["encoder"] == joined.encoder.digest
    assert described["words"] == json.loads(joined.of_words.to_json())
