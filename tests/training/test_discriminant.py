"""The closed-form start of a head: the direction that duplicates differ in shrinks, and no network without a head is touched."""

import numpy as np
import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.detector import Detector
from siamese.model import towers
from siamese.training.discriminant import discriminant, start_head

INTENTS, EACH = 30, 4


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Questions of 30 intents, 4 of each; within an intent the first number differs, between intents the others."""
    generator = np.random.default_rng(0)
    intents = np.repeat(generator.normal(size=(INTENTS, 6)), EACH, axis=0) * [0, 1, 1, 1, 1, 1]
    return (intents + generator.normal(size=intents.shape) * [3, 0.1, 0.1, 0.1, 0.1, 0.1] + 5).astype(np.float32)


@pytest.fixture(scope="module")
def intent_pairs() -> QuestionPairs:
    """Each question with the next of its intent, and as many pairs of other intents."""
    number = np.arange(INTENTS * EACH)
    inside = number[number % EACH < EACH - 1]
    across = number[:-EACH]
    label = [1] * len(inside) + [0] * len(across)
    texts = tuple(f"question {each}" for each in number)
    return QuestionPairs(texts, np.r_[inside, across], np.r_[inside + 1, across + EACH], np.array(label))


def nearest_has_the_intent(vectors: np.ndarray) -> float:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -1)
    return float((similarity.argmax(axis=1) // EACH == np.arange(len(vectors)) // EACH).mean())


def test_the_nearest_question_is_one_of_the_same_intent(vectors, intent_pairs):
    duplicate = intent_pairs.duplicate == 1
    kernel, bias = discriminant(vectors, intent_pairs.left[duplicate], intent_pairs.right[duplicate])
    assert (kernel.dtype, bias.dtype, kernel.shape, bias.shape) == (np.float32, np.float32, (6, 6), (6,))
    mapped = vectors @ kernel + bias
    assert nearest_has_the_intent(vectors) < 0.5
    assert nearest_has_the_intent(mapped) > 0.85
    assert (mapped**2).mean() == pytest.approx((vectors**2).mean(), rel=1e-4)
    np.testing.assert_allclose(mapped.mean(axis=0), 0, atol=1e-3)


def test_a_head_starts_with_it(vectors, intent_pairs):
    tower = towers.encoder(6)
    assert start_head(tower, vectors, intent_pairs)
    assert nearest_has_the_intent(np.asarray(tower(vectors))) > 0.85


def test_without_a_head_or_duplicates_that_differ_nothing_changes(vectors, intent_pairs, build_network):
    dense = build_network().get_layer("tower")
    before = [weight.numpy() for weight in dense.weights]
    assert not start_head(
        dense, np.zeros((len(intent_pairs.questions), dense.output_shape[-1]), np.float32), intent_pairs
    )
    for weight, old in zip(dense.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    narrow = towers.encoder(6, width=3)
    assert not start_head(narrow, np.asarray(narrow(vectors)), intent_pairs)
    head = towers.encoder(6)
    assert not start_head(head, vectors, intent_pairs.take(np.flatnonzero(intent_pairs.label == 0)))
    assert not start_head(head, np.ones_like(vectors), intent_pairs)
    np.testing.assert_array_equal(head.get_layer("projection").kernel.numpy(), np.eye(6))


@pytest.mark.parametrize(("scores", "kept"), [((0.7, 0.8), True), ((0.8, 0.8), False), ((0.8, 0.7), False)])
def test_the_head_keeps_the_start_that_dev_prefers(vectors, intent_pairs, scores, kept):
    head, measured = towers.encoder(6), iter(scores)
    assert start_head(head, vectors, intent_pairs, lambda: next(measured)) == kept
    assert np.array_equal(head.get_layer("projection").kernel.numpy(), np.eye(6)) != kept


def test_another_word_than_those_is_refused(intent_pairs):
    with pytest.raises(ValueError, match=r"training\.discriminant must be true, false, dev or auto, got 'maybe'"):
        Detector.train(PairSplits("few", intent_pairs, intent_pairs), discriminant="maybe")


def test_a_head_that_was_trained_stays(vectors, intent_pairs):
    head = towers.encoder(6)
    head.get_layer("projection").set_weights([2 * np.eye(6), np.zeros(6)])
    assert not start_head(head, vectors, intent_pairs)
