"""Remembered chunks: what is read of a question does not depend on what was read before."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from siamese.text import remembered_chunks
from siamese.text.vectorizer import Vectorizer

QUESTIONS = [
    "How do I pay my bill?",
    "où est l'eau ?",
    "  two  spaces ",
    "a" * 100,
    "word " * 80,
    "?",
    "pay pay PAY",
    "水 🙂",
]


@pytest.fixture(params=["word", "unigram", "bpe"])
def vectorizer(request) -> Vectorizer:
    return Vectorizer.fit(["how do i pay my bill ?", "où est l'eau ?", "two words"], request.param, 60, 1, 10, 16)


def fresh(vectorizer: Vectorizer) -> Vectorizer:
    return Vectorizer.from_json(vectorizer.to_json())


def same(one, other) -> bool:
    (ids, coverage), (other_ids, other_coverage) = one, other
    arrays = [(ids.values, other_ids.values), (ids.offsets, other_ids.offsets)]
    arrays += [(coverage.known_words, other_coverage.known_words), (coverage.cut, other_coverage.cut)]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)


def test_a_question_is_read_as_if_nothing_had_been_read_before(vectorizer):
    for questions in (QUESTIONS, QUESTIONS[::-1], [QUESTIONS[0], *QUESTIONS, "new " + QUESTIONS[1]], [""], []):
        found = vectorizer.read(questions)
        assert same(found, fresh(vectorizer).read(questions))
        assert same(found, fresh(vectorizer)._reader.read_many(questions, count_words=True))  # that of many questions
        assert np.array_equal(found[0].values, vectorizer.encode(questions).values)


def test_they_have_a_number_and_a_length(vectorizer, monkeypatch):
    monkeypatch.setattr(remembered_chunks, "MOST", 5)
    for number in range(20):
        questions = [f"word{number} pay {'x' * 65}", f"other{number}"]
        assert same(vectorizer.read(questions), fresh(vectorizer).read(questions))
        assert len(vectorizer._reader._remembered) <= 5


def test_their_characters_are_bounded_too(vectorizer, monkeypatch):
    monkeypatch.setattr(remembered_chunks, "MOST_CHARACTERS", 30)
    for number in range(10):
        questions = [f"word{number} pay", "x" * 31, "pay my bill"]
        assert same(vectorizer.read(questions), fresh(vectorizer).read(questions))
        assert sum(map(len, vectorizer._reader._remembered._known.number)) <= 30


def test_threads_may_read_at_the_same_time(vectorizer, monkeypatch):
    monkeypatch.setattr(remembered_chunks, "MOST", 50)
    every = [[f"word{number % 70} pay", f"my{number % 31} bill"] for number in range(400)]
    expected = [fresh(vectorizer).read(questions) for questions in every[:70]]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(vectorizer.read, every))
    assert all(map(same, found[:70], expected))
