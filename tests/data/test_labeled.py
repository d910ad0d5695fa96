"""Labeled pairs join train alone, and none of them tells of dev or test."""

from pathlib import Path

import pytest

from siamese.data.dialects import Reading
from siamese.data.labeled import with_labeled
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.sources import intent_file, pair_file

SPLITS = PairSplits(
    "pairs",
    QuestionPairs.from_texts(["a", "c"], ["b", "d"], [1, 0]),
    QuestionPairs.from_texts(["e"], ["f"], [1]),
    QuestionPairs.from_texts(["g"], ["h"], [0]),
)


def texts(pairs: QuestionPairs) -> list[tuple[str, str, float]]:
    return [
        (pairs.questions[left], pairs.questions[right], float(label))
        for left, right, label in zip(pairs.left, pairs.right, pairs.label, strict=True)
    ]


def test_pairs_with_a_label_join_train_unless_dev_or_test_has_their_questions(tmp_path):
    path = tmp_path / "pairs.csv"
    rows = ["b,x,1", "x,y,non", "E ,z,1", "z,h,0", "u,v,"]
    path.write_text("question1,question2,is_duplicate\n" + "\n".join(rows) + "\n", encoding="utf-8-sig")
    told: list[str] = []
    found = with_labeled(SPLITS, str(path), Reading(tell=told.append))
    assert texts(found.train) == [("a", "b", 1), ("c", "d", 0), ("b", "x", 1), ("x", "y", 0)]
    assert (found.dev, found.test) == (SPLITS.dev, SPLITS.test)
    assert told[-1] == (
        "2 labeled pairs of pairs.csv were added to train; left out were 1 rows without a label, and 2 pairs with a "
        "question of dev or test"
    )
    assert with_labeled(SPLITS, None, Reading()) is SPLITS


def test_sources_of_ones_own_take_them(tmp_path):
    labeled = tmp_path / "labeled.csv"
    labeled.write_text("question1,question2,is_duplicate\nnew one,new two,1\n", encoding="utf-8")
    intents = tmp_path / "faq.csv"
    intents.write_text("text,intent\n" + "".join(f"text {row},{row % 8}\n" for row in range(64)), encoding="utf-8")
    pairs = tmp_path / "own.csv"
    rows = "".join(f"left {row},right {row},{row % 2}\n" for row in range(60))
    pairs.write_text("question1,question2,is_duplicate\n" + rows, encoding="utf-8")
    for read in (
        lambda **more: intent_file(str(intents), split="question", **more),
        lambda **more: pair_file(str(pairs), **more),
    ):
        before, after = read(), read(labeled=str(labeled))
        assert texts(after.train) == [*texts(before.train), ("new one", "new two", 1)]
        assert after.dev.digest() == before.dev.digest()
        assert after.notes[-1].startswith("1 labeled pairs of labeled.csv were added to train")


def test_a_file_without_labels_is_refused(tmp_path):
    path = Path(tmp_path / "pairs.csv")
    path.write_text("question1,question2,is_duplicate\na,b,\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pairs\.csv has no good row; its first: .*row 2, column is_duplicate"):
        with_labeled(SPLITS, str(path), Reading())
