"""Comparison: each statistic by hand or against scipy, and intervals with their nominal coverage."""

import numpy as np
import pytest
from scipy import stats

from siamese.evaluation.metrics import pair_metrics
from siamese.evaluation.significance import (
    Estimate,
    difference,
    holm,
    mcnemar,
    mean_over_seeds,
    pareto_front,
    resampled,
    resamples,
    variance_of_interval,
)


def verdicts(only_first: int, only_second: int, both: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs each of two networks answers correctly, and how many only one of them does."""
    first = np.array([True] * (only_first + both) + [False] * only_second)
    second = np.array([False] * only_first + [True] * (both + only_second))
    return first, second


@pytest.mark.parametrize(("only_first", "only_second"), [(9, 2), (2, 9), (1, 0), (40, 25), (3, 4)])
def test_mcnemar_is_the_exact_binomial_test_less_the_chance_of_what_was_seen(only_first, only_second):
    found = mcnemar(*verdicts(only_first, only_second))
    both = only_first + only_second
    exact = stats.binomtest(only_first, both, 0.5)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert found.p == pytest.approx(exact.pvalue - stats.binom.pmf(only_first, both, 0.5), abs=1e-12)


@pytest.mark.parametrize("each", [0, 1, 6])
def test_mcnemar_sees_no_difference_where_both_are_right_equally_often(each):
    assert mcnemar(*verdicts(each, each)).p == pytest.approx(1.0)


def test_holm_by_hand():
    """0.01 × 4, 0.013 × 3 = 0.039 but not below 0.04, 0.03 × 2, 0.5 × 1; in the order in which they came."""
    assert holm([0.5, 0.01, 0.03, 0.013]) == pytest.approx([0.5, 0.04, 0.06, 0.04])


def test_holm_never_exceeds_1_and_leaves_a_single_test_alone():
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_a_mean_over_seeds_without_chance_in_the_pairs_has_the_t_interval():
    values = np.array([0.70, 0.72, 0.77])
    low, high = stats.t.interval(0.95, df=2, loc=values.mean(), scale=stats.sem(values))
    found = mean_over_seeds(values, pair_variance=0.0)
    assert (found.value, found.low, found.high) == pytest.approx((0.73, low, high))


def test_one_seed_has_the_normal_interval_of_its_pairs():
    found = mean_over_seeds(np.array([0.8]), pair_variance=0.01**2)
    assert (found.low, found.high) == pytest.approx((0.8 - 1.959964 * 0.01, 0.8 + 1.959964 * 0.01), abs=1e-6)


def test_seeds_and_pairs_add_up():
    """Seeds 0.7 and 0.8: variance 0.005, of the mean 0.0025. With 0.0025 for the pairs: 0.005, and 1 · 2² = 4 degrees."""
    found = mean_over_seeds(np.array([0.7, 0.8]), pair_variance=0.0025)
    reach = stats.t.ppf(0.975, 4) * np.sqrt(0.005)
    assert (found.low, found.high) == pytest.approx((0.75 - reach, 0.75 + reach))
    assert found.p == pytest.approx(2 * stats.t.sf(0.75 / np.sqrt(0.005), 4))


def test_a_difference_without_chance_in_the_pairs_is_welchs_t_test():
    first, second = np.array([0.80, 0.82, 0.81]), np.array([0.70, 0.78, 0.75, 0.71])
    found = difference(first, second, np.tile(first, (5, 1)).T, np.tile(second, (5, 1)).T)
    welch = stats.ttest_ind(first, second, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found.p == pytest.approx(welch.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_identical_networks_do_not_differ():
    values, drawn = np.array([0.8, 0.8]), np.array([[0.7, 0.9, 0.8], [0.7, 0.9, 0.8]])
    assert difference(values, values, drawn, drawn) == Estimate(0.0, 0.0, 0.0, 1.0)
    seeds = np.array([0.78, 0.82])
    found = difference(seeds, seeds, drawn, drawn)
    assert found.p == pytest.approx(1.0)
    assert found.low < 0 < found.high


def test_the_difference_of_two_networks_has_the_variance_of_their_resampled_difference():
    """Pairs resampled together: 0.1, 0.3, 0.2 less 0, 0.1, 0.1 is 0.1, 0.2, 0.1 with a variance of 1/300."""
    found = difference(np.array([0.2]), np.array([0.1]), np.array([[0.1, 0.3, 0.2]]), np.array([[0.0, 0.1, 0.1]]))
    reach = stats.norm.ppf(0.975) * np.sqrt(1 / 300)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1 - reach, 0.1 + reach))


def test_an_interval_gives_back_its_variance():
    low, high = stats.norm.interval(0.95, loc=3, scale=0.2)
    assert variance_of_interval(low, high) == pytest.approx(0.04)


def test_resamples_draw_as_many_pairs_as_there_are_and_large_sets_get_fewer():
    weight = resamples(1000, seed=0)
    assert weight.shape == (500, 1000)
    assert (weight.sum(axis=1) == 1000).all()
    assert weight.var() == pytest.approx(0.999, abs=0.01)  # of a binomial of 1,000 draws with chance 1/1000
    assert len(resamples(10_000, seed=0)) == 400
    assert len(resamples(50_000, seed=0)) == 200
    np.testing.assert_array_equal(weight, resamples(1000, seed=0))


def test_a_resampled_metric_does_not_depend_on_how_many_are_measured_at_once():
    generator = np.random.default_rng(0)
    similarity = generator.random(1500)
    metric = pair_metrics(generator.random(1500) < similarity, similarity, similarity, 0.5)["roc_auc"]
    weight = resamples(1500, seed=1)
    np.testing.assert_allclose(resampled(metric, weight), metric(weight.astype(float)))


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """Two options with 3 seeds each, equally good; seeds and pairs vary equally. 95 % of 400 is 380 ± 4.4.

    A pair is answered rightly with the chance of its network, in part because it is an easy one for all.
    """
    generator = np.random.default_rng(0)
    pairs, held = 300, 0
    for _ in range(400):
        easy = generator.normal(size=pairs)
        quality = generator.normal(0.8, 0.1, size=(2, 3))
        right = easy + generator.normal(size=(2, 3, pairs)) < quality[..., None]
        weight = generator.multinomial(pairs, np.full(pairs, 1 / pairs), size=100) / pairs
        first, second = right.mean(axis=2)
        drawn = right @ weight.T
        found = difference(first, second, *drawn)
        held += found.low <= 0 <= found.high
    assert 0.93 <= held / 400 <= 0.99


def held_by_means(seeds: int, repeats: int) -> float:
    """How often the interval of a mean over seeds holds the truth; seeds and pairs vary equally."""
    generator = np.random.default_rng(0)
    spread = 0.02
    held = 0
    for _ in range(repeats):
        values = (
            0.8 + generator.normal(0, spread, seeds) + generator.normal(0, spread)
        )  # the pairs are the same for all
        found = mean_over_seeds(values, pair_variance=spread**2)
        held += found.low <= 0.8 <= found.high
    return held / repeats


def test_an_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    assert 0.93 <= held_by_means(3, 1_000) <= 0.98


@pytest.mark.stress
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_an_interval_of_a_mean_holds_the_truth_in_many_samples(seeds):
    assert 0.94 <= held_by_means(seeds, 100_000) <= 0.98


def test_equally_good_networks_rarely_seem_to_differ():
    """McNemar's p-values are below 5 % in 5 % of the cases, and after Holm's correction any of four is in no more."""
    generator = np.random.default_rng(0)
    p = np.array([[mcnemar(*(generator.random((2, 200)) < 0.8)).p for _ in range(4)] for _ in range(500)])
    assert 0.03 <= np.mean(p < 0.05) <= 0.065
    assert np.mean([min(holm(row.tolist())) < 0.05 for row in p]) <= 0.075


def test_pareto_front_by_eye():
    """The third costs more and gives less than the second; of two equal ones neither beats the other."""
    cost, value = np.array([1.0, 2.0, 3.0, 4.0, 1.0]), np.array([0.5, 0.8, 0.7, 0.9, 0.5])
    assert pareto_front(cost, value).tolist() == [True, True, False, True, True]
    assert pareto_front(np.array([1.0, 1.0]), np.array([0.5, 0.6])).tolist() == [False, True]
