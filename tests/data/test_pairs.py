"""QuestionPairs: validated once, immutable, with a table of distinct questions."""

import numpy as np
import pytest

from siamese.data.pairs import BadRow, PairSplits, QuestionPairs
from siamese.data.questions import question_key


@pytest.fixture
def small() -> QuestionPairs:
    return QuestionPairs.from_texts(["a?", "b?", "a?"], ["b?", "c?", "c?"], [1, 0, 0.25])


def test_the_table_holds_each_text_once_in_order_of_appearance(small):
    """The left column is read first: a, b; then the right one adds c."""
    assert small.questions == ("a?", "b?", "c?")
    assert small.left.tolist() == [0, 1, 0]
    assert small.right.tolist() == [1, 2, 2]
    assert small.left_texts() == ["a?", "b?", "a?"]
    assert small.right_texts() == ["b?", "c?", "c?"]
    assert [array.dtype for array in (small.left, small.right, small.label)] == [np.int32, np.int32, np.float32]
    assert len(small) == 3


def test_texts_that_differ_only_in_case_stay_two_texts():
    """What is shown and scored is what was written; `question_key` is for the split alone."""
    assert QuestionPairs.from_texts(["A?"], ["a?"], [1]).questions == ("A?", "a?")


def test_labels_as_a_yes_or_no(small):
    assert small.duplicate.tolist() == [True, False, False]
    assert QuestionPairs.from_texts(["a", "b"], ["b", "c"], [0.5, 0.499]).duplicate.tolist() == [True, False]
    assert small.graded
    assert not small.take(np.array([0, 1])).graded


def test_take_keeps_order_and_drops_unused_questions(small):
    """Pairs 2 and 1 are (a, c) and (b, c) with labels 0.25 and 0; pair 0 alone is (a, b)."""
    taken = small.take(np.array([2, 1]))
    assert list(zip(taken.left_texts(), taken.right_texts(), taken.label, strict=True)) == [
        ("a?", "c?", 0.25),
        ("b?", "c?", 0.0),
    ]
    masked = small.take(np.array([True, False, False]))
    assert masked.questions == ("a?", "b?")
    assert masked.left_texts() == ["a?"]


def test_taking_nothing_gives_no_pairs(small):
    empty = small.take(np.zeros(3, bool))
    assert len(empty) == 0
    assert empty.questions == ()
    assert not empty.graded


@pytest.mark.parametrize("name", ["left", "right", "label"])
def test_arrays_cannot_be_written(small, name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(small, name)[0] = 1


def test_attributes_cannot_be_replaced(small):
    with pytest.raises(AttributeError):
        small.label = np.zeros(3)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_the_callers_arrays_stay_the_callers(dtype):
    """Writing to the arrays that the pairs were made from neither fails nor changes the pairs."""
    left = np.array([0, 0], dtype)
    pairs = QuestionPairs(("a", "b"), left, np.array([1, 1]), np.array([0.0, 1.0]))
    left[0] = 1
    assert pairs.left.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("left", "right", "label", "message"),
    [
        ([0, 1], [1], [1], "equally long, got 2, 1, 1"),
        ([0], [1], [1, 0], "equally long, got 1, 1, 2"),
        ([0], [1], [1.5], r"labels must lie in \[0, 1\], got 1.5 at pair 0"),
        ([0, 0], [1, 1], [1, -1], r"got -1.0 at pair 1"),
        ([0], [1], [float("nan")], r"got nan at pair 0"),
        ([0], [2], [1], "outside the 2 questions"),
        ([-1], [1], [1], "outside the 2 questions"),
    ],
)
def test_impossible_pairs_are_refused(left, right, label, message):
    with pytest.raises(ValueError, match=message):
        QuestionPairs(("a", "b"), np.array(left), np.array(right), np.array(label))


def test_the_digest_depends_on_texts_order_and_labels(small):
    same = QuestionPairs.from_texts(["a?", "b?", "a?"], ["b?", "c?", "c?"], [1, 0, 0.25])
    others = [
        QuestionPairs.from_texts(["a?", "b?", "a?"], ["b?", "c?", "c?"], [1, 0, 0.5]),
        QuestionPairs.from_texts(["a!", "b?", "a!"], ["b?", "c?", "c?"], [1, 0, 0.25]),
        QuestionPairs.from_texts(["b?", "b?", "a?"], ["a?", "c?", "c?"], [1, 0, 0.25]),
        QuestionPairs.from_texts(["a?b?", "", "a?b?"], ["", "c?", "c?"], [1, 0, 0.25]),
    ]
    assert len(small.digest()) == 64
    assert small.digest() == same.digest()
    assert len({each.digest() for each in (small, *others)}) == 5


def test_a_digest_of_half_an_emoji():
    assert len(QuestionPairs.from_texts(["\ud83d"], ["b"], [1]).digest()) == 64


def test_splits_name_their_parts_and_refuse_an_empty_one(small):
    assert list(PairSplits("mine", small, small, None).parts()) == ["train", "dev"]
    assert list(PairSplits("mine", small, small, small).parts()) == ["train", "dev", "test"]
    with pytest.raises(ValueError, match="data 'mine' has no pair in its dev split"):
        PairSplits("mine", small, small.take(np.zeros(3, bool)), None)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Où est-il ?", "OÙ  est-il ? ", True),  # case, spacing, a no-break space
        ("caf\u00e9", "cafe\u0301", True),  # one code point or two
        ("ﬁn", "fin", True),  # a ligature
        ("STRASSE", "straße", True),
        ("How do I reset it?", "\ufeffHow do I re\u200bset it?", True),  # what nobody sees
        ("ou", "où", False),  # accents are letters
        ("it's", "its", False),
    ],
)
def test_what_counts_as_the_same_question(left, right, same):
    assert (question_key(left) == question_key(right)) is same


def test_a_bad_row_reads_as_a_sentence():
    row = BadRow("a.csv", 3, "label", "yes", "the label must be a number")
    assert str(row) == "a.csv, row 3, column label: the label must be a number (found 'yes')"
