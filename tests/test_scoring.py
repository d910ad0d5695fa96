"""Scoring: each question is encoded once, in any order and batch, and scores follow the weights."""

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.model.similarity import Cosine
from siamese.scoring import Scorer
from siamese.text.vectorizer import TokenIds


@pytest.fixture(scope="module")
def network(build_network):
    return build_network("dense", Cosine)


def test_embeddings_come_in_the_order_of_the_questions(network, token_ids):
    """Batches are made by length; the rows are put back where they belong."""
    tower = network.get_layer("tower")
    expected = [np.asarray(tower(token_ids.padded(np.array([row]))))[0] for row in range(len(token_ids))]
    found = Scorer(network).encode(token_ids)
    assert found.dtype == np.float32
    assert len(set(token_ids.lengths.tolist())) > 3
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_similarity_compares_the_given_rows(network, token_ids):
    scorer = Scorer(network)
    embeddings = scorer.encode(token_ids)
    left, right = np.array([0, 5, 5]), np.array([3, 2, 5])
    expected = network.get_layer("similarity")(embeddings[left], embeddings[right])
    np.testing.assert_allclose(scorer.similarity(embeddings, left, right), expected, atol=1e-6)


def test_more_pairs_than_one_batch(network, token_ids, pairs, monkeypatch):
    scorer = Scorer(network)
    whole = scorer.score(token_ids, pairs)
    monkeypatch.setattr("siamese.scoring.PAIRS_PER_BATCH", 5)
    np.testing.assert_allclose(scorer.score(token_ids, pairs), whole, atol=1e-6)


def test_a_pair_scores_the_same_in_any_order(network, token_ids, pairs):
    scorer = Scorer(network)
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = QuestionPairs(pairs.questions, pairs.right[order], pairs.left[order], pairs.label[order])
    np.testing.assert_allclose(scorer.score(token_ids, shuffled), scorer.score(token_ids, pairs)[order], atol=1e-6)


def test_nothing_to_score(network):
    scorer = Scorer(network)
    none = TokenIds(np.empty(0, np.int32), np.zeros(1, np.int64))
    assert scorer.encode(none).shape == (0, scorer.dimension)
    assert scorer.score(none, QuestionPairs.from_texts([], [], [])).tolist() == []


def test_scores_follow_the_weights(build_network, token_ids, pairs):
    """A scorer made before training scores what was trained since."""
    network = build_network("dense", Cosine)
    scorer = Scorer(network)
    before = scorer.score(token_ids, pairs)
    generator = np.random.default_rng(0)
    network.set_weights([generator.normal(size=weight.shape) for weight in network.get_weights()])
    after = scorer.score(token_ids, pairs)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_array_equal(after, Scorer(network).score(token_ids, pairs))


def test_dropout_is_off(build_network, token_ids, pairs):
    scorer = Scorer(build_network("dense", Cosine, dropout=0.5))
    np.testing.assert_array_equal(scorer.score(token_ids, pairs), scorer.score(token_ids, pairs))
