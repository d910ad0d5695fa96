"""Calibration: the temperature is recovered, and another prior gives other odds."""

from dataclasses import replace

import numpy as np
import pytest

from siamese.evaluation.calibration import Calibration, calibrate
from siamese.evaluation.thresholds import DevScores, PrecisionNotReachedError


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("temperature", "offset"), [(1.0, 0.0), (0.4, 1.0), (3.0, -2.0)])
def test_the_temperature_is_recovered(temperature, offset):
    """40,000 labels drawn with probability sigmoid((logit - offset) / temperature), as the class says."""
    generator = np.random.default_rng(0)
    logit = offset + temperature * generator.normal(scale=2.0, size=40_000)
    label = (generator.random(40_000) < sigmoid((logit - offset) / temperature)).astype(np.float32)
    found = calibrate(label, sigmoid(logit), "best_accuracy")
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.offset == pytest.approx(offset, abs=0.05 * max(temperature, 1))
    assert np.mean(found.probability(sigmoid(logit))) == pytest.approx(label.mean(), abs=1e-3)


def test_graded_labels_are_fitted_as_probabilities():
    """Labels that are the probabilities themselves, halved in logit: temperature 2, exactly."""
    logit = np.linspace(-4, 4, 101)
    found = calibrate(sigmoid(logit / 2), sigmoid(logit), "best_accuracy")
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
    found = calibrate(label, similarity, "best_accuracy")
    assert np.isfinite([found.threshold, found.temperature, found.offset]).all()
    assert (found.duplicate(similarity) == (label == 1)).all()
    assert np.abs(found.probability(similarity) - label).max() < 0.2


DEV = DevScores(np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, False]))


def test_a_few_pairs_without_a_mistake_make_nothing_certain():
    """Platt's aims, 5/6 and 1/6 for four and four, are reached where the similarities of each kind are alike."""
    label = np.repeat([1.0, 0.0], 4)
    found = calibrate(label, np.repeat([0.8, 0.4], 4), "best_accuracy")
    assert found.probability(np.array([0.8, 0.4])) == pytest.approx([5 / 6, 1 / 6], abs=1e-3)
    many = calibrate(np.repeat([1.0, 0.0], 400), np.repeat([0.8, 0.4], 400), "best_accuracy")
    assert many.probability(np.array([0.8])) == pytest.approx(401 / 402, abs=1e-3)


def test_the_note_has_the_chosen_threshold_and_its_metrics():
    """T F T F from the top: f1 is best for the first three, with a precision of 2/3 and all duplicates found."""
    found = calibrate(DEV.duplicate.astype(np.float32), DEV.similarity, "best_f1")
    assert found.threshold == pytest.approx(0.3)
    assert (found.criterion, found.prior, found.precision, found.recall) == ("best_f1", 0.5, pytest.approx(2 / 3), 1.0)


def test_only_the_note_of_a_guarantee_is_about_reserved_pairs():
    dev = DevScores(DEV.similarity, DEV.duplicate, DevScores(np.array([0.9, 0.1]), np.array([False, True])))
    chosen = calibrate(dev.duplicate.astype(float), dev.similarity, "best_f1", dev.reserved)
    assert "(4 dev pairs, false alarms: 1 of 2)" in chosen.note(dev)
    assert "(2 reserved dev pairs, false alarms: 1 of 1)" in replace(chosen, criterion="guarantee@0.5").note(dev)


def test_training_continues_if_a_precision_is_not_reached():
    """F T T F: 2/3 is the highest; the calibration says so."""
    label = np.array([0.0, 1.0, 1.0, 0.0])
    found = calibrate(label, np.array([0.9, 0.8, 0.6, 0.2]), "precision@0.9")
    assert (found.threshold, found.criterion) == (pytest.approx(0.4), "precision@0.9")
    assert found.precision == pytest.approx(2 / 3)


def test_an_unknown_purpose_is_refused():
    with pytest.raises(ValueError, match=r"threshold must be best_accuracy, best_f1, .* got 'accuracy'"):
        calibrate(np.array([0.0, 1.0]), np.array([0.2, 0.8]), "accuracy")


@pytest.mark.parametrize("prior", [0.01, 0.37, 0.9])
def test_another_prior_is_bayes_rule(prior):
    """p' = p r / (p r + (1 - p) q), with r and q how much commoner duplicates and others became."""
    calibration = Calibration(0.5, 0.7, 0.3, "best_accuracy", prior=0.5)
    similarity = np.array([0.01, 0.3, 0.6, 0.99])
    before, r, q = calibration.probability(similarity), prior / 0.5, (1 - prior) / 0.5
    after = calibration.at(DEV, prior=prior).probability(similarity)
    np.testing.assert_allclose(after, before * r / (before * r + (1 - before) * q), rtol=1e-9)


