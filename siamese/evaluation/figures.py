"""Figures of scored pairs and of a training. Each function returns a matplotlib Figure.

The colors suit color-blind readers: blue and orange of equal lightness, and the palette of Okabe and Ito (2008).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve, roc_curve

from siamese.evaluation.calibration import Calibration
from siamese.evaluation.metrics import CALIBRATION_BINS, pair_metrics, values

DUPLICATE, DIFFERENT, NEUTRAL = "#2171b5", "#d95f0e", "#8d99ae"
LINES = color_sequences["okabe_ito"]  # of several lines
MARKERS = "osD^vPX*"


def pair_figures(label: np.ndarray, similarity: np.ndarray, calibration: Calibration, title: str) -> dict[str, Figure]:
    """All figures of scored pairs, by name, with their metrics, the threshold marked and `title` at the head.

    Args:
        label: `bool[pairs]`.
        similarity: `float[pairs]` in [0, 1].
        calibration: chosen on dev.
        title: names the pairs.
    """
    label, threshold, probability = label.astype(bool), calibration.threshold, calibration.probability(similarity)
    measured = values(pair_metrics(label, similarity, probability, threshold), len(label))
    figures = {
        "similarity_histogram": _similarity_histogram(label, similarity, threshold),
        "confusion_matrix": _confusion_matrix(label, calibration.duplicate(similarity), measured["accuracy"]),
        "reliability": _reliability(label, probability, measured["expected_calibration_error"]),
    }
    if 0 < label.sum() < len(label):
        figures["roc"] = _roc(label, similarity, threshold, measured["roc_auc"])
        figures["precision_recall"] = _precision_recall(label, similarity, threshold, measured["average_precision"])
    for figure in figures.values():
        figure.suptitle(title)
    return figures


def learning_curves(
    epochs: Sequence[int], loss: Sequence[float], dev: Mapping[str, Sequence[float]], best: int
) -> Figure:
    """Training loss and dev metrics over the epochs, the best epoch marked, with the values there."""
    figure = _figure(8, 3.6)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, loss, marker="o", color=NEUTRAL)
    left.set(xlabel="epoch", ylabel="training loss")
    for (name, series), color, marker in zip(dev.items(), LINES, MARKERS, strict=False):
        at_best = f", {series[list(epochs).index(best)]:.3f}" if best in epochs else ""
        right.plot(epochs, series, marker=marker, color=color, label=name + at_best)
    right.axvline(best, color=NEUTRAL, linestyle=":", label=f"best epoch ({best})")
    right.set(xlabel="epoch", ylabel="dev")
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def level_areas(areas: Mapping[str, tuple[float, float, float]]) -> Figure:
    """ROC AUC on dev of the cosine at each level of a tower, from the word embedding to the output, with 95 % intervals.

    `areas` has for each level the value and the two limits.
    """
    figure = _figure(6.5, 1.5 + 0.4 * len(areas), left=1.8)
    axes = figure.subplots()
    for row, (value, low, high) in enumerate(areas.values()):
        color = DIFFERENT if row == len(areas) - 1 else DUPLICATE
        axes.errorbar(value, row, xerr=[[value - low], [high - value]], fmt="o", capsize=3, color=color)
        axes.annotate(f"{value:.3f}", (value, row), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlabel="dev ROC AUC of the cosine, 95 % interval", ylim=(len(areas) - 0.4, -0.6))
    axes.set_yticks(range(len(areas)), list(areas))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _roc(label: np.ndarray, similarity: np.ndarray, threshold: float, area: float) -> Figure:
    false_positive, true_positive, _ = roc_curve(label, similarity)
    figure, axes = _square()
    axes.plot(false_positive, true_positive, color=DUPLICATE, label=f"ROC AUC {area:.3f}")
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", label="chance, 0.5")
    verdict = similarity >= threshold
    false, true = verdict[~label].mean(), verdict[label].mean()
    axes.plot(false, true, "o", color=DIFFERENT, label=f"threshold {threshold:.3f}: {false:.1%} false, {true:.1%} true")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _precision_recall(label: np.ndarray, similarity: np.ndarray, threshold: float, average: float) -> Figure:
    precision, recall, _ = precision_recall_curve(label, similarity)
    figure, axes = _square()
    axes.plot(recall, precision, color=DUPLICATE, drawstyle="steps-post", label=f"average precision {average:.3f}")
    axes.axhline(label.mean(), color=NEUTRAL, linestyle=":", label=f"share of duplicates, {label.mean():.3f}")
    verdict = similarity >= threshold
    if verdict.any():
        found, right = verdict[label].mean(), label[verdict].mean()
        name = f"threshold {threshold:.3f}: recall {found:.1%}, precision {right:.1%}"
        axes.plot(found, right, "o", color=DIFFERENT, label=name)
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend(loc="lower left", fontsize=8)
    return figure


def _reliability(label: np.ndarray, probability: np.ndarray, error: float) -> Figure:
    bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = count > 0
    said = np.bincount(bins, probability, CALIBRATION_BINS)[filled] / count[filled]
    true = np.bincount(bins, label, CALIBRATION_BINS)[filled] / count[filled]
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":", label="perfect calibration")
    axes.plot(said, true, color=DUPLICATE, label=f"expected calibration error {error:.3f}")
    size = 10 + 200 * count[filled] / count.max()
    axes.scatter(said, true, s=size, color=DUPLICATE, alpha=0.6, label="area: pairs in the bin")
    limits = (-0.04, 1.04)  # circles at the ends are whole
    axes.set(xlabel="calibrated probability", ylabel="share of duplicates", xlim=limits, ylim=limits)
    axes.legend(loc="upper left", fontsize=8)
    return figure


def _similarity_histogram(label: np.ndarray, similarity: np.ndarray, threshold: float) -> Figure:
    figure = _figure(6, 4)
    axes = figure.subplots()
    edges = np.linspace(0, 1, 41)
    for mask, color, name in ((label, DUPLICATE, "duplicate"), (~label, DIFFERENT, "not duplicate")):
        above = f", {np.mean(similarity[mask] >= threshold):.1%} above" if mask.any() else ""
        counts, _ = np.histogram(similarity[mask], edges)
        title = f"{name}: {mask.sum():,} pairs{above}"
        axes.stairs(counts, edges, fill=True, color=color, alpha=0.6, label=title)  # draws faster than 40 bars
    axes.axvline(threshold, color="black", linestyle=":", label=f"threshold {threshold:.3f}")
    axes.set(xlabel="similarity", ylabel="pairs")
    axes.legend(fontsize=8)
    return figure


def _confusion_matrix(label: np.ndarray, verdict: np.ndarray, accuracy: float) -> Figure:
    counts = np.array(
        [[np.sum((label == truth) & (verdict == said)) for said in (False, True)] for truth in (False, True)]
    )
    figure, axes = _square()
    axes.imshow(counts, cmap="Blues")
    for (truth, said), count in np.ndenumerate(counts):
        dark = count > counts.max() * 2 / 3
        share = f"\n{count / counts[truth].sum():.1%} of the row" if counts[truth].any() else ""
        axes.text(said, truth, f"{count:,}{share}", ha="center", va="center", color="white" if dark else "black")
    names = ["not duplicate", "duplicate"]
    axes.set(xlabel=f"verdict (accuracy {accuracy:.3f})", ylabel="label")
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    return figure


def _figure(width: float, height: float, left: float = 0.8) -> Figure:
    """An empty figure, in inches, with room for two lines of title. Fixed margins take half the time of a computed layout."""
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left=left / width, right=1 - 0.15 / width, bottom=0.55 / height, top=1 - 0.5 / height)
    figure.subplots_adjust(wspace=0.3)
    return figure


def _square() -> tuple[Figure, Axes]:
    figure = _figure(5, 4.6)
    return figure, figure.subplots()
