"""Slices: which pairs are in which, and what is measured on each, against a straightforward count."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from siamese.data.pairs import QuestionPairs
from siamese.evaluation.slices import Slicing, slice_metrics, slicings

TRAIN = QuestionPairs.from_texts(["how do i pay ?"], ["where is it ?"], [1])
DEV = QuestionPairs.from_texts(
    ["How do I pay ?", "how do i  pay ?", "what is new ?", "a b c d e f g h"],
    ["where is it ?", "what is this thing over there ?", "what is new here ?", "a b c d e f g h i j"],
    [1, 0, 1, 0],
)


def by_name(*arguments) -> dict[str, Slicing]:
    return {each.name: each for each in slicings(*arguments)}


def known(pairs: QuestionPairs, shares) -> np.ndarray:
    return np.resize(np.array(shares, float), len(pairs.questions))


def test_pairs_are_sliced_by_what_they_are():
    shares = np.array([1, 0.9, 0.6, 0, 1, 1, 1, 1])  # of the questions in the order of their table
    found = by_name({"dev": DEV}, {"dev": known(DEV, shares[: len(DEV.questions)])}, TRAIN)
    assert list(found) == ["length", "overlap", "unknown_words", "questions_seen"]
    words = np.array([5, 7, 5, 10])  # of the longer question
    for one in range(4):
        for other in range(4):
            if words[one] == words[other]:
                assert found["length"].number["dev"][one] == found["length"].number["dev"][other]
            elif words[one] < words[other]:
                assert found["length"].number["dev"][one] < found["length"].number["dev"][other]
    order = np.argsort(found["overlap"].number["dev"], kind="stable")
    jaccard = np.array([1 / 8, 1 / 11, 4 / 5, 8 / 10])  # the question mark is a word
    assert jaccard[order].tolist() == sorted(jaccard)
    for number, pair in zip(found["unknown_words"].number["dev"], zip(DEV.left, DEV.right, strict=True), strict=True):
        worse = 1 - min(shares[list(pair)])
        assert number == sum(worse > edge for edge in (0, 0.25, 0.5))
    assert found["unknown_words"].slices == ["0", "0 to 0.25", "0.25 to 0.5", "over 0.5"]
    assert found["questions_seen"].slices[2] == "both"
    assert found["questions_seen"].number["dev"].tolist() == [2, 1, 0, 0], "case and spaces do not count"


def test_quantiles_make_slices_of_equal_size_and_are_those_of_the_first_part():
    lengths = np.arange(1, 41)
    texts = [" ".join(f"w{number}" for number in range(length)) for length in lengths]
    dev = QuestionPairs.from_texts(texts, ["w0"] * 40, [0, 1] * 20)
    test = dev.take(np.arange(10))
    shares = {"dev": np.ones(len(dev.questions)), "test": np.ones(len(test.questions))}
    found = by_name({"dev": dev, "test": test}, shares)
    assert "questions_seen" not in found, "nobody says what was learned from"
    assert found["length"].slices == ["up to 10", "10 to 20", "20 to 30", "over 30"]
    assert np.bincount(found["length"].number["dev"]).tolist() == [10] * 4
    assert found["length"].number["test"].tolist() == [0] * 10
    assert np.bincount(found["overlap"].number["dev"]).tolist() == [4] * 10
    assert found["overlap"].number["test"].min() >= 7


def test_equal_values_are_one_slice_and_unknown_shares_none():
    pairs = QuestionPairs.from_texts(["a b"] * 4, ["c d"] * 4, [0, 1, 0, 1])
    found = by_name({"dev": pairs}, {"dev": np.full(2, np.nan)})
    assert found["length"].slices == found["overlap"].slices == ["all"]
    assert found["unknown_words"].number["dev"].tolist() == [-1] * 4


@pytest.fixture
def measured() -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """A table of slices of 300 pairs, the last slice empty and the third of one class, and what it is made from."""
    generator = np.random.default_rng(1)
    number, similarity = generator.integers(3, size=300), generator.random(300)
    label = (generator.random(300) < similarity) & (number < 2)
    slicing = Slicing("kind", ["a", "b", "c", "d"], {"dev": number})
    return slice_metrics(slicing, "dev", label, similarity, 0.5), number, label, similarity


def test_each_slice_has_the_metrics_of_its_pairs(measured):
    table, number, label, similarity = measured
    for row in table.head(2).itertuples():
        inside = number == row.slice - 1
        assert (row.part, row.slicing, row.pairs) == ("dev", "kind", inside.sum())
        assert row.duplicates == pytest.approx(label[inside].mean())
        assert row.accuracy == pytest.approx(np.mean((similarity[inside] >= 0.5) == label[inside]))
        assert row.roc_auc == pytest.approx(roc_auc_score(label[inside], similarity[inside]))
        assert row.accuracy_low < row.accuracy < row.accuracy_high
        assert row.roc_auc_low < row.roc_auc < row.roc_auc_high


def test_what_is_undefined_is_nan(measured):
    table = measured[0].set_index("holds")
    assert table.loc["c", "duplicates"] == 0
    assert 0 < table.loc["c", "accuracy"] < 1
    assert np.isnan(table.loc["c", ["roc_auc", "roc_auc_low"]].to_numpy(float)).all()
    assert table.loc["d", "pairs"] == 0
    assert np.isnan(table.loc["d", ["duplicates", "accuracy", "roc_auc", "accuracy_low"]].to_numpy(float)).all()
