"""Metrics: an example to check by eye, scikit-learn on many scores with ties, and intervals that hold the value."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata
from sklearn import metrics as sk

from siamese.data.pairs import QuestionPairs
from siamese.evaluation.metrics import (
    CALIBRATION_BINS,
    METRICS_VERSION,
    calibration_error_interval,
    graded_metrics,
    intervals,
    pair_metrics,
    values,
)
from siamese.evaluation.report import evaluate

# Four pairs in falling order of similarity; from 0.75 on the verdict is "duplicate".
LABEL = np.array([True, False, True, False])
SIMILARITY = np.array([0.9, 0.8, 0.7, 0.1])
PROBABILITY = np.array([0.9, 0.6, 0.4, 0.2])
BY_EYE = {
    "accuracy": 2 / 4,  # the first and the last are right
    "precision": 1 / 2,  # of two called duplicates one is
    "recall": 1 / 2,  # of two duplicates one is found
    "f1": 1 / 2,
    "roc_auc": 3 / 4,  # 0.9 beats 0.8 and 0.1, 0.7 beats 0.1 alone
    "average_precision": 5 / 6,  # the first duplicate at precision 1, the second at 2/3: (1 + 2/3) / 2
    "log_loss": -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.8)) / 4,
    "brier": (0.01 + 0.36 + 0.36 + 0.04) / 4,
    "expected_calibration_error": (0.1 + 0.6 + 0.6 + 0.2) / 4,  # each pair has a bin of its own
}


def measure(label, similarity, probability=None, threshold=0.5) -> dict[str, float]:
    label, similarity = np.asarray(label), np.asarray(similarity)
    probability = similarity if probability is None else np.asarray(probability)
    return values(pair_metrics(label, similarity, probability, threshold), len(label))


def test_by_eye():
    assert measure(LABEL, SIMILARITY, PROBABILITY, 0.75) == pytest.approx(BY_EYE, abs=1e-12)


def test_ties_by_eye():
    """All similarities equal: any order is as good, so AUC is 1/2 and average precision the share of duplicates."""
    found = measure([True, False, False, False], [0.5] * 4)
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == 0.25


def test_calibration_error_by_eye():
    """Two pairs in the bin of 0.72 (10/15 to 11/15), one a duplicate: |1/2 - 0.72|; with the two of probability 1, no more."""
    found = measure([True, False, True, True], [0.72, 0.72, 1.0, 1.0])
    assert found["expected_calibration_error"] == pytest.approx(0.22 * 2 / 4, abs=1e-12)


def test_the_two_highest_bins_are_two():
    """0.9 (13/15 to 14/15) of a duplicate and 0.95 of another: |1 - 0.9| and |0 - 0.95|, which in one bin would cancel."""
    found = measure([True, False], [0.9, 0.95])
    assert found["expected_calibration_error"] == pytest.approx((0.1 + 0.95) / 2, abs=1e-6)


def calibration_error(label, probability) -> float:
    """As in Guo et al. 2017, equation 3, pair by pair."""
    bins: dict[int, list[tuple[float, float]]] = {}
    for truth, predicted in zip(label, probability, strict=True):
        bins.setdefault(min(int(predicted * CALIBRATION_BINS), CALIBRATION_BINS - 1), []).append((truth, predicted))
    gaps = [abs(sum(t for t, _ in own) - sum(p for _, p in own)) for own in bins.values()]
    return sum(gaps) / len(label)


@st.composite
def scored_pairs(draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, similarities and how often each pair counts; from one pair on, also of one class, constant or with ties."""
    pairs = draw(st.integers(1, 25))
    steps = draw(st.sampled_from([1, 3, 10, 10**6]))
    similarity = draw(arrays(np.int64, pairs, elements=st.integers(0, steps))) / steps
    label = draw(st.one_of(arrays(bool, pairs), st.just(np.zeros(pairs, bool)), st.just(np.ones(pairs, bool))))
    weight = draw(arrays(np.int64, pairs, elements=st.integers(0, 3)).filter(np.any))
    return label, similarity.astype(draw(st.sampled_from([np.float32, np.float64]))), weight


