"""Guaranteed precision, in simulations of trained detectors whose true precision is known."""

import re

import numpy as np
import pytest
from scipy.stats import binom

from siamese.data.checked_folder import CheckedFolder
from siamese.evaluation.calibration import calibrate
from siamese.evaluation.guarantees import CONFIDENCE, NotGuaranteedError, least_calls, p_values
from siamese.evaluation.thresholds import DevScores, choose_threshold, parse_criterion

SHARE = 0.4  # of duplicates


def drawn(dice: np.random.Generator, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarities and labels of a detector that mistakes one in a hundred of the others for a sure duplicate."""
    duplicate = dice.random(pairs) < SHARE
    fooled = dice.random(pairs) < 0.01
    similarity = np.where(duplicate | fooled, dice.beta(6, 2, pairs), dice.beta(2, 4, pairs))
    return similarity.round(4), duplicate


POPULATION = drawn(np.random.default_rng(1), 1_000_000)


def true_precision(threshold: float) -> float:
    return POPULATION[1][POPULATION[0] >= threshold].mean()


def test_p_values_are_those_of_the_binomial_test():
    calls = np.arange(1, 300)
    for mistakes in (0, 3, 20):
        expected = [binom.cdf(mistakes, n, 0.05) if n > mistakes else 1.0 for n in calls]
        np.testing.assert_allclose(p_values(calls, np.full(len(calls), mistakes), 0.95), expected, rtol=1e-9)


def share_of_broken_promises(criterion: str, precision: float, trials: int = 400) -> tuple[float, int]:
    """How often the true precision is lower than promised, and how many thresholds were given."""
    dice, broken, given = np.random.default_rng(7), 0, 0
    for _ in range(trials):
        dev = DevScores(*drawn(dice, 600), DevScores(*drawn(dice, 600)))
        try:
            threshold = choose_threshold(dev, criterion).threshold
        except NotGuaranteedError:
            continue
        given += 1
        broken += true_precision(threshold) < precision
    return broken / trials, given


@pytest.mark.parametrize("precision", [0.8, 0.9])
def test_the_promise_holds_as_often_as_it_says(precision):
    broken, given = share_of_broken_promises(f"guarantee@{precision}", precision)
    assert broken <= 1 - CONFIDENCE + 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / 400)
    assert given > 300, "a promise that is hardly ever given is no use"
    assert broken > 0.01, "a promise that is never broken is too careful"


def test_a_precision_on_dev_is_no_promise():
    assert share_of_broken_promises("precision@0.9", 0.9)[0] > 0.3


def test_precision_and_recall_are_those_of_the_reserved_pairs():
    dice = np.random.default_rng(3)
    reserved = DevScores(*drawn(dice, 900))
    point = choose_threshold(DevScores(*drawn(dice, 700), reserved), "guarantee@0.9")
    called = reserved.similarity >= point.threshold
    assert point.criterion == "guarantee@0.9"
    assert point.precision == pytest.approx(reserved.duplicate[called].mean())
    assert point.recall == pytest.approx(called[reserved.duplicate].mean())
    assert point.precision >= 0.9


def test_what_chose_the_threshold_is_in_the_note():
    dice = np.random.default_rng(3)
    dev = DevScores(*drawn(dice, 700), DevScores(*drawn(dice, 900)))
    chosen = calibrate(dev.duplicate.astype(float), dev.similarity, "guarantee@0.9", dev.reserved)
    assert chosen.criterion == "guarantee@0.9"
    assert "(900 reserved dev pairs, false alarms: " in chosen.note(dev)


def test_too_few_reserved_pairs_are_refused_with_the_number_that_is_needed():
    few = DevScores(np.linspace(1, 0, 88), np.arange(88) < least_calls(0.95) - 1)
    dev = DevScores(np.array([0.9, 0.1]), np.array([True, False]), few)
    with pytest.raises(
        NotGuaranteedError, match=r"needs at least 45 reserved pairs .* of the 88 reserved dev pairs 44 are"
    ):
        choose_threshold(dev, "guarantee@0.95")
    enough = DevScores(np.linspace(1, 0, 90), np.arange(90) < least_calls(0.95))
    choose_threshold(DevScores(enough.similarity, enough.duplicate, enough), "guarantee@0.95")


def test_what_cannot_be_promised_is_refused_and_training_says_what_it_took():
    dice = np.random.default_rng(5)
    dev = DevScores(*drawn(dice, 600), DevScores(*drawn(dice, 600)))
    with pytest.raises(NotGuaranteedError, match=r"guarantee@0\.999 needs|guarantee@0\.98 cannot be given: of the 600"):
        choose_threshold(dev, "guarantee@0.98")
    taken = calibrate(dev.duplicate.astype(float), dev.similarity, "guarantee@0.98", dev.reserved)
    assert taken.criterion == "precision@0.98"


def test_without_reserved_pairs_or_for_another_prior_there_is_no_promise():
    scores = drawn(np.random.default_rng(5), 600)
    with pytest.raises(NotGuaranteedError, match=r"train with evaluation\.threshold=guarantee@0\.9"):
        choose_threshold(DevScores(*scores), "guarantee@0.9")
    with pytest.raises(NotGuaranteedError, match="leave out the prior"):
        choose_threshold(DevScores(*scores, DevScores(*scores)), "guarantee@0.9", prior=0.01)


@pytest.mark.parametrize("criterion", ["guarantee@1", "guarantee@0", "guarantee@", "guarantee@2"])
def test_a_share_that_nothing_guarantees_is_refused(criterion):
    with pytest.raises(ValueError, match=re.escape(repr(criterion))):
        parse_criterion(criterion)


def test_reserved_scores_are_kept(tmp_path):
    dice = np.random.default_rng(3)
    dev = DevScores(*drawn(dice, 7), DevScores(*drawn(dice, 9)))
    dev.save(tmp_path / "dev.npz")
    kept = DevScores.load(CheckedFolder(tmp_path), "dev.npz")
    assert kept.similarity.tolist() == dev.similarity.tolist()
    assert kept.reserved.similarity.tolist() == dev.reserved.similarity.tolist()
    assert kept.reserved.duplicate.tolist() == dev.reserved.duplicate.tolist()
