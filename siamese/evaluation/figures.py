"""Figures of scored pairs and of a training. Each function returns a matplotlib Figure."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from siamese.evaluation.calibration import Calibration
from siamese.evaluation.metrics import CALIBRATION_BINS

DUPLICATE, DIFFERENT, NEUTRAL = "#0b6e4f", "#c8553d", "#8d99ae"


def pair_figures(label: np.ndarray, similarity: np.ndarray, calibration: Calibration, title: str) -> dict[str, Figure]:
    """All figures of scored pairs, by name, with the threshold marked and `title` at the head.

    Args:
        label: `bool[pairs]`.
        similarity: `float[pairs]` in [0, 1].
        calibration: chosen on dev.
        title: names the pairs.
    """
    label = label.astype(bool)
    figures = {
        "similarity_histogram": _similarity_histogram(label, similarity, calibration.threshold),
        "confusion_matrix": _confusion_matrix(label, calibration.duplicate(similarity)),
        "reliability": _reliability(label, calibration.probability(similarity)),
    }
    if 0 < label.sum() < len(label):
        figures["roc"] = _roc(label, similarity, calibration.threshold)
        figures["precision_recall"] = _precision_recall(label, similarity, calibration.threshold)
    for figure in figures.values():
        figure.suptitle(title, fontsize=10)
    return figures


def learning_curves(
    epochs: Sequence[int], loss: Sequence[float], dev: Mapping[str, Sequence[float]], best: int
) -> Figure:
    """Training loss and dev metrics over the epochs, the best epoch marked."""
    figure = _figure(8, 3.6)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, loss, marker="o", color=NEUTRAL)
    left.set(xlabel="epoch", ylabel="training loss")
    for name, series in dev.items():
        right.plot(epochs, series, marker="o", label=name)
    right.axvline(best, color=NEUTRAL, linestyle=":", label=f"best epoch ({best})")
    right.set(xlabel="epoch", ylabel="dev")
    right.legend(fontsize=8)
    return figure


def level_areas(areas: Mapping[str, float]) -> Figure:
    """ROC AUC on dev of the cosine at each level of a tower, from the word embedding to the output."""
    figure = _figure(6, 3.6)
    axes = figure.subplots()
    *levels, output = areas.items()
    axes.plot(*zip(*levels, strict=True), marker="o", color=DUPLICATE, label="level")
    axes.axhline(output[1], color=DIFFERENT, linestyle=":", label=f"output, {output[1]:.3f}")
    axes.set(ylabel="dev ROC AUC of the cosine", xlabel="level of the tower")
    axes.legend(fontsize=8)
    return figure


def _roc(label: np.ndarray, similarity: np.ndarray, threshold: float) -> Figure:
    false_positive, true_positive, _ = roc_curve(label, similarity)
    figure, axes = _square()
    axes.plot(false_positive, true_positive, color=DUPLICATE)
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":")
    verdict = similarity >= threshold
    axes.plot(verdict[~label].mean(), verdict[label].mean(), "o", color=DIFFERENT, label=f"threshold {threshold:.3f}")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right")
    return figure


def _precision_recall(label: np.ndarray, similarity: np.ndarray, threshold: float) -> Figure:
    precision, recall, _ = precision_recall_curve(label, similarity)
    figure, axes = _square()
    axes.plot(recall, precision, color=DUPLICATE, drawstyle="steps-post")
    axes.axhline(label.mean(), color=NEUTRAL, linestyle=":", label="share of duplicates")
    verdict = similarity >= threshold
    if verdict.any():
        axes.plot(
            verdict[label].mean(), label[verdict].mean(), "o", color=DIFFERENT, label=f"threshold {threshold:.3f}"
        )
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend(loc="lower left")
    return figure


def _reliability(label: np.ndarray, probability: np.ndarray) -> Figure:
    bins = np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = count > 0
    said = np.bincount(bins, probability, CALIBRATION_BINS)[filled] / count[filled]
    true = np.bincount(bins, label, CALIBRATION_BINS)[filled] / count[filled]
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=":")
    axes.plot(said, true, color=DUPLICATE)
    axes.scatter(said, true, s=10 + 200 * count[filled] / count.max(), color=DUPLICATE, alpha=0.6)
    axes.set(xlabel="calibrated probability", ylabel="share of duplicates", xlim=(0, 1), ylim=(0, 1))
    return figure


def _similarity_histogram(label: np.ndarray, similarity: np.ndarray, threshold: float) -> Figure:
    figure = _figure(6, 4)
    axes = figure.subplots()
    edges = np.linspace(0, 1, 41).tolist()
    for mask, color, name in ((label, DUPLICATE, "duplicate"), (~label, DIFFERENT, "not duplicate")):
        axes.hist(similarity[mask], edges, color=color, alpha=0.6, label=name)
    axes.axvline(threshold, color="black", linestyle=":", label=f"threshold {threshold:.3f}")
    axes.set(xlabel="similarity", ylabel="pairs")
    axes.legend()
    return figure


def _confusion_matrix(label: np.ndarray, verdict: np.ndarray) -> Figure:
    counts = np.array(
        [[np.sum((label == truth) & (verdict == said)) for said in (False, True)] for truth in (False, True)]
    )
    figure, axes = _square()
    axes.imshow(counts, cmap="Greens")
    for (truth, said), count in np.ndenumerate(counts):
        dark = count > counts.max() / 2
        axes.text(said, truth, f"{count:,}", ha="center", va="center", color="white" if dark else "black")
    names = ["not duplicate", "duplicate"]
    axes.set(xlabel="verdict", ylabel="label")
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    return figure


def _figure(width: float, height: float) -> Figure:
    """An empty figure, in inches. Fixed margins take half the time of a computed layout."""
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left=0.8 / width, right=1 - 0.15 / width, bottom=0.55 / height, top=1 - 0.35 / height)
    figure.subplots_adjust(wspace=0.3)
    return figure


def _square() -> tuple[Figure, Axes]:
    figure = _figure(5, 4.6)
    return figure, figure.subplots()
