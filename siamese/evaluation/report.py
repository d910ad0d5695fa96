"""Report: scored pairs -> metrics with intervals, a table of predictions and the worst mistakes."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from siamese.data.pairs import DUPLICATE_FROM, QuestionPairs
from siamese.data.texts import Texts
from siamese.evaluation import metrics
from siamese.evaluation.calibration import Calibration, calibrate
from siamese.evaluation.retrieval import RetrievalTask, retrieval_metrics
from siamese.evaluation.thresholds import DevScores

if TYPE_CHECKING:
    from siamese.evaluation.probes import Probes

Nearest = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]
Probe = Callable[[bool | str, Calibration, Mapping[str, "Report"]], "Probes"]


@dataclass(frozen=True)
class Report:
    """Metrics of similarities on labeled pairs.

    Attributes:
        metrics: value by name, without a split's prefix.
        intervals: bootstrap 95 % interval by name; empty if none was asked for.
        predictions: one row for each pair, in the order of the pairs: question1, question2, label,
            similarity, probability, verdict (bool), correct (bool).
        reserved: scores of the pairs that chose nothing, beside those of dev; None if there are none.
        probes: what the model cannot do; None if it was not asked, and of all parts but dev.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    predictions: pd.DataFrame
    reserved: DevScores | None = None
    probes: "Probes | None" = None

    def with_metrics(self, more: Mapping[str, float]) -> "Report":
        """The report with more metrics, after its own."""
        return replace(self, metrics={**self.metrics, **more})

    def scores(self) -> DevScores:
        """Similarities and binary labels, from which a detector can choose other thresholds later."""
        duplicate = self.predictions["label"].to_numpy() >= DUPLICATE_FROM
        return DevScores(self.predictions["similarity"].to_numpy(), duplicate, self.reserved)


def report(
    pairs: QuestionPairs, similarity: np.ndarray, calibration: Calibration, seed: int, bootstrap_repeats: int
) -> Report:
    """Measure similarities, `float[pairs]` in [0, 1], against labels, at a calibration chosen on dev.

    Seed and number of resamples are those of the bootstrap; 0 for no intervals.
    """
    probability = calibration.probability(similarity)
    weighted = metrics.pair_metrics(pairs.duplicate, similarity, probability, calibration.threshold)
    as_it_is = metrics.pair_metrics(pairs.duplicate, similarity, similarity, calibration.threshold)
    # the error of the similarity taken as a probability shows what calibration gains
    weighted["expected_calibration_error_uncalibrated"] = as_it_is["expected_calibration_error"]
    values = metrics.values(weighted, len(pairs))
    if pairs.graded:
        values |= metrics.graded_metrics(pairs.label, similarity)
    intervals = metrics.intervals(weighted, len(pairs), seed, bootstrap_repeats) if bootstrap_repeats else {}
    for name, of in (("", probability), ("_uncalibrated", similarity)) if intervals else ():
        limits = metrics.calibration_error_interval(pairs.duplicate, of, seed)
        intervals[f"expected_calibration_error{name}"] = limits
    verdict = calibration.duplicate(similarity)
    columns = {"question1": pairs.left_texts(), "question2": pairs.right_texts(), "label": pairs.label}
    columns |= {"similarity": similarity, "probability": probability}
    predictions = pd.DataFrame(columns | {"verdict": verdict, "correct": verdict == pairs.duplicate})
    return Report(values, intervals, predictions)


def weighted_metrics(predictions: pd.DataFrame) -> dict[str, metrics.Weighted]:
    """The metrics of a table of predictions, as functions of the weights of the pairs."""
    similarity, verdict = predictions["similarity"].to_numpy(), predictions["verdict"].to_numpy(bool)
    threshold = similarity[verdict].min() if verdict.any() else np.inf
    label = predictions["label"].to_numpy() >= DUPLICATE_FROM
    return metrics.pair_metrics(label, similarity, predictions["probability"].to_numpy(), threshold)


