"""Nearest intents: against all similarities, for every similarity that NumPy has, in whatever blocks."""

import numpy as np
import pytest

from siamese.data.intents import IntentQuestions
from siamese.data.pairs import COLLECTION
from siamese.evaluation.intents import refusal_threshold
from siamese.inference.network import NumpyNetwork
from siamese.inference.similarities import Cosine, Euclidean, Manhattan
from siamese.retrieval import nearest_intents
from siamese.retrieval.nearest_intents import (
    compared_by,
    measure_intents,
    nearest_by_intent,
    nearest_of_part,
    nearness_of,
)

SIMILARITIES = [Cosine(np.empty, 6), Euclidean(np.empty, 6, scale=1.0), Manhattan(np.empty, 6)]


class Compared(NumpyNetwork):
    """A network that compares embeddings, and encodes nothing."""

    def __init__(self, comparison=SIMILARITIES[0]):
        self.comparison = comparison


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(nearest_intents, "DISTANCES_AT_ONCE", 100)


def drawn(seed: int, questions: int, intents: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    embeddings = generator.normal(size=(questions, 6)).astype(np.float32)
    return embeddings, generator.integers(intents, size=questions).astype(np.int32)


@pytest.mark.parametrize("comparison", SIMILARITIES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("in_collection", [False, True])
def test_own_and_others_are_those_of_all_similarities(comparison, in_collection, monkeypatch):
    """As many candidates as known questions, so that none is missed whatever the similarity."""
    monkeypatch.setattr(nearest_intents, "CANDIDATES", 40)
    known, known_intent = drawn(0, 40, 5)
    asked, asked_intent = (known[::3], known_intent[::3]) if in_collection else drawn(1, 12, 5)
    itself = np.arange(0, 40, 3) if in_collection else None
    found = nearest_by_intent(*nearness_of(Compared(comparison), asked, known), asked_intent, known_intent, itself)
    for row, (vector, intent) in enumerate(zip(asked, asked_intent, strict=True)):
        similarity = comparison(np.repeat(vector[None], 40, axis=0), known)
        if itself is not None:
            similarity[itself[row]] = -np.inf
        assert found.own[row] == similarity[known_intent == intent].max()
        others = np.sort(similarity[known_intent != intent])[::-1]
        np.testing.assert_array_equal(found.others[row, : len(others)], others)
        assert np.isneginf(found.others[row, len(others) :]).all()


@pytest.mark.parametrize("comparison", SIMILARITIES[:2], ids=lambda each: type(each).__name__)
def test_few_candidates_are_enough_where_the_similarity_is_a_distance(comparison, monkeypatch):
    known, known_intent = drawn(0, 200, 3)
    asked, asked_intent = drawn(1, 30, 3)
    compared = nearness_of(Compared(comparison), asked, known)
    every = nearest_by_intent(*compared, asked_intent, known_intent)
    monkeypatch.setattr(nearest_intents, "CANDIDATES", 2)
    few = nearest_by_intent(*compared, asked_intent, known_intent)
    np.testing.assert_allclose(few.own, every.own, rtol=1e-5)
    np.testing.assert_allclose(few.others, every.others[:, :2], rtol=1e-5)


def test_questions_whose_intent_is_unknown_are_left_out():
    known = np.eye(2, 6, dtype=np.float32)
    compared = nearness_of(Compared(), known, known)
    found = nearest_by_intent(*compared, np.array([0, 7]), np.array([0, 1]))
    assert (len(found.own), len(found.others)) == (1, 1)
    alone = nearest_by_intent(*compared, np.array([0, 1]), np.array([0, 1]), np.arange(2))
    assert len(alone.own) == 0


def encode(questions) -> np.ndarray:
    """Two letters, two directions: "ab" is twice as near to "aab" as to "abb"."""
    return np.array([[text.count("a"), text.count("b")] for text in questions], np.float32)


BY_COSINE = compared_by(Compared(Cosine(np.empty, 2)), encode)


def of(*texts_and_intents: tuple[str, int]) -> IntentQuestions:
    texts, intents = zip(*texts_and_intents, strict=True)
    return IntentQuestions(texts, np.array(intents, np.int32), np.zeros(len(texts), np.int32))


BY_INTENT = {
    "train": of(("ab", 0), ("abab", 0)),
    "dev": of(("a", 1), ("aa", 1), ("b", 2), ("bb", 2)),
    "test": of(("a", 3), ("ba", 3), ("b", 4), ("ab", 4)),
}


def test_a_split_by_intent_searches_the_other_questions_of_the_part():
    """In dev each question has an equal one; "a" and "b" are as far as can be. In test "ab" and "ba" are the nearest."""
    found = measure_intents(BY_COSINE, BY_INTENT, ["dev", "test"])
    assert found["dev"]["intent_accuracy_top1"] == 1
    assert found["dev"]["out_of_scope_recall"] == 1
    assert found["test"]["intent_accuracy_top1"] == 0
    assert found["test"]["intent_accuracy_top5"] == 1
    assert found["test"]["out_of_scope_threshold"] == found["dev"]["out_of_scope_threshold"]


def test_only_dev_chooses_the_threshold():
    dev = nearest_of_part(BY_COSINE, BY_INTENT, "dev")
    alone = measure_intents(BY_COSINE, BY_INTENT, ["test"])
    assert list(alone) == ["test"]
    assert alone["test"]["out_of_scope_threshold"] == refusal_threshold(dev)


def test_a_split_by_question_searches_the_training_questions():
    """ "aab" is nearest to "a", and "abb" to "b"; in its own part each has only the other intent's question."""
    parts = {"train": of(("a", 0), ("b", 1)), "dev": of(("aab", 0), ("abb", 1))}
    assert measure_intents(BY_COSINE, parts, ["dev"])["dev"]["intent_accuracy_top1"] == 1


def test_a_collection_of_the_source_is_searched_by_all_parts_and_nothing_finds_itself():
    """Of "a", "b" and "abb" the nearest others are "abb", "abb" and "b"; "aab" of test is nearest to "a"."""
    parts = {"train": of(("a", 0)), "dev": of(("b", 1), ("abb", 1)), "test": of(("aab", 0), ("ba", 1))}
    parts[COLLECTION] = of(("a", 0), ("b", 1), ("abb", 1))
    found = measure_intents(BY_COSINE, parts, ["dev", "test"])
    assert found["dev"]["intent_accuracy_top1"] == 1
    assert found["test"]["intent_accuracy_top1"] == 1
    assert nearest_of_part(BY_COSINE, parts, "dev").own.max() < 1


def test_without_intents_there_is_nothing_to_measure():
    assert measure_intents(BY_COSINE, {}, ["dev"]) == {}
    singles = {"train": of(("a", 0), ("b", 1)), "dev": of(("a", 2), ("b", 3))}
    assert measure_intents(BY_COSINE, singles, ["dev"]) == {}


def test_at_most_so_many_questions_of_a_part_are_asked(monkeypatch):
    """3 of the 4, or as many as the similarities to a collection of 4 allow."""
    monkeypatch.setattr(nearest_intents, "QUESTIONS", 3)
    assert len(nearest_of_part(BY_COSINE, BY_INTENT, "dev").own) == 4
    monkeypatch.setattr(nearest_intents, "COMPARISONS", 15)
    assert len(nearest_of_part(BY_COSINE, BY_INTENT, "dev").own) == 3
