"""Subset: nested samples of the training pairs; dev and test stay whole."""

import numpy as np
import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.sources import corpus
from siamese.data.subset import sample


@pytest.fixture(scope="module")
def splits() -> PairSplits:
    left, right = [f"question {i}" for i in range(50)], [f"other {i}" for i in range(50)]
    pairs = QuestionPairs.from_texts(left, right, np.arange(50) % 2)
    return PairSplits("fifty", pairs, pairs.take(np.arange(5)), pairs.take(np.arange(5, 9)))


def lefts(splits: PairSplits) -> list[str]:
    return splits.train.left_texts()


def test_a_smaller_sample_is_part_of_a_larger_one_and_keeps_the_order(splits):
    few, more = lefts(sample(splits, 0, 10)), lefts(sample(splits, 0, 30))
    assert (len(few), len(more)) == (10, 30)
    assert set(few) < set(more)
    assert few == sorted(few, key=lefts(splits).index)


def test_each_seed_draws_its_own_sample_and_dev_and_test_stay(splits):
    one, other = sample(splits, 0, 10), sample(splits, 1, 10)
    assert lefts(one) != lefts(other)
    assert lefts(one) == lefts(sample(splits, 0, 10))
    assert one.dev is splits.dev
    assert one.test is splits.test


def test_without_a_number_all_pairs_stay(splits):
    assert sample(splits, 0, None) is splits


def test_intents_are_known_of_the_questions_that_are_drawn():
    whole = corpus(duplicates_per_question=0.3)
    few = sample(whole, 0, 20)
    assert set(few.intents["train"].question) == set(few.train.questions)
    assert few.intents["dev"] is whole.intents["dev"]
    known = dict(zip(whole.intents["train"].question, whole.intents["train"].intent.tolist(), strict=True))
    assert few.intents["train"].intent.tolist() == [known[text] for text in few.intents["train"].question]


@pytest.mark.parametrize("pairs", [1, 51])
def test_a_sample_that_cannot_be_drawn_is_refused(splits, pairs):
    with pytest.raises(ValueError, match=rf"subset\.pairs must lie between 2 and the 50 training pairs, got {pairs}"):
        sample(splits, 0, pairs)
