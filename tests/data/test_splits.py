"""Splits: whole components go to one part, and no question is ever in two."""

from itertools import combinations

import numpy as np
import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.questions import question_key
from siamese.data.splits import (
    assert_disjoint,
    contradictions,
    has_both_kinds,
    question_components,
    question_overlap,
    require_both_kinds,
    split_by_component,
    split_by_pair,
    with_both_kinds,
)


def chains(count: int, length: int) -> QuestionPairs:
    """`count` chains of `length` pairs each: q0-q1, q1-q2, … in every chain."""
    left = [f"chain {c} question {i}" for c in range(count) for i in range(length)]
    right = [f"chain {c} question {i + 1}" for c in range(count) for i in range(length)]
    return QuestionPairs.from_texts(left, right, [1.0] * len(left))


def partition(pairs: QuestionPairs, **options) -> set[frozenset[str]]:
    component = question_components(pairs, **options)
    assert component.dtype == np.int32
    return {
        frozenset(question for question, own in zip(pairs.questions, component, strict=True) if own == each)
        for each in component
    }


def test_components_are_the_connected_questions():
    """The components are a-b-c, d-e and f, which is paired with itself."""
    pairs = QuestionPairs.from_texts(["a", "c", "d", "f"], ["b", "b", "e", "f"], [1, 0, 1, 1])
    assert partition(pairs) == {frozenset("abc"), frozenset("de"), frozenset("f")}


def test_components_of_duplicates_alone():
    """c-b is no duplicate, so c stands alone; a-b and b-g give a, b, g by transitivity."""
    pairs = QuestionPairs.from_texts(["a", "c", "b", "d"], ["b", "b", "g", "e"], [1, 0, 0.5, 0.4])
    assert partition(pairs, only_duplicates=True) == {
        frozenset("abg"),
        frozenset("c"),
        frozenset("d"),
        frozenset("e"),
    }


@pytest.mark.parametrize("variant", ["WHERE is it?", "where  is it? ", "where\u00a0is it?", "ｗhere is it?"])
@pytest.mark.parametrize("only_duplicates", [False, True])
def test_variants_of_case_and_spacing_are_one_question(variant, only_duplicates):
    """a - "where is it?" and variant - b are joined by nothing but the spelling."""
    pairs = QuestionPairs.from_texts(["a", variant], ["where is it?", "b"], [1, 1])
    assert len(partition(pairs, only_duplicates=only_duplicates)) == 1


def test_no_pairs_have_no_components():
    assert question_components(QuestionPairs.from_texts([], [], [])).tolist() == []


@pytest.mark.parametrize(("dev", "test"), [(0.1, 0.1), (0.2, 0.0), (0.05, 0.3)])
def test_shares_and_disjointness(dev, test):
    """300 chains of 3 pairs: each small part gets its share up to less than one chain, and nothing is lost."""
    pairs = chains(300, 3)
    parts = split_by_component(pairs, dev, test, seed=0)
    assert list(parts) == (["train", "dev", "test"] if test else ["train", "dev"])
    for name, share in (("dev", dev), ("test", test)):
        if share:
            assert share * 900 - 3 < len(parts[name]) <= share * 900
    assert sum(len(part) for part in parts.values()) == 900
    keys = [{question_key(question) for question in part.questions} for part in parts.values()]
    assert all(not one & other for one, other in combinations(keys, 2))


def test_pairs_and_labels_survive_the_split(pairs):
    """With 4 components of 3 duplicates (the others left out), a quarter each goes to dev and test."""
    known = pairs.take(pairs.duplicate)
    parts = split_by_component(known, 0.25, 0.25, seed=3)
    assert {name: len(part) for name, part in parts.items()} == {"train": 6, "dev": 3, "test": 3}
    rows = {
        row
        for part in parts.values()
        for row in zip(part.left_texts(), part.right_texts(), part.label.tolist(), strict=True)
    }
    assert rows == set(zip(known.left_texts(), known.right_texts(), known.label.tolist(), strict=True))


def test_the_split_depends_on_the_seed_alone():
    pairs = chains(50, 2)
    digests = [[part.digest() for part in split_by_component(pairs, 0.1, 0.1, seed).values()] for seed in (0, 0, 1)]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.parametrize("seed", range(5))
def test_a_giant_component_goes_to_train(seed):
    """One chain of 500 pairs and 100 of 5: dev and test take only from the small ones."""
    small = chains(100, 5)
    giant = [f"giant {i}" for i in range(501)]
    pairs = QuestionPairs.from_texts(
        small.left_texts() + giant[:-1], small.right_texts() + giant[1:], [1.0] * (len(small) + 500)
    )
    parts = split_by_component(pairs, 0.1, 0.1, seed)
    assert len(parts["dev"]) == len(parts["test"]) == 100
    assert set(giant) <= set(parts["train"].questions)


def test_one_component_cannot_be_split():
    with pytest.raises(ValueError, match=r"too few components \(1\) to give dev its 10%: it got 0 of 40 pairs"):
        split_by_component(chains(1, 40), 0.1, 0.1, seed=0)


@pytest.mark.parametrize(("dev", "test"), [(0, 0.1), (1.0, 0), (0.5, 0.5), (-0.1, 0.1), (0.1, -0.1), (0.1, 1)])
def test_impossible_shares_are_refused(dev, test):
    with pytest.raises(ValueError, match=f"got dev={dev} and test={test}"):
        split_by_component(chains(10, 1), dev, test, seed=0)