# joblib and Ray give workers fewer threads, and the number of threads changes the last bit of a product
@threadpool_limits.wrap(limits=1, user_api="blas")
def evaluate(
    score: Callable[[QuestionPairs], np.ndarray],
    parts: dict[str, QuestionPairs],
    threshold: str | float = "best_accuracy",
    seed: int = 0,
    bootstrap_repeats: int = 1000,
    retrieval: bool = False,
    nearest: Nearest | None = None,
    probes: bool | str = False,
    probe: Probe | None = None,
    prior: float | None = None,
) -> tuple[Calibration, dict[str, Report]]:
    """Choose threshold and calibration on dev, then evaluate the other parts once, of networks and baselines alike.

    Args:
        score: pairs -> `float[pairs]` similarities in [0, 1].
        parts: "dev", and "test" where there is one; "reserved" for a guarantee, which is not reported.
        threshold: the criterion by which it is chosen on dev, see `choose_threshold`: "best_accuracy", "best_f1",
            "precision@0.95", "recall@0.9", "guarantee@0.95", or a number.
        seed, bootstrap_repeats: of the bootstrap; 0 resamples for no intervals.
        retrieval: whether to measure mining and retrieval, too, if `nearest` is given (baselines have none).
        nearest: questions -> positions and similarities of the nearest others, as `most_similar` gives them.
        probes: whether to measure what the model cannot do, too, or the language in which, if `probe` is given.
        probe: `probes`, calibration and reports -> what was found, see `siamese.evaluation.probes`.
        prior: the share of duplicates where the detector is used, inside (0, 1): threshold and probabilities are for it; None for
            that of dev.
    """
    dev = score(parts["dev"])
    aside = parts.get("reserved")
    reserved = None if aside is None else DevScores(score(aside), aside.duplicate)
    calibration = calibrate(parts["dev"].label, dev, threshold, reserved, prior)
    scores = {"dev": dev} | {name: score(pairs) for name, pairs in parts.items() if name not in ("dev", "reserved")}
    with ThreadPoolExecutor(len(scores)) as pool:  # resampling is NumPy's work, which threads do side by side
        of_part = [
            pool.submit(report, parts[name], similarity, calibration, seed, bootstrap_repeats)
            for name, similarity in scores.items()
        ]
    reports = {name: each.result() for name, each in zip(scores, of_part, strict=True)}
    reports["dev"] = replace(reports["dev"], reserved=reserved)
    if retrieval and nearest is not None:
        for name, each in reports.items():
            task = RetrievalTask.of(parts[name])
            found = nearest(Texts.of(parts[name].questions).take(task.questions))
            more = {f"retrieval_{measure}": value for measure, value in retrieval_metrics(task, *found).items()}
            reports[name] = each.with_metrics(more)
    if probes and probe is not None:
        reports["dev"] = replace(reports["dev"], probes=probe(probes, calibration, reports))
    return calibration, reports


def worst_mistakes(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` wrong verdicts, those with the largest error in probability first."""
    wrong = predictions[~predictions["correct"]]
    surest = (wrong["probability"] - wrong["label"]).abs().sort_values(ascending=False, kind="stable").index
    return wrong.loc[surest].head(count).reset_index(drop=True)


def metric_rows(reports: Mapping[str, Report]) -> list[list[str]]:
    """A table, head first: a row for each metric, a column for each split, values with 95 % intervals."""
    names = dict.fromkeys(name for each in reports.values() for name in each.metrics)
    return [["", *reports], *([name, *(_cell(each, name) for each in reports.values())] for name in names)]


def _cell(each: Report, name: str) -> str:
    if name not in each.metrics:
        return ""
    limits = None if isnan(each.metrics[name]) else each.intervals.get(name)
    return f"{each.metrics[name]:.4f}" + (f" [{limits[0]:.4f}, {limits[1]:.4f}]" if limits else "")
