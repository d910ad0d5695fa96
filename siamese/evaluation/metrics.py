"""Metrics: labels and scores -> names and values, with bootstrap intervals. Pure functions of arrays."""

from collections.abc import Callable

import numpy as np

# Raise it when a value that a report gives for the same pairs changes. Two changes did not: metrics that were 0 where they
# are undefined, which nothing compares, and intervals of the calibration error, which no comparison reads.
METRICS_VERSION = "1"
CALIBRATION_BINS = 15
BOOTSTRAP_DRAWS = 40_000_000  # resampled pairs at most; large sets get fewer repeats, their intervals are narrow anyway
NULL_DRAWS = 1_000  # of the noise in an expected calibration error
SCALES = np.linspace(0, 2, 81)  # of its gaps, that are tried
BOOTSTRAP_CHUNK = 250_000  # resampled pairs at once: 2 MB of weights, which a core's cache holds

# A weighted metric: float64[repeats, pairs] weights -> float64[repeats] values.
Weighted = Callable[[np.ndarray], np.ndarray]


def pair_metrics(
    label: np.ndarray, similarity: np.ndarray, probability: np.ndarray, threshold: float
) -> dict[str, Weighted]:
    """Every metric of scored pairs, as functions of the weights of the pairs.

    Args:
        label: `bool[pairs]`, true for duplicates.
        similarity: `float[pairs]`; the threshold and the ranking metrics use it.
        probability: `float[pairs]` in [0, 1], the calibrated probability of "duplicate".
        threshold: from this similarity on the verdict is "duplicate".

    Returns:
        accuracy, precision, recall, f1 (of the verdicts); roc_auc, average_precision (of the order); log_loss (nats),
        brier, expected_calibration_error (of the probabilities; Guo et al. 2017, equation 3, 15 equal bins). Without
        duplicates precision, recall, f1 and average_precision are undefined, nan, and with one class alone roc_auc;
        with duplicates but no positive verdict precision is 0.
    """
    label = label.astype(bool)
    verdict = similarity >= threshold
    clipped = np.clip(probability.astype(np.float64), 1e-15, 1 - 1e-15)
    log_loss = -np.where(label, np.log(clipped), np.log1p(-clipped))
    brier = np.square(probability.astype(np.float64) - label)
    order = np.argsort(-similarity, kind="stable")
    # the last pair of each run of ties: only there a curve has a point
    ends = np.flatnonzero(np.append(np.diff(similarity[order]) != 0, True))

    def mean_of(values: np.ndarray) -> Weighted:
        return lambda weight: ratio(weight @ values, weight.sum(axis=1))

    drawn: list[np.ndarray] = []  # weights and their curve: two metrics ask for it one after the other

    def curve(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not drawn or drawn[0] is not weight:
            ordered = weight.take(order, axis=1)
            drawn[:] = [weight, *(np.cumsum(ordered * of, axis=1)[:, ends] for of in (label[order], ~label[order]))]
        return drawn[1], drawn[2]

    def roc_auc(weight: np.ndarray) -> np.ndarray:
        positives, negatives = curve(weight)
        step = np.diff(negatives, prepend=0, axis=1)
        below = (np.pad(positives, ((0, 0), (1, 0)))[:, :-1] + positives) / 2
        return ratio((step * below).sum(axis=1), positives[:, -1] * negatives[:, -1], np.nan)

    def average_precision(weight: np.ndarray) -> np.ndarray:
        positives, negatives = curve(weight)
        precision = ratio(positives, positives + negatives)
        return ratio((np.diff(positives, prepend=0, axis=1) * precision).sum(axis=1), positives[:, -1], np.nan)

    def precision(weight: np.ndarray) -> np.ndarray:
        return np.where(weight @ label > 0, ratio(weight @ (verdict & label), weight @ verdict), np.nan)

    def recall(weight: np.ndarray) -> np.ndarray:
        return ratio(weight @ (verdict & label), weight @ label, np.nan)

    def f1(weight: np.ndarray) -> np.ndarray:
        found = ratio(2 * (weight @ (verdict & label)), weight @ verdict + weight @ label)
        return np.where(weight @ label > 0, found, np.nan)

    def expected_calibration_error(weight: np.ndarray) -> np.ndarray:
        bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
        gap = (label - probability.astype(np.float64))[:, None] * (bins[:, None] == np.arange(CALIBRATION_BINS))
        return ratio(np.abs(weight @ gap).sum(axis=1), weight.sum(axis=1))

    named = {each.__name__: each for each in (precision, recall, f1, roc_auc, average_precision)}
    of_verdicts = {"accuracy": mean_of(verdict == label), **named}
    of_probabilities = {"log_loss": mean_of(log_loss), "brier": mean_of(brier)}
    return of_verdicts | of_probabilities | {"expected_calibration_error": expected_calibration_error}


def values(metrics: dict[str, Weighted], pairs: int) -> dict[str, float]:
    """Each metric with equal weights; nan where it is undefined."""
    once = np.ones((1, pairs))
    return {name: float(metric(once)[0]) for name, metric in metrics.items()}


def intervals(
    metrics: dict[str, Weighted], pairs: int, seed: int, repeats: int = 1000
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % percentile interval of each metric, over resampled pairs (Efron & Tibshirani 1993).

    Args:
        metrics: from `pair_metrics`.
        pairs: how many there are.
        seed: of the resampling.
        repeats: resamples; very large sets get fewer, at least 100.

    Returns:
        (2.5 %, 97.5 %) for each name, of the resamples where it is defined; nan if there are none. Resampling roughens
        a reliability curve: see `calibration_error_interval` for the expected calibration error.
    """
    repeats = max(min(repeats, BOOTSTRAP_DRAWS // max(pairs, 1)), 100)
    generator = np.random.default_rng(seed)
    chunk = max(1, BOOTSTRAP_CHUNK // max(pairs, 1))
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for start in range(0, repeats, chunk):
        rows = min(chunk, repeats - start)
        picks = generator.integers(pairs, size=(rows, pairs)) + np.arange(rows)[:, None] * pairs
        weight = np.bincount(picks.ravel(), minlength=rows * pairs).reshape(rows, pairs).astype(np.float64)
        for name, metric in metrics.items():
            drawn[name].append(metric(weight))
    found = {}
    for name, parts in drawn.items():
        values = np.concatenate(parts)
        defined = values[~np.isnan(values)]
        low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
        found[name] = (float(low), float(high))
    return found


def calibration_error_interval(label: np.ndarray, probability: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of the expected calibration error; it holds the error of the pairs themselves.

    That error is biased upward, and a resampled one twice (Kumar et al. 2019, section 4), so that percentiles of the bootstrap
    miss small errors altogether. The test of perfect calibration by simulation (Bröcker & Smith 2007) is inverted instead: an
    error belongs to the interval if gaps of that size, in the directions of the observed ones, and the noise of as many pairs
    give an error as large as the observed one in neither less than 2.5 % nor more than 97.5 % of the draws. In simulations
    with 300 to 4,800 pairs and errors from 0 to 0.12 it covers 90 to 98 %, the percentiles 0 to 93 %.

    Args:
        label: `bool[pairs]`.
        probability: `float[pairs]` in [0, 1].
        seed: of the draws.
    """
    bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    difference = label - probability.astype(np.float64)
    gap = np.bincount(bins, difference, CALIBRATION_BINS)
    noise = np.random.default_rng(seed).normal(size=(NULL_DRAWS, CALIBRATION_BINS))
    noise *= np.sqrt(np.bincount(bins, difference**2, CALIBRATION_BINS))
    drawn = [np.quantile(np.abs(scale * gap + noise).sum(axis=1), [0.025, 0.975]) for scale in SCALES]
    observed = float(np.abs(gap).sum())
    possible = SCALES[[low <= observed <= high for low, high in drawn]]
    limits = np.array([*possible[[0, -1]], 1.0]) if len(possible) else np.array([0.0, 1.0])
    return float(limits.min()) * observed / len(label), float(limits.max()) * observed / len(label)


def graded_metrics(label: np.ndarray, similarity: np.ndarray) -> dict[str, float]:
    """Correlation of similarities with graded labels: pearson and spearman, in [-1, 1]; nan where one side is constant."""
    from scipy import stats  # half a second that only graded labels need

    if np.ptp(label) == 0 or np.ptp(similarity) == 0:
        return {"pearson": float("nan"), "spearman": float("nan")}
    return {
        "pearson": float(stats.pearsonr(label, similarity).statistic),
        "spearman": float(stats.spearmanr(label, similarity).statistic),
    }


def ratio(numerator: np.ndarray, denominator: np.ndarray | float, undefined: float = 0.0) -> np.ndarray:
    """The ratio, `undefined` where the denominator is 0."""
    denominator = np.broadcast_to(denominator, np.shape(numerator))
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), undefined), where=denominator > 0)