def test_a_corrected_probability_is_honest_where_duplicates_are_rare():
    """Calibrated on 40,000 pairs of which 40 % are duplicates, asked about as many of which 2 % are."""
    generator = np.random.default_rng(0)

    def drawn(share):
        label = generator.random(40_000) < share
        return label, sigmoid(generator.normal(np.where(label, 1.5, -0.5), 1.5))

    label, similarity = drawn(0.4)
    calibration = calibrate(label.astype(np.float32), similarity, "best_accuracy")
    rare, score = drawn(0.02)
    corrected = calibration.at(DevScores(similarity, label), prior=0.02)
    assert calibration.probability(score).mean() > 0.15
    assert corrected.probability(score).mean() == pytest.approx(0.02, abs=0.003)
    highest = corrected.probability(score) > 0.2
    assert corrected.probability(score)[highest].mean() == pytest.approx(rare[highest].mean(), abs=0.05)
    # what dev promises of the threshold there is what comes
    careful = calibration.at(DevScores(similarity, label), "best_f1", prior=0.02)
    verdict = careful.duplicate(score)
    assert careful.precision == pytest.approx(rare[verdict].mean(), abs=0.06)
    assert careful.recall == pytest.approx(verdict[rare].mean(), abs=0.06)


@pytest.mark.parametrize("easy", [0.0, 6.0])
@pytest.mark.parametrize("share", [0.003, 0.02, 0.5])
def test_the_share_of_duplicates_is_estimated(share, easy):
    """Duplicates have logits around 2, others around -2, or farther away than those of dev; all with a deviation of 1."""
    generator = np.random.default_rng(0)

    def drawn(pairs: int, share: float, others: float) -> tuple[np.ndarray, np.ndarray]:
        label = generator.random(pairs) < share
        return sigmoid(np.where(label, 2, others) + generator.normal(size=pairs)), label

    dev = DevScores(*drawn(2_000, 0.5, -2))
    similarity, label = drawn(200_000, share, -2 - easy)
    known = Calibration(0.5, temperature=0.25, offset=0.0, prior=0.5)
    found = known.estimated_prior(dev, similarity)
    assert found == pytest.approx(label.mean(), rel=0.2)
    assert known.at(dev, prior=0.1).estimated_prior(dev, similarity) == pytest.approx(found, abs=1e-5)


def test_the_share_of_duplicates_among_few_pairs():
    """With DEV's duplicates, 0.9 and 0.4: as many as reach 0.4, at most, and one more pair that is none or one."""
    known = Calibration(0.5, temperature=0.25, offset=0.0, prior=0.4)
    assert known.estimated_prior(DEV, np.empty(0)) == pytest.approx(0.4)
    assert known.estimated_prior(DEV, np.zeros(3)) == pytest.approx(0.4 / 4)
    assert known.estimated_prior(DEV, np.ones(3)) == pytest.approx(3.4 / 4)


def test_a_threshold_from_a_probability():
    known = Calibration(0.5, 0.7, 0.3, "best_f1", prior=0.5, precision=0.9, recall=0.9)
    found = known.from_probability(0.9, prior=0.02)
    assert found.probability(np.array([found.threshold])) == pytest.approx([0.9])
    assert found.offset == pytest.approx(known.at(DEV, prior=0.02).offset)
    assert (found.prior, found.criterion, found.precision, found.recall) == (0.02, None, None, None)
    assert known.from_probability(0.9, prior=1e-12).threshold == 1


@pytest.mark.parametrize("share", [-0.1, 0, 1, 1.5])
def test_a_probability_or_a_prior_that_is_no_share_is_refused(share):
    known = Calibration(0.5, 0.7, 0.3, prior=0.5)
    with pytest.raises(ValueError, match="min_probability must be above 0 and below 1"):
        known.from_probability(share, 0.1)
    with pytest.raises(ValueError, match="prior must be above 0 and below 1"):
        known.from_probability(0.5, share)


def test_settings_not_given_are_kept():
    calibration = Calibration(0.85, 0.7, 0.3, "best_f1", prior=0.5)
    rare = calibration.at(DEV, prior=0.1)
    assert rare.criterion == "best_f1"
    again = rare.at(DEV, "recall@1")
    assert (again.criterion, again.prior, again.offset) == ("recall@1", 0.1, rare.offset)
    back = again.at(DEV, "best_f1", prior=0.5)
    assert back.offset == pytest.approx(0.3)
    assert (back.prior, back.precision) == (0.5, pytest.approx(2 / 3))
    assert rare.temperature == back.temperature == 0.7
    # a threshold of which no criterion was noted stays where it is
    assert Calibration(0.85, 0.7, 0.3).at(DEV, prior=0.1).threshold == 0.85


def test_a_purpose_that_dev_cannot_serve_is_refused():
    with pytest.raises(PrecisionNotReachedError, match=r"precision@0\.9 is not reached on dev at 0\.2 duplicates"):
        Calibration(0.5, 1.0, 0.0).at(
            DevScores(np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.arange(5) == 4), "precision@0.9"
        )