@given(scored_pairs())
def test_against_scikit_learn(scored):
    """The pairs once each, and each as often as its weight says; without a duplicate, or with one class, nan as documented."""
    label, similarity, weight = scored
    probability = np.clip(similarity.astype(np.float64) ** 2, 0.01, 0.99)
    weighted = pair_metrics(label, similarity, probability, 0.5)
    for counts in (np.ones_like(weight), weight):
        rows = np.repeat(np.arange(len(label)), counts)
        truth, score, chance = label[rows], similarity[rows], probability[rows]
        verdict = score >= 0.5
        expected = {
            "accuracy": sk.accuracy_score(truth, verdict),
            "log_loss": sk.log_loss(truth, chance, labels=[False, True]),
            "brier": np.mean((truth - chance) ** 2),
            "expected_calibration_error": calibration_error(truth, chance),
        } | dict.fromkeys(("precision", "recall", "f1", "roc_auc", "average_precision"), np.nan)
        if truth.any():
            expected |= {
                "precision": sk.precision_score(truth, verdict, zero_division=0),
                "recall": sk.recall_score(truth, verdict),
                "f1": sk.f1_score(truth, verdict),
                "average_precision": sk.average_precision_score(truth, score),
            }
        if 0 < truth.sum() < len(truth):
            expected |= {
                "roc_auc": sk.roc_auc_score(truth, score),
                "brier": sk.brier_score_loss(truth, chance),
            }
        found = {name: float(metric(counts[None].astype(np.float64))[0]) for name, metric in weighted.items()}
        assert found == pytest.approx(expected, abs=1e-9, rel=0, nan_ok=True)


@pytest.mark.parametrize(
    ("label", "undefined"),
    [
        ([False, False], {"precision", "recall", "f1", "roc_auc", "average_precision"}),
        ([True, True], {"roc_auc"}),
        ([True, False], set()),
    ],
)
def test_metrics_that_need_the_other_class_are_undefined(label, undefined):
    weighted = pair_metrics(np.array(label), np.array([0.1, 0.2]), np.array([0.1, 0.2]), 0.5)
    assert {name for name, value in values(weighted, 2).items() if math.isnan(value)} == undefined
    limits = intervals(weighted, 2, seed=0, repeats=100)
    assert {name for name, limit in limits.items() if math.isnan(sum(limit))} == undefined


def test_precision_without_a_positive_verdict_is_0():
    found = measure([True, False], [0.1, 0.2])
    assert [found[name] for name in ("precision", "recall", "f1")] == [0.0] * 3


def test_certainty_is_finite():
    """A probability of 0 for a duplicate costs log(1e15) = 34.5, not infinity."""
    found = measure([True, False], [0.0, 1.0])
    assert found["log_loss"] == pytest.approx(15 * math.log(10), rel=0.01)
    assert found["expected_calibration_error"] == 1.0


@pytest.fixture(scope="module")
def noisy():
    generator = np.random.default_rng(0)
    similarity = generator.random(400)
    return pair_metrics(generator.random(400) < similarity, similarity, similarity, 0.5)


def test_intervals_hold_the_value(noisy):
    found, limits = values(noisy, 400), intervals(noisy, 400, seed=0, repeats=500)
    assert list(limits) == list(found)
    for name, (low, high) in limits.items():
        if name != "expected_calibration_error":  # resampling adds noise, which this one takes for miscalibration
            assert low < found[name] < high, name
        assert high - low < 0.2, name


