"""Calibration: the temperature is recovered, and no other threshold would have been better."""

import numpy as np
import pytest

from siamese.evaluation.calibration import Calibration, best_threshold, calibrate


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def quality(label, similarity, threshold, objective) -> float:
    verdict = Calibration(float(threshold), 1.0, 0.0).duplicate(similarity)
    if objective == "accuracy":
        return float(np.mean(verdict == label))
    return float(2 * np.sum(verdict & label) / max(np.sum(verdict) + np.sum(label), 1))


@pytest.mark.parametrize(("temperature", "offset"), [(1.0, 0.0), (0.4, 1.0), (3.0, -2.0)])
def test_the_temperature_is_recovered(temperature, offset):
    """40,000 labels drawn with probability sigmoid((logit - offset) / temperature), as the class says."""
    generator = np.random.default_rng(0)
    logit = offset + temperature * generator.normal(scale=2.0, size=40_000)
    label = (generator.random(40_000) < sigmoid((logit - offset) / temperature)).astype(np.float32)
    found = calibrate(label, sigmoid(logit), "accuracy")
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.offset == pytest.approx(offset, abs=0.05 * max(temperature, 1))
    assert np.mean(found.probability(sigmoid(logit))) == pytest.approx(label.mean(), abs=1e-3)


def test_graded_labels_are_fitted_as_probabilities():
    """Labels that are the probabilities themselves, halved in logit: temperature 2, exactly."""
    logit = np.linspace(-4, 4, 101)
    found = calibrate(sigmoid(logit / 2), sigmoid(logit), "accuracy")
    assert (found.temperature, found.offset) == pytest.approx((2.0, 0.0), abs=1e-3)


def test_probability_by_hand():
    """Similarity 1/2 has logit 0: (0 - 1) / 2 gives sigmoid(-1/2); the offset's own similarity gives 1/2."""
    calibration = Calibration(threshold=0.5, temperature=2.0, offset=1.0)
    assert calibration.probability(np.array([0.5, sigmoid(1.0)])) == pytest.approx([sigmoid(-0.5), 0.5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_is_finite_and_keeps_the_order(dtype):
    similarity = np.array([0, 1e-7, 0.2, 0.5, 0.9, 1], dtype)
    for temperature in (0.01, 1.0, 100.0):
        probability = Calibration(0.5, temperature, 0.3).probability(similarity)
        assert probability.dtype == np.float64
        assert np.diff(probability).min() >= 0
        assert 0 <= probability.min() <= probability.max() <= 1


@pytest.mark.parametrize("label", [np.zeros(20), np.ones(20)], ids=["no duplicate", "duplicates alone"])
def test_one_class_still_calibrates(label):
    """Parameters stay within their limits; the verdict is right for all."""
    similarity = np.linspace(0.1, 0.9, 20)
    found = calibrate(label, similarity, "accuracy")
    assert np.isfinite([found.threshold, found.temperature, found.offset]).all()
    assert (found.duplicate(similarity) == (label == 1)).all()
    assert np.abs(found.probability(similarity) - label).max() < 0.2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("objective", ["accuracy", "f1"])
@pytest.mark.parametrize("digits", [1, 9], ids=["ties", "no ties"])
def test_no_other_threshold_is_better(digits, objective, dtype):
    """Against every threshold that could matter: each score, and one above all."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        similarity = generator.random(60).round(digits).astype(dtype)
        label = generator.random(60) < similarity
        found = quality(label, similarity, best_threshold(label, similarity, objective), objective)
        assert found == max(quality(label, similarity, each, objective) for each in (*similarity, 2.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbouring_scores_are_told_apart(dtype):
    """Two floats with none between them: the upper is always a duplicate, the lower never, wherever they lie."""
    for start in np.random.default_rng(0).random(50).astype(dtype):
        similarity = np.array([start, np.nextafter(start, dtype(1))])
        threshold = best_threshold(np.array([False, True]), similarity, "accuracy")
        assert Calibration(threshold, 1.0, 0.0).duplicate(similarity).tolist() == [False, True]


def test_the_threshold_lies_half_way():
    """Between 0.4, the highest other, and 0.8, the lowest duplicate."""
    label = np.array([True, True, False, False])
    assert best_threshold(label, np.array([0.9, 0.8, 0.4, 0.1]), "accuracy") == pytest.approx(0.6)


def test_equal_scores_are_never_parted():
    """Of three pairs at 0.5 two are duplicates: all three together are the best verdict, 3 of 4 right."""
    label, similarity = np.array([True, True, False, False]), np.array([0.5, 0.5, 0.5, 0.2])
    threshold = best_threshold(label, similarity, "accuracy")
    assert 0.2 < threshold <= 0.5
    assert quality(label, similarity, threshold, "accuracy") == 3 / 4


def test_f1_and_accuracy_can_disagree():
    """Verdicts for the top k of T F F T F F: accuracy is best at k = 1 (5/6), f1 at k = 1 (2/3) and k = 4 (2/3).

    With the fourth and the fifth both duplicates (T F F T T F) f1 wants the top 5 (6/8) and accuracy, with
    4 right at k = 1 and at k = 5, takes the fewest.
    """
    similarity = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    label = np.array([True, False, False, True, True, False])
    assert best_threshold(label, similarity, "f1") == pytest.approx(0.45)
    assert best_threshold(label, similarity, "accuracy") == pytest.approx(0.85)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_if_nothing_is_a_duplicate_nothing_is_called_one(dtype):
    """Networks score in float32: the threshold above the highest score must be above it there too."""
    similarity = np.array([0.3, 1.0, 0.7], dtype)
    threshold = best_threshold(np.zeros(3, bool), similarity, "accuracy")
    assert not Calibration(threshold, 1.0, 0.0).duplicate(similarity).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_if_all_are_duplicates_all_are_called_so(dtype):
    similarity = np.array([0.3, 1.0, 0.7], dtype)
    threshold = best_threshold(np.ones(3, bool), similarity, "accuracy")
    assert Calibration(threshold, 1.0, 0.0).duplicate(similarity).all()


def test_an_unknown_objective_is_refused_by_the_name_of_its_setting():
    """conf/evaluation calls it `objective`."""
    with pytest.raises(ValueError, match=r"evaluation\.objective must be accuracy or f1, got 'recall'"):
        calibrate(np.array([0.0, 1.0]), np.array([0.2, 0.8]), "recall")
