"""Thresholds: for every criterion no other one on dev is better, and another prior is another dev."""

import re

import numpy as np
import pytest

from siamese.data.checked_folder import CheckedFolder
from siamese.evaluation.thresholds import DevScores, OperatingPoint, PrecisionNotReachedError, choose_threshold

CRITERIA = ("best_accuracy", "best_f1", "precision@0.7", "recall@0.8")


def dev_of(label, similarity) -> DevScores:
    return DevScores(np.asarray(similarity), np.asarray(label, bool))


def threshold(label, similarity, criterion="best_accuracy") -> float:
    return choose_threshold(dev_of(label, similarity), criterion).threshold


def measured(dev: DevScores, threshold: float) -> dict[str, float]:
    """Accuracy, f1, precision and recall of "from the threshold on", counted pair by pair."""
    verdict = dev.similarity >= threshold
    hits, predicted, duplicates = np.sum(verdict & dev.duplicate), np.sum(verdict), np.sum(dev.duplicate)
    return {
        "accuracy": np.mean(verdict == dev.duplicate),
        "f1": 2 * hits / (predicted + duplicates) if predicted + duplicates else 0.0,
        "precision": hits / predicted if predicted else 0.0,
        "recall": hits / duplicates if duplicates else 0.0,
    }


def random_dev(generator, digits: int, dtype=np.float32, pairs: int = 60) -> DevScores:
    similarity = generator.random(pairs).round(digits).astype(dtype)
    return dev_of(generator.random(pairs) < similarity, similarity)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("digits", [1, 9], ids=["ties", "no ties"])