def test_an_interval_has_the_width_that_theory_gives(noisy):
    """Of an accuracy a over 400 pairs: a ± 1.96 √(a (1 - a) / 400)."""
    accuracy = values(noisy, 400)["accuracy"]
    low, high = intervals(noisy, 400, seed=0, repeats=1000)["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(accuracy * (1 - accuracy) / 400), rel=0.15)


def population(pairs: int, seed: int, spread: float = 1.5, shift: float = 0.4):
    """Labels and probabilities; the log-odds of a probability are `spread` times the true ones, `shift` beside them."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(-0.5, 2.0, pairs)
    return generator.random(pairs) < 1 / (1 + np.exp(-logit / spread - shift)), 1 / (1 + np.exp(-logit))


def coverage(pairs: int, repeats: int, resamples: int) -> dict[str, float]:
    """The share of samples of a population whose interval of each metric holds the metric of the population."""
    label, probability = population(400_000, seed=0)
    truth = measure(label, probability)
    covered = dict.fromkeys(truth, 0)
    for repeat in range(1, repeats + 1):
        label, probability = population(pairs, seed=repeat)
        weighted = pair_metrics(label, probability, probability, 0.5)
        found, error = intervals(weighted, pairs, repeat, repeats=resamples), "expected_calibration_error"
        own = values(weighted, pairs)[error]
        found[error] = calibration_error_interval(label, probability, repeat)
        assert found[error][0] - 1e-12 <= own <= found[error][1] + 1e-12  # summed in another order
        for name, (low, high) in found.items():
            covered[name] += low <= truth[name] <= high
    return {name: count / repeats for name, count in covered.items()}


def test_intervals_cover_the_truth_of_the_population():
    """Of 120 samples of 300 pairs, 95 % should; with a chance of 1 in 1,000 fewer than 85 % do."""
    found = coverage(300, 120, resamples=200)
    assert min(found.values()) >= 0.85, found


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("pairs", "samples"), [(100, 1_000), (1_000, 300)])
def test_intervals_cover_the_truth_in_many_samples(pairs, samples):
    """The coverage is known to 0.7 % with 1,000 samples, to 1.3 % with 300. Percentiles are a little narrow."""
    found = coverage(pairs, samples, resamples=300)
    assert min(found.values()) >= 0.90, found
    assert max(found.values()) <= 0.985, found


def test_a_perfect_calibration_may_have_an_error_of_0():
    low = []
    for repeat in range(60):
        label, probability = population(300, repeat, spread=1.0, shift=0.0)
        weighted = pair_metrics(label, probability, probability, 0.5)
        found = intervals(weighted, 300, repeat, repeats=200)["expected_calibration_error"]
        low.append(calibration_error_interval(label, probability, repeat)[0])
        assert found[0] > 0  # the percentiles never reach the truth
    assert np.mean(np.array(low) == 0) > 0.9


def test_intervals_depend_on_the_seed_alone(noisy, monkeypatch):
    first = intervals(noisy, 400, seed=0, repeats=150)
    assert intervals(noisy, 400, seed=0, repeats=150) == first
    assert intervals(noisy, 400, seed=1, repeats=150) != first
    monkeypatch.setattr("siamese.evaluation.metrics.BOOTSTRAP_CHUNK", 400 * 7)  # 7 resamples at once
    chunked = intervals(noisy, 400, seed=0, repeats=150)
    assert all(chunked[name] == pytest.approx(limits, abs=1e-12) for name, limits in first.items())


def test_very_large_sets_get_fewer_resamples(monkeypatch):
    """At most 4,000 resampled pairs of 10 would be 400 repeats; at most 100 would be 10, but 100 is the least."""
    repeats = []
    spy = {"spy": lambda weight: repeats.append(len(weight)) or weight.sum(axis=1)}
    for draws, expected in ((4_000, 400), (100, 100), (10**9, 1000)):
        repeats.clear()
        monkeypatch.setattr("siamese.evaluation.metrics.BOOTSTRAP_DRAWS", draws)
        assert intervals(spy, 10, seed=0) == {"spy": (10.0, 10.0)}  # each resample has as many pairs
        assert sum(repeats) == expected


def test_graded_by_eye():
    """1, 2, 3 against 1, 2, 9: the order agrees. Deviations -1, 0, 1 and -3, -2, 5: 8 / √(2 · 38) = 0.9177."""
    found = graded_metrics(np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.9]))
    assert found == pytest.approx({"pearson": 8 / math.sqrt(76), "spearman": 1.0})
    with warnings.catch_warnings(action="error"):  # nan is the answer, not an accident
        for constant in ([0.5, 0.5], [0.1, 0.2]), ([0.1, 0.2], [0.5, 0.5]):
            assert all(map(math.isnan, graded_metrics(*map(np.array, constant)).values()))


@given(arrays(np.float64, st.tuples(st.just(2), st.integers(2, 12)), elements=st.integers(0, 8).map(lambda n: n / 8)))
def test_graded_metrics_are_correlations_of_values_and_of_ranks(columns):
    found = graded_metrics(*columns)
    if np.ptp(columns, axis=1).min() == 0:
        assert all(map(math.isnan, found.values()))
        return
    expected = {"pearson": np.corrcoef(columns)[0, 1], "spearman": np.corrcoef(rankdata(columns, axis=1))[0, 1]}
    assert found == pytest.approx(expected, abs=1e-9)


# Golden values of METRICS_VERSION

NUMBERS = np.arange(60)
GOLDEN = {  # of METRICS_VERSION 1; the value, and its interval where it has one
    "accuracy": (0.75, 0.633333333, 0.866666667),
    "precision": (0.434782609, 0.210526316, 0.651141304),
    "recall": (0.833333333, 0.6, 1),
    "f1": (0.571428571, 0.328603604, 0.746607143),
    "roc_auc": (0.927951389, 0.84245, 0.998429233),
    "average_precision": (0.853522404, 0.694785031, 0.99520202),
    "log_loss": (0.337817069, 0.263615315, 0.405396986),
    "brier": (0.0994025423, 0.0695755179, 0.129051762),
    "expected_calibration_error": (0.175267729, 0.0657253984, 0.227848048),
    "expected_calibration_error_uncalibrated": (0.227333334, 0.125033334, 0.295533334),
    "pearson": (0.784199595,),
    "spearman": (0.694730029,),
    "retrieval_mining_average_precision": (0.090282044,),
    "retrieval_mining_best_f1": (0.173913043,),
    "retrieval_mining_best_threshold": (0.71,),
    "retrieval_recall_at_1": (0.0333333333,),
    "retrieval_recall_at_10": (0.516666667,),
    "retrieval_mrr_at_10": (0.352777778,),
    "retrieval_ndcg_at_10": (0.331496497,),
    "retrieval_queries": (12,),
    "retrieval_corpus": (24,),
    "retrieval_duplicate_pairs": (21,),
}


def golden_pairs(part: int) -> QuestionPairs:
    """60 pairs of 24 questions with graded labels; every question shares its meaning with five others."""
    left, right = NUMBERS % 24, (NUMBERS * 7 + part + NUMBERS // 24) % 24
    label = np.where(left % 4 == right % 4, 1 - NUMBERS % 3 / 5, NUMBERS % 4 / 8)
    return QuestionPairs.from_texts([f"{part} {i}" for i in left], [f"{part} {i}" for i in right], label)


def golden_similarity(pairs: QuestionPairs) -> np.ndarray:
    """`float32[60]`; some are equal."""
    return np.round(0.55 * pairs.label + 0.45 * (NUMBERS * 37 % 41 / 41), 2).astype(np.float32)


def golden_neighbors(questions) -> tuple[np.ndarray, np.ndarray]:
    """Eleven neighbors of each question, duplicates among them, and their similarities."""
    number = np.arange(len(questions))[:, None]
    steps = np.array([4, 1, 6, 8, 3, 12, 2, 16, 5, 20, 7])
    return (number + steps + number % 3) % len(questions), np.round(1 - np.arange(11) / 12 - number % 5 / 100, 3)


def test_the_metrics_version_belongs_to_these_values():
    parts = {"dev": golden_pairs(0), "test": golden_pairs(1)}
    report = evaluate(golden_similarity, parts, "recall@0.9", 3, 100, True, golden_neighbors)[1]["test"]
    found = {name: (value, *report.intervals.get(name, ())) for name, value in report.metrics.items()}
    raise_it = (
        "figures changed for the same pairs: raise METRICS_VERSION in siamese/evaluation/metrics.py, so that runs "
        "measured before are no longer compared with new ones; then write the new values and the new version here"
    )
    assert found.keys() == GOLDEN.keys(), raise_it
    for name, expected in GOLDEN.items():
        assert found[name] == pytest.approx(expected, rel=1e-5), f"{name}: {raise_it}"
    assert METRICS_VERSION == "1", "the values here are those of version 1; write those of the new one"
