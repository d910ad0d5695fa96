"""Guaranteed precision, in simulations of trained detectors whose true precision is known."""

import re
from contextlib import nullcontext

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
    few = DevScores(np.linspace(1, 0.9, 88), np.arange(88) < least_calls(0.95) - 1)
    dev = DevScores(np.array([0.9, 0.1]), np.array([True, False]), few)
    with pytest.raises(
        NotGuaranteedError, match=r"needs at least 45 reserved pairs .* of the 88 reserved dev pairs 44 are"
    ):
        choose_threshold(dev, "guarantee@0.95")
    enough = DevScores(np.linspace(1, 0.9, 90), np.arange(90) < least_calls(0.95))
    choose_threshold(DevScores(enough.similarity, enough.duplicate, enough), "guarantee@0.95")


def test_what_cannot_be_promised_is_refused_and_training_says_what_it_took():
    dice = np.random.default_rng(5)
    dev = DevScores(*drawn(dice, 600), DevScores(*drawn(dice, 600)))
    with pytest.raises(NotGuaranteedError, match=r"guarantee@0\.999 needs|guarantee@0\.98 cannot be given: of the 600"):
        choose_threshold(dev, "guarantee@0.98")
    taken = calibrate(dev.duplicate.astype(float), dev.similarity, "guarantee@0.98", dev.reserved)
    assert taken.criterion == "precision@0.98"


@pytest.mark.parametrize("seed", range(8))
def test_the_threshold_is_the_last_before_the_first_failure(seed):
    """Walked here one by one, from the score of dev where so many calls would be the least surprising."""
    dice = np.random.default_rng(seed)
    dev, reserved = drawn(dice, 200), drawn(dice, 300)

    def p_value(scores: tuple[np.ndarray, np.ndarray], cut: float, share: float = 1) -> float:
        called = scores[1][scores[0] >= cut]
        return p_values(np.array([share * len(called)]), np.array([share * (~called).sum()]), 0.8)[0]

    scores = np.unique(dev[0])
    cuts = [*((scores[1:] + scores[:-1]) / 2)[::-1], scores[0]]
    expected = [p_value(dev, cut, 300 / 200) for cut in cuts]
    passed = []
    for cut in cuts[int(np.argmin(expected)) :]:
        if p_value(reserved, cut) > 0.1:
            break
        passed.append(cut)
    assert choose_threshold(DevScores(*dev, DevScores(*reserved)), "guarantee@0.8").threshold == passed[-1]


def test_where_all_are_duplicates_all_are_called_so():
    dev = np.linspace(0.1, 0.9, 50), np.ones(50, bool)
    assert choose_threshold(DevScores(*dev, DevScores(*dev)), "guarantee@0.9").threshold == 0.1


@pytest.mark.parametrize(("right", "given"), [(40, True), (39, False)])
def test_pairs_at_the_lowest_threshold_count(right, given):
    """All of dev and 40 of 45 are right, which a precision of 0.8 gives with a probability of 0.09, and 39 with 0.18."""
    dev = np.full(50, 0.5), np.ones(50, bool)
    reserved = np.full(45, 0.5), np.arange(45) < right
    with nullcontext() if given else pytest.raises(NotGuaranteedError):
        assert choose_threshold(DevScores(*dev, DevScores(*reserved)), "guarantee@0.8").threshold == 0.5


def test_a_refusal_has_the_figures():
    """Of 64 reserved pairs at the best threshold 4 are wrong; so few have a probability of 0.6 if 95 % are right."""
    dev = np.repeat([0.9, 0.2], 100), np.repeat([True, False], 100)
    reserved = np.repeat([0.95, 0.8, 0.1], [60, 4, 100]), np.repeat([True, False, False], [60, 4, 100])
    probability = binom.cdf(4, 64, 0.05)
    expected = (
        "guarantee@0.95 cannot be given: of the 164 reserved dev pairs 64 reach the best threshold, 0.55, and 4 of these are no "
        f"duplicates; at a precision of 0.95 as few have a probability of {probability:.2f}, and at most 0.1 is allowed. Ask"
    )
    with pytest.raises(NotGuaranteedError, match=re.escape(expected)):
        choose_threshold(DevScores(*dev, DevScores(*reserved)), "guarantee@0.95")


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