def test_both_kinds_are_a_duplicate_and_another():
    both = QuestionPairs.from_texts(["a", "b", "c"], ["d", "e", "f"], [1, 0, 1])
    found = [has_both_kinds(both.take(np.array(rows, np.int64))) for rows in ([0, 1, 2], [0, 2], [1], [])]
    assert found == [True, False, False, False]


def test_a_shared_question_is_found_whatever_its_spelling():
    train = QuestionPairs.from_texts(["a"], ["Where is it?"], [1])
    test = QuestionPairs.from_texts(["where  IS it?"], ["b"], [1])
    with pytest.raises(ValueError, match=r"the question 'where  IS it\?' is in both train and test"):
        assert_disjoint({"train": train, "test": test})
    assert_disjoint({"train": train, "dev": QuestionPairs.from_texts(["c"], ["d"], [0])})


def test_overlap_counts_questions_and_pairs():
    """Of the held-out a, B, c, d, e train knows a and b: 2 questions. (a, B), (c, B) and (a, d) hold one: 3 pairs."""
    train = QuestionPairs.from_texts(["a", "b"], ["b", "x"], [1, 0])
    held_out = QuestionPairs.from_texts(["a", "c", "a", "d"], ["B", "B", "d", "e"], [1, 0, 0, 1])
    assert question_overlap(train, held_out) == {"questions": 2, "pairs": 3}
    assert question_overlap(train, held_out.take(np.array([3]))) == {"questions": 0, "pairs": 0}


def test_a_split_by_pair_deals_every_pair_once_and_lets_parts_share_questions():
    pairs = chains(1, 100)  # one component, which no split by question could part
    parts = split_by_pair(pairs, 0.1, 0.2, seed=0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 70, "dev": 10, "test": 20}
    dealt = [pair for part in parts.values() for pair in zip(part.left_texts(), part.right_texts(), strict=True)]
    assert sorted(dealt) == sorted(zip(pairs.left_texts(), pairs.right_texts(), strict=True))
    assert question_overlap(parts["train"], parts["test"])["pairs"] > 0
    assert list(split_by_pair(pairs, 0.1, 0, seed=0)) == ["train", "dev"]
    assert split_by_pair(pairs, 0.1, 0.2, seed=0)["dev"].digest() == parts["dev"].digest()
    assert split_by_pair(pairs, 0.1, 0.2, seed=1)["dev"].digest() != parts["dev"].digest()


def test_impossible_shares_of_a_split_by_pair_are_refused():
    with pytest.raises(ValueError, match=r"dev \+ test < 1, got dev=0.6 and test=0.5"):
        split_by_pair(chains(1, 100), 0.6, 0.5, seed=0)


def test_pairs_with_both_labels_are_found_in_either_order_and_across_tables():
    train = QuestionPairs.from_texts(["a", "A ", "c", "c"], ["b", "b", "d", "e"], [1, 0, 1, 1])
    dev = QuestionPairs.from_texts(["D", "e", "x"], ["c", "c", "y"], [0.2, 0.9, 0])
    assert contradictions(train, dev) == [("a", "b"), ("c", "d")]
    assert contradictions(dev) == []


def labeled(*labels: float) -> QuestionPairs:
    return QuestionPairs.from_texts(
        [f"a{i}" for i in range(len(labels))], [f"b{i}" for i in range(len(labels))], labels
    )


@pytest.mark.parametrize("split", [split_by_component, split_by_pair])
def test_parts_without_one_kind_of_pairs_are_drawn_again(split):
    """Of 20 pairs with 4 duplicates, dev and test have 2 each: most draws leave one of them without duplicates."""
    pairs, told = labeled(*[1, 0, 0, 0, 0] * 4), []
    for seed in range(10):
        first = split(pairs, 0.1, 0.1, seed)
        parts = with_both_kinds(split, told.append, pairs, 0.1, 0.1, seed)
        assert all(0 < part.label.sum() < len(part) for part in parts.values())
        if all(0 < part.label.sum() < len(part) for part in first.values()):
            assert [part.digest() for part in parts.values()] == [part.digest() for part in first.values()]
    assert 5 < len(told) < 10
    assert "was drawn" in told[0]


def test_a_split_that_cannot_have_both_kinds_everywhere_stays_as_it_is():
    for pairs in (labeled(*[0] * 20), labeled(*[0] * 19, 1)):
        expected = split_by_pair(pairs, 0.1, 0.1, 3)
        found = with_both_kinds(split_by_pair, pytest.fail, pairs, 0.1, 0.1, 3)
        assert [part.digest() for part in found.values()] == [part.digest() for part in expected.values()]


@pytest.mark.parametrize(
    ("train", "dev", "message"),
    [
        (
            labeled(0, 0),
            labeled(0),
            "none of the 2 pairs of train in a.csv is a duplicate.*see whether data.label names",
        ),
        (labeled(0, 1), labeled(0, 0, 0), "none of the 3 pairs of dev in a.csv is a duplicate.*raise data.dev"),
        (labeled(0, 1), labeled(0.7), "none of the 1 pairs of dev in a.csv is labeled different"),
    ],
)
def test_a_training_needs_both_kinds(train, dev, message):
    with pytest.raises(ValueError, match=message):
        require_both_kinds(PairSplits("a.csv", train, dev))


def test_duplicates_alone_can_be_learned_from_and_test_may_have_one_kind():
    require_both_kinds(PairSplits("a.csv", labeled(1, 1), labeled(0, 1), labeled(1)))
