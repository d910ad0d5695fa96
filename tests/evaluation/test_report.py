"""Reports: dev chooses, test is only read, and the worst mistakes come first."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration, calibrate
from siamese.evaluation.report import Report, evaluate, metric_rows, report, worst_mistakes
from siamese.evaluation.tables import aligned


def scored(labels, offset: int = 0) -> QuestionPairs:
    """Pair i asks about "q i" and "r i"."""
    numbers = range(offset, offset + len(labels))
    return QuestionPairs.from_texts([f"q{i}" for i in numbers], [f"r{i}" for i in numbers], labels)


DEV, TEST = scored([1, 1, 0, 0]), scored([1, 0, 1, 0], offset=4)
SCORES = {"q0": 0.9, "q1": 0.8, "q2": 0.4, "q3": 0.1, "q4": 0.95, "q5": 0.7, "q6": 0.5, "q7": 0.2}


def score(pairs: QuestionPairs) -> np.ndarray:
    return np.array([SCORES[question] for question in pairs.left_texts()])


def run(test: QuestionPairs = TEST, **changes):
    options = {"threshold": "best_accuracy", "seed": 0, "bootstrap_repeats": 0} | changes
    return evaluate(score, {"dev": DEV, "test": test}, **options)


def test_dev_chooses_the_threshold_and_test_is_measured_with_it():
    """The threshold of dev is half-way between 0.8 and 0.4: at 0.6. In test 0.95 and 0.2 are right, 0.7 and 0.5 are wrong."""
    calibration, reports = run()
    assert calibration.threshold == pytest.approx(0.6)
    assert list(reports) == ["dev", "test"]
    assert reports["dev"].metrics["accuracy"] == 1.0
    assert reports["test"].metrics["accuracy"] == 0.5
    assert reports["test"].predictions["verdict"].tolist() == [True, True, False, False]


def test_test_does_not_influence_the_choice():
    """Other labels, and none at all: threshold, temperature, offset and the dev report stay as they were."""
    calibration, reports = run()
    flipped = QuestionPairs(TEST.questions, TEST.left, TEST.right, 1 - TEST.label)
    other, other_reports = run(flipped)
    alone, alone_reports = evaluate(score, {"dev": DEV}, "best_accuracy", 0, 0)
    assert calibration == other == alone
    assert reports["dev"].metrics == other_reports["dev"].metrics == alone_reports["dev"].metrics
    assert list(alone_reports) == ["dev"]
    assert reports["test"].metrics["recall"] != other_reports["test"].metrics["roc_auc"]


def test_a_prior_chooses_threshold_and_probabilities_as_pairs_in_that_proportion_would():
    """Among pairs of which 9 in 10 are no duplicates, false alarms cost more: the threshold lies higher or as high."""
    generator = np.random.default_rng(1)
    label = (np.arange(4000) % 2).astype(float)
    similarity = 1 / (1 + np.exp(-(generator.normal(size=4000) + 2 * label - 1)))
    shares = np.where(label == 1, 0.1, 0.9)
    rare = generator.choice(4000, 200_000, p=shares / shares.sum())  # pairs of which a tenth are duplicates
    of_prior = calibrate(label, similarity, "best_accuracy", prior=0.1)
    of_pairs = calibrate(label[rare], similarity[rare], "best_accuracy")
    assert of_prior.prior == 0.1
    assert of_prior.threshold == pytest.approx(of_pairs.threshold, abs=0.05)
    grid = np.array([0.2, 0.5, 0.8, 0.95])
    assert of_prior.probability(grid) == pytest.approx(of_pairs.probability(grid), abs=0.03)
    assert calibrate(label, similarity, "best_accuracy", prior=0.5) == calibrate(label, similarity, "best_accuracy")


def test_the_report_is_at_the_threshold_of_the_prior():
    calibration, reports = run(prior=0.001)
    assert calibration == calibrate(DEV.label, score(DEV), "best_accuracy", prior=0.001)
    assert reports["test"].predictions["verdict"].tolist() == calibration.duplicate(score(TEST)).tolist()


def test_each_part_is_scored_once():
    asked = []
    evaluate(lambda pairs: asked.append(pairs) or score(pairs), {"test": TEST, "dev": DEV}, "best_accuracy", 0, 0)
    assert [id(pairs) for pairs in asked] == [id(DEV), id(TEST)]


def test_predictions_are_one_row_for_each_pair():
    calibration = Calibration(threshold=0.6, temperature=1.0, offset=0.0)
    table = report(TEST, score(TEST), calibration, 0, 0).predictions
    assert table.columns.tolist() == [
        "question1",
        "question2",
        "label",
        "similarity",
        "probability",
        "verdict",
        "correct",
    ]
    assert table["question1"].tolist() == ["q4", "q5", "q6", "q7"]
    assert table["question2"].tolist() == ["r4", "r5", "r6", "r7"]
    assert table["label"].tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(table["probability"], table["similarity"])  # temperature 1, offset 0
    assert table["correct"].tolist() == [True, False, False, True]


def test_intervals_are_there_if_asked_for():
    assert run()[1]["dev"].intervals == {}
    limits = run(bootstrap_repeats=100)[1]["test"].intervals
    assert set(limits) == set(run()[1]["test"].metrics)
    assert limits["accuracy"][0] <= 0.5 <= limits["accuracy"][1]


def test_calibration_errors_before_and_after():
    """Four pairs in bins of their own: each similarity is off by its distance from its label, on average."""
    calibration = Calibration(0.6, temperature=0.5, offset=0.0)
    found = report(TEST, score(TEST), calibration, 0, 0).metrics
    before, after = score(TEST), calibration.probability(score(TEST))
    assert found["expected_calibration_error_uncalibrated"] == pytest.approx(np.abs(before - TEST.label).mean())
    assert found["expected_calibration_error"] == pytest.approx(np.abs(after - TEST.label).mean())
    assert found["expected_calibration_error"] != found["expected_calibration_error_uncalibrated"]


def test_a_report_keeps_the_scores_that_thresholds_are_chosen_from():
    """0.25 is no duplicate, 0.5 is; float32 stays float32, so that verdicts are the same to the bit."""
    pairs = scored([1, 0.5, 0.25, 0])
    found = report(pairs, score(pairs).astype(np.float32), Calibration(0.6, 1.0, 0.0), 0, 0).scores()
    assert found.similarity.tolist() == np.array([0.9, 0.8, 0.4, 0.1], np.float32).tolist()
    assert found.similarity.dtype == np.float32
    assert found.duplicate.tolist() == [True, True, False, False]


def test_graded_labels_add_correlations():
    graded = scored([1, 0.75, 0.25, 0])
    calibration = Calibration(0.6, 1.0, 0.0)
    found = report(graded, score(graded), calibration, 0, 0).metrics
    assert found["spearman"] == pytest.approx(1.0)
    assert found["accuracy"] == 1.0  # 0.75 counts as a duplicate, 0.25 does not
    assert "spearman" not in report(DEV, score(DEV), calibration, 0, 0).metrics


def test_worst_mistakes_first():
    """Wrong are b (0.9 for a 0, off by 0.9), d (0.2 for a 1, by 0.8) and a (0.6 for a 0, by 0.6); c is right."""
    table = pd.DataFrame(
        {
            "question1": list("abcd"),
            "label": [0.0, 0.0, 1.0, 1.0],
            "probability": [0.6, 0.9, 0.99, 0.2],
            "correct": [False, False, True, False],
        }
    )
    assert worst_mistakes(table, 10)["question1"].tolist() == ["b", "d", "a"]
    assert worst_mistakes(table, 2)["question1"].tolist() == ["b", "d"]
    assert worst_mistakes(table, 2).index.tolist() == [0, 1]
    assert len(worst_mistakes(table[table["correct"]], 10)) == 0


def test_equally_bad_mistakes_keep_their_order():
    table = pd.DataFrame({"question1": list("abc"), "label": 0.0, "probability": 0.75, "correct": False})
    assert worst_mistakes(table, 3)["question1"].tolist() == ["a", "b", "c"]


def test_metrics_make_an_aligned_table():
    empty = pd.DataFrame()
    undefined = {"recall": (float("nan"), float("nan"))}
    dev = Report({"accuracy": 0.5, "recall": float("nan")}, {"accuracy": (0.25, 0.75), **undefined}, empty)
    text = aligned(metric_rows({"dev": dev, "test": Report({"accuracy": 1.0}, {}, empty)}))
    assert text.splitlines() == [
        "          dev                      test",
        "accuracy  0.5000 [0.2500, 0.7500]  1.0000",
        "recall    nan",
    ]


def test_verdicts_and_metrics_agree_in_float32():
    """Dev has no duplicates, so none is called one: not in the table, and not in the accuracy."""
    labels = QuestionPairs(DEV.questions, DEV.left, DEV.right, np.zeros(4))
    calibration, reports = evaluate(
        lambda pairs: score(pairs).astype(np.float32), {"dev": labels}, "best_accuracy", 0, 0
    )
    assert calibration.threshold > float(np.float32(0.9))
    assert not reports["dev"].predictions["verdict"].any()
    assert reports["dev"].metrics["accuracy"] == 1.0


def test_the_temperature_never_changes_the_order():
    similarity = np.array([0.1, 0.4, 0.8, 0.9])
    probability = run()[0].probability(similarity)
    assert all(low < high for low, high in pairwise(probability))
