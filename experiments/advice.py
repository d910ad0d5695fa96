"""Advice: a network that does no better than chance, worse than a baseline, or not as well as was asked for, says so."""

from collections.abc import Mapping
from typing import Any

from siamese.detector import Detector
from siamese.evaluation.guarantees import NotGuaranteedError
from siamese.evaluation.thresholds import parse_criterion
from siamese.training.loop import SMALLER_IS_BETTER

GUESSES = 0.5  # their ROC AUC
FEW_PAIRS = 8_000  # below about as many, hand-made features beat a network without pretrained words (study=classical)


def better_baselines(
    dev: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], metric: str
) -> dict[str, float]:
    """The baselines whose dev metric is better than that of the network, the best first.

    Args:
        dev: the network's dev metrics.
        baselines: the metrics of each, "split/name" -> value.
        metric: by which the best epoch was chosen.

    >>> better_baselines({"roc_auc": 0.6}, {"tfidf_cosine": {"dev/roc_auc": 0.7}, "majority": {"dev/roc_auc": 0.5}}, "roc_auc")
    {'tfidf_cosine': 0.7}
    """
    sign = -1 if metric in SMALLER_IS_BETTER else 1
    values = {name: metrics[f"dev/{metric}"] for name, metrics in baselines.items() if f"dev/{metric}" in metrics}
    ranked = sorted(values, key=lambda name: -sign * values[name])
    return {name: values[name] for name in ranked if sign * values[name] > sign * dev[metric]}


def advise(better: Mapping[str, float], metric: str, settings: Mapping[str, object], pairs: int) -> str:
    """A few lines for the user: the best of the baselines that are better, and what to try.

    Args:
        better: from `better_baselines`, at least one.
        metric: as there.
        settings: the composed config by dotted names, as `tracking.flatten` gives it.
        pairs: number of training pairs.
    """
    name, value = next(iter(better.items()))
    head = f"note: on dev this network does worse than the baseline {name} ({metric} {value:.4f}). What to try:"
    return "\n".join([head, *(f"  - {each}" for each in _suggestions(settings, pairs))])


def by_chance(dev: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], rate: object) -> str:
    """A line for the user where the interval of dev's ROC AUC holds that of guesses; otherwise "".

    Args:
        dev, intervals: the network's dev metrics, and their intervals.
        rate: the learning rate.

    >>> by_chance({"roc_auc": 0.9}, {"roc_auc": (0.85, 0.94)}, 0.001)
    ''
    """
    low, high = intervals.get("roc_auc", (1.0, 1.0))
    if low > GUESSES:
        return ""
    return (
        f"note: on dev this network does no better than chance: ROC AUC {dev['roc_auc']:.4f} [{low:.4f}, {high:.4f}]. Try a "
        f"lower optimizer.learning_rate (it was {rate}) or more training.epochs, and look whether the labels are right"
    )


def on_threshold(detector: Detector, evaluation: Mapping[str, Any]) -> str:
    """The note of the threshold, and why it is not guaranteed where that was asked for."""
    criterion = evaluation.get("threshold", "best_accuracy")
    if parse_criterion(criterion)[0] != "guarantee" or detector.calibration.criterion == criterion:
        return detector.threshold_note()
    try:
        detector.at(criterion)
    except NotGuaranteedError as refusal:
        said = f"note: {refusal}. The threshold is that of {detector.calibration.criterion}, which promises nothing"
        return f"{said}\n{detector.threshold_note()}"
    return detector.threshold_note()


def _suggestions(settings: Mapping[str, object], pairs: int) -> list[str]:
    found = []
    if settings["tower"] == "encoder":
        found.append("encoder=use_multilingual (16 languages) or encoder=minilm (English): one that reads these texts")
    else:
        found.append(
            "tower=encoder encoder=minilm: a head over a sentence encoder; encoder=use_multilingual if not English"
        )
        if settings["vectors"] != "piece_vectors":
            found.append("text=pieces vectors=distilled: words start from a shipped table")
    if settings["similarity"] == "cosine":
        found.append("similarity=hybrid: letters, numbers and negations beside the embedding, as far as dev prefers it")
    elif settings["similarity"] != "hybrid":
        found.append("similarity=cosine or hybrid: they need the fewest pairs")
    if settings["subset.pairs"] is not None:
        found.append("subset.pairs=null: all training pairs")
    elif pairs < FEW_PAIRS:
        found.append(f"more labeled pairs: there are only {pairs:,} to learn from")
    found.append("the mistakes: the run's dev_worst_mistakes.json may show wrong labels")
    return found
