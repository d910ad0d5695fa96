"""Dev pairs that are set aside for a guarantee."""

import numpy as np
import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.reserved import with_reserved
from siamese.data.splits import assert_disjoint


def splits_of(dev: QuestionPairs) -> PairSplits:
    return PairSplits("made", QuestionPairs.from_texts(["a"], ["b"], [1]), dev)


def sparse(pairs: int) -> QuestionPairs:
    """Pairs in components of one or two."""
    left = [f"question {number}" for number in range(pairs)]
    right = [f"question {number - number % 2} again" for number in range(pairs)]
    return QuestionPairs.from_texts(left, right, np.arange(pairs) % 3 == 0)


def dense(questions: int) -> QuestionPairs:
    """All pairs of questions, of which those of one intent are duplicates: a single component."""
    left, right = np.triu_indices(questions, 1)
    texts = [f"question {number}" for number in range(questions)]
    return QuestionPairs(texts, left, right, (left % 5 == right % 5).astype(float))


@pytest.mark.parametrize("dev", [sparse(400), dense(60)])
def test_reserved_pairs_share_no_question_with_any_other(dev):
    splits = with_reserved(splits_of(dev))
    assert list(splits.parts()) == ["train", "dev", "reserved"]
    assert_disjoint({"dev": splits.dev, "reserved": splits.reserved})
    assert len(splits.reserved.questions) == 2 * len(splits.reserved)


def test_of_a_sparse_graph_hardly_a_pair_is_lost():
    splits = with_reserved(splits_of(sparse(400)))
    assert 180 < len(splits.dev) < 220
    assert len(splits.reserved) == pytest.approx(
        (400 - len(splits.dev)) / 2, abs=2
    )  # one of each two that share a question
    assert f"{len(splits.reserved)} of 400 dev pairs" in splits.notes[-1]


def test_of_a_dense_graph_half_of_the_questions_are_set_aside():
    splits = with_reserved(splits_of(dense(60)))
    assert len(splits.dev.questions) == 30
    assert len(splits.reserved) == 15


def test_it_is_the_same_for_each_seed_of_the_training():
    first, second = (with_reserved(splits_of(sparse(50))) for _ in range(2))
    assert first.reserved.digest() == second.reserved.digest()


def test_too_few_pairs_are_refused():
    with pytest.raises(ValueError, match=r"sets half of dev aside, but the 3 dev pairs of made leave . for the part"):
        with_reserved(splits_of(sparse(3)))