def test_no_other_threshold_is_better(digits, dtype):
    """Against every threshold that could matter: each score, and one above all."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        dev = random_dev(generator, digits, dtype)
        all_others = [measured(dev, each) for each in (*dev.similarity, 2.0)]

        def best(what, given=lambda each: True, all_others=all_others):
            return max(each[what] for each in all_others if given(each))

        found = {criterion: measured(dev, choose_threshold(dev, criterion).threshold) for criterion in CRITERIA}
        assert found["best_accuracy"]["accuracy"] == best("accuracy")
        assert found["best_f1"]["f1"] == best("f1")
        assert found["precision@0.7"]["precision"] >= 0.7
        assert found["precision@0.7"]["recall"] == best("recall", lambda each: each["precision"] >= 0.7)
        assert found["recall@0.8"]["recall"] >= 0.8
        assert found["recall@0.8"]["precision"] == best("precision", lambda each: each["recall"] >= 0.8)


def test_precision_and_recall_are_those_of_the_verdicts():
    generator = np.random.default_rng(1)
    for criterion in (*CRITERIA, 0.4, "0.55"):
        dev = random_dev(generator, 2)
        point = choose_threshold(dev, criterion)
        expected = measured(dev, point.threshold)
        assert (point.precision, point.recall) == pytest.approx((expected["precision"], expected["recall"]))
        assert (point.criterion, point.prior) == (str(criterion), dev.duplicate.mean())


@pytest.mark.parametrize("criterion", [*CRITERIA, 0.5])
@pytest.mark.parametrize(("duplicates", "others"), [(1, 7), (5, 1), (3, 3)])
def test_another_prior_is_a_dev_set_with_copies(criterion, duplicates, others):
    """Each duplicate copied so often and each other pair so often: at that share the choice is the very same."""
    generator = np.random.default_rng(2)
    for _ in range(10):
        dev = random_dev(generator, 1)
        dev = dev_of([*dev.duplicate, *[True] * 20], [*dev.similarity, *[1.0] * 20])  # every precision is reached
        copies = np.where(dev.duplicate, duplicates, others)
        copied = dev_of(dev.duplicate.repeat(copies), dev.similarity.repeat(copies))
        expected = choose_threshold(copied, criterion)
        found = choose_threshold(dev, criterion, prior=copied.share)
        assert found.threshold == expected.threshold
        assert (found.precision, found.recall) == pytest.approx((expected.precision, expected.recall))
        assert (found.criterion, found.prior) == (expected.criterion, expected.prior)


def test_precision_at_one_percent_by_hand():
    """3 of 4 duplicates and 1 of 6 others: TPR 3/4, FPR 1/6; .01 * 3/4 / (.01 * 3/4 + .99 * 1/6) = .0075 / .1725."""
    dev = dev_of([1, 1, 1, 0, 0, 1, 0, 0, 0, 0], [0.9, 0.9, 0.9, 0.9, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1])
    assert choose_threshold(dev, 0.9) == OperatingPoint(0.9, "0.9", 0.4, 3 / 4, 3 / 4)
    point = choose_threshold(dev, 0.9, prior=0.01)
    assert point.precision == pytest.approx(0.0075 / 0.1725)
    assert (point.recall, point.prior) == (3 / 4, 0.01)


def test_a_smaller_prior_asks_for_a_higher_threshold():
    """T F T F from the top. At 1/2 all of T F T gives a precision of 2/3; at 1/10 it is 1 / (1 + 9/2) and only T is left."""
    dev = dev_of([1, 0, 1, 0], [0.9, 0.8, 0.4, 0.2])
    assert choose_threshold(dev, "precision@0.6").threshold == pytest.approx(0.3)
    assert choose_threshold(dev, "precision@0.6", prior=0.1).threshold == pytest.approx(0.85)
    assert choose_threshold(dev, 0.3, prior=0.1).precision == pytest.approx(1 / (1 + 9 / 2))


def test_a_precision_that_is_not_reached_names_the_highest():
    """F T T F from the top: precisions 0, 1/2, 2/3, 1/2."""
    dev = dev_of([0, 1, 1, 0], [0.9, 0.8, 0.6, 0.2])
    message = (
        "precision@0.9 is not reached on dev at 0.5 duplicates: the highest precision is 0.6667, at a recall of 1.0000"
    )
    with pytest.raises(PrecisionNotReachedError, match=message) as refusal:
        choose_threshold(dev, "precision@0.9")
    assert refusal.value.best == OperatingPoint(pytest.approx(0.4), "precision@0.9", 0.5, pytest.approx(2 / 3), 1.0)
    with pytest.raises(PrecisionNotReachedError, match=r"at 0\.01 duplicates: the highest precision is 0\.0198"):
        choose_threshold(dev, "precision@0.9", prior=0.01)  # .01 / (.01 + .99 / 2)


def test_a_precision_that_is_just_reached_counts():
    """19 of 20 are 0.95; the scores below are worse."""
    label = np.array([True] * 19 + [False] * 3)
    similarity = np.array([0.9] * 18 + [0.8, 0.7, 0.3, 0.2])
    label[[18, 19]] = label[[19, 18]]
    point = choose_threshold(dev_of(label, similarity), "precision@0.95")
    assert (point.threshold, point.precision, point.recall) == (pytest.approx(0.5), 0.95, 1.0)


def test_of_equally_precise_thresholds_the_one_with_more_recall_is_taken():
    """T T F: at recall 1/2 the precision is 1, and so it is at recall 1."""
    dev = dev_of([1, 1, 0], [0.9, 0.8, 0.2])
    assert choose_threshold(dev, "recall@0.5") == OperatingPoint(0.5, "recall@0.5", pytest.approx(2 / 3), 1.0, 1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adjacent_scores_are_separated(dtype):
    """Two floats with none between them: the upper is always a duplicate, the lower never, at any magnitude."""
    for start in np.random.default_rng(0).random(50).astype(dtype):
        similarity = np.array([start, np.nextafter(start, dtype(1))])
        assert (similarity >= threshold([False, True], similarity)).tolist() == [False, True]


def test_the_threshold_lies_half_way():
    """Between 0.4, the highest other, and 0.8, the lowest duplicate; in whatever order they come."""
    assert threshold([1, 1, 0, 0], [0.9, 0.8, 0.4, 0.1]) == pytest.approx(0.6)
    assert threshold([0, 1, 0, 1], [0.1, 0.8, 0.4, 0.9]) == pytest.approx(0.6)


def test_equal_scores_are_never_separated():
    """Of three pairs at 0.5 two are duplicates: all three together are the best verdict, 3 of 4 right."""
    assert 0.2 < threshold([1, 1, 0, 0], [0.5, 0.5, 0.5, 0.2]) <= 0.5


def test_f1_and_accuracy_can_disagree():
    """Verdicts for the top k of T F F T F F: accuracy is best at k = 1 (5/6), f1 at k = 1 (2/3) and k = 4 (2/3).

    With the fourth and the fifth both duplicates (T F F T T F) f1 wants the top 5 (6/8) and accuracy, with
    4 right at k = 1 and at k = 5, takes the fewest.
    """
    label, similarity = [1, 0, 0, 1, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert threshold(label, similarity, "best_f1") == pytest.approx(0.45)
    assert threshold(label, similarity, "best_accuracy") == pytest.approx(0.85)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_if_nothing_is_a_duplicate_nothing_is_called_one(dtype):
    """Networks score in float32: the threshold above the highest score must be above it there too."""
    similarity = np.array([0.3, 1.0, 0.7], dtype)
    assert not (similarity >= threshold(np.zeros(3), similarity)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_if_all_are_duplicates_all_are_called_so(dtype):
    similarity = np.array([0.3, 1.0, 0.7], dtype)
    assert (similarity >= threshold(np.ones(3), similarity)).all()


@pytest.mark.parametrize(
    "criterion",
    ["accuracy", "best_recall", "precision", "precision@", "precision@1.5", "@0.5", "f1@0.5", "nan", 1.5, -0.1],
)
def test_an_unknown_purpose_is_refused_with_all_that_there_are(criterion):
    message = r"threshold must be best_accuracy, best_f1, precision@0\.95, .* got " + re.escape(repr(criterion))
    with pytest.raises(ValueError, match=message):
        choose_threshold(dev_of([0, 1], [0.2, 0.8]), criterion)


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 37.0, float("nan")])
def test_a_prior_that_is_no_share_is_refused(prior):
    with pytest.raises(ValueError, match=f"prior is the share of duplicates, above 0 and below 1; got {prior}"):
        choose_threshold(dev_of([0, 1], [0.2, 0.8]), "best_f1", prior)


def test_dev_pairs_of_one_kind_leave_nothing_to_choose_from():
    none, all_of_them = dev_of([0, 0], [0.2, 0.8]), dev_of([1, 1], [0.2, 0.8])
    with pytest.raises(ValueError, match=r"prior=0\.1 needs dev pairs of both kinds, but 100% of dev are duplicates"):
        choose_threshold(all_of_them, "best_f1", prior=0.1)
    with pytest.raises(ValueError, match=r"recall@0\.9 cannot be chosen: none of the 2 dev pairs is a duplicate"):
        choose_threshold(none, "recall@0.9")
    with pytest.raises(PrecisionNotReachedError, match=r"the highest precision is 0\.0000"):
        choose_threshold(none, "precision@0.5")


@pytest.mark.parametrize(
    ("similarity", "duplicate", "problem"),
    [
        (
            np.array([1, 0], np.int8),
            np.array([True, False]),
            r"expected float\[pairs\] and bool\[pairs\], got int8 and bool",
        ),
        (np.array([0.5]), np.array([1], np.int8), "got float64 and int8"),
        (np.array([[0.5]]), np.array([[True]]), "expected"),
        (np.array([[0.5]]), np.array([True]), "expected"),
        (np.array([0.5]), np.array([[True]]), "expected"),
        (np.array([1.1]), np.array([True]), r"a similarity lies outside \[0, 1\]"),
        (np.array([-0.1]), np.array([True]), "a similarity lies outside"),
        (np.array([0.5, 0.6]), np.array([True]), "as many labels"),
        (np.array([0.5]), None, "duplicate"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "reserved_"])
def test_a_file_of_other_scores_is_refused(tmp_path, prefix, similarity, duplicate, problem):
    arrays = {"similarity": np.array([0.5]), "duplicate": np.array([True])} if prefix else {}
    arrays |= {f"{prefix}similarity": similarity} | ({} if duplicate is None else {f"{prefix}duplicate": duplicate})
    np.savez(tmp_path / "scores.npz", **arrays)
    with pytest.raises(ValueError, match=f"scores.npz holds no dev scores: .*{problem}"):
        DevScores.load(CheckedFolder(tmp_path), "scores.npz")


def test_a_similarity_may_leave_its_range_by_a_rounding(tmp_path):
    dev_of([1, 0], [1 + 5e-6, -5e-6]).save(tmp_path / "scores.npz")
    assert len(DevScores.load(CheckedFolder(tmp_path), "scores.npz")) == 2
    dev_of([1, 0], [1 + 5e-5, -5e-5]).save(tmp_path / "scores.npz")
    with pytest.raises(ValueError, match="outside"):
        DevScores.load(CheckedFolder(tmp_path), "scores.npz")


def test_dev_scores_are_sorted_and_cannot_be_changed():
    dev = dev_of([0, 1, 1], [0.2, 0.5, 0.9])
    assert dev.similarity.tolist() == [0.9, 0.5, 0.2]
    assert dev.duplicate.tolist() == [True, True, False]
    assert (len(dev), dev.share) == (3, pytest.approx(2 / 3))
    with pytest.raises(ValueError, match="read-only"):
        dev.similarity[0] = 0
    with pytest.raises(ValueError, match="got 1 and 2"):
        dev_of([1], [0.5, 0.6])
    with pytest.raises(ValueError, match="at least one of each; got 0 and 0"):
        dev_of([], [])
