"""Batches: every pair once an epoch, every question once in a batch, and nothing depends on chance."""

import numpy as np
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.text.inputs import TokenIds
from siamese.training.batches import PairBatches

QUESTIONS = 40


@pytest.fixture(scope="module")
def token_ids() -> TokenIds:
    """Question i has 1 + i % 11 tokens, all with the id i + 1: a batch shows who is in it."""
    lengths = 1 + np.arange(QUESTIONS) % 11
    return TokenIds(np.repeat(np.arange(QUESTIONS, dtype=np.int32) + 1, lengths), np.append(0, np.cumsum(lengths)))


@pytest.fixture(scope="module")
def many_pairs() -> QuestionPairs:
    """130 different pairs of 40 questions; the label of a pair is its number / 130."""
    numbers = np.random.default_rng(0).permutation(QUESTIONS * (QUESTIONS - 1))[:130]
    left, right = numbers // (QUESTIONS - 1), numbers % (QUESTIONS - 1)
    return QuestionPairs(tuple(f"q{i}" for i in range(QUESTIONS)), left, right + (right >= left), np.arange(130) / 130)


def batches_of(pairs, token_ids, batch_size=16, seed=0) -> PairBatches:
    """Question i is of group i // 3; a pair's weight is twice its label."""
    return PairBatches(pairs, token_ids, np.arange(QUESTIONS, dtype=np.int32) // 3, pairs.label * 2, batch_size, seed)


def rows(batch) -> list[tuple[int, int, float]]:
    """Left question, right question and label of each pair, from the tokens of the batch."""
    who = batch.questions[:, 0] - 1
    return list(zip(who[batch.left].tolist(), who[batch.right].tolist(), batch.label.tolist(), strict=True))


@pytest.mark.parametrize("bucket_batches", [64, 2])
@pytest.mark.parametrize("batch_size", [1, 16, 130, 1000])
def test_every_pair_once_an_epoch(many_pairs, token_ids, batch_size, bucket_batches, monkeypatch):
    """130 pairs in batches of 16 are 8 full ones and one of 2."""
    monkeypatch.setattr("siamese.training.batches.BUCKET_BATCHES", bucket_batches)
    batches = batches_of(many_pairs, token_ids, batch_size)
    epoch = list(batches.epoch(1))
    assert len(epoch) == len(batches) == int(np.ceil(130 / batch_size))
    expected = zip(many_pairs.left.tolist(), many_pairs.right.tolist(), many_pairs.label.tolist(), strict=True)
    assert sorted(row for batch in epoch for row in rows(batch)) == sorted(expected)
    assert sorted(len(batch.label) for batch in epoch)[1:] == [min(batch_size, 130)] * (len(epoch) - 1)


def test_the_order_depends_on_seed_and_epoch_alone(many_pairs, token_ids):
    """Epoch 2 is the same whether or not epoch 1 was read, or read in part, and also from another object."""

    def order(batches, number):
        return [rows(batch) for batch in batches.epoch(number)]

    batches = batches_of(many_pairs, token_ids)
    second = order(batches, 2)
    next(batches.epoch(1))
    assert order(batches, 2) == second
    assert order(batches_of(many_pairs, token_ids), 2) == second
    assert order(batches, 1) != second
    assert order(batches_of(many_pairs, token_ids, seed=1), 2) != second


def test_each_question_occurs_once_in_a_batch_with_all_its_tokens(many_pairs, token_ids):
    for batch in batches_of(many_pairs, token_ids).epoch(1):
        who = batch.questions[:, 0] - 1
        assert len(set(who.tolist())) == len(who)
        assert set(who.tolist()) == {question for left, right, _ in rows(batch) for question in (left, right)}
        np.testing.assert_array_equal((batch.questions > 0).sum(axis=1), 1 + who % 11)
        assert ((batch.questions == who[:, None] + 1) | (batch.questions == 0)).all()
        np.testing.assert_array_equal(batch.group, who // 3)
        np.testing.assert_allclose(batch.weight, batch.label * 2)


def test_types_and_lengths(many_pairs, token_ids):
    """A batch is as long as its longest question."""
    for batch in batches_of(many_pairs, token_ids).epoch(1):
        longest = int((batch.questions > 0).sum(axis=1).max())
        assert batch.questions.shape[1] == longest
        assert [array.dtype for array in (batch.questions, batch.left, batch.right, batch.group)] == [np.int32] * 4
        assert [array.dtype for array in (batch.label, batch.weight)] == [np.float32] * 2


def test_pairs_of_like_length_are_batched_together(many_pairs, token_ids):
    """Sorted by length before they are cut, so no two batches overlap in the lengths of their pairs."""
    lengths = token_ids.lengths
    spans = []
    for batch in batches_of(many_pairs, token_ids).epoch(1):
        own = [max(lengths[left], lengths[right]) for left, right, _ in rows(batch)]
        spans.append((min(own), max(own)))
    assert all(before[1] <= after[0] for before, after in zip(sorted(spans), sorted(spans)[1:], strict=False))
    assert spans != sorted(spans)  # but the batches come in any order


def test_a_batch_size_of_nothing_is_refused(many_pairs, token_ids):
    with pytest.raises(ValueError, match=r"training\.batch_size must be at least 1, got 0"):
        batches_of(many_pairs, token_ids, batch_size=0)
