"""Agreement: the difference of an exported model from its network, and its cost in ROC AUC."""

import numpy as np

from siamese.evaluation import significance
from siamese.evaluation.metrics import Weighted, pair_metrics
from siamese.evaluation.significance import Estimate

TOLERANCE = 1e-5  # maximal difference of a float32 model


def difference(given: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of `float32[...]`, relative to the largest expected number if that is above 1.

    NaN if any number is NaN.

    >>> difference(np.float32([3, 40]), np.float32([3, 50])), difference(np.float32([0.25]), np.float32([0.5]))
    (0.2, 0.25)
    """
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return round(float(np.abs(given.astype(np.float64) - expected).max(initial=0)) / scale, 9)


def check(file: str, difference: dict[str, float], exact: bool) -> None:
    """Raise ValueError for the file of a model that differs too much.

    `difference` is that from each implementation of the network; `exact` says whether TOLERANCE applies, other models need
    only give finite numbers.
    """
    for name, value in difference.items():
        if not (value <= TOLERANCE if exact else np.isfinite(value)):
            allowed = f"at most {TOLERANCE:g}" if exact else "a number"
            raise ValueError(
                f"{file} differs from {name} by {value:.2g}, which should be {allowed}; nothing was written. "
                "This is an error of the export: please report it with the run's config"
            )


def roc_auc(label: np.ndarray, similarity: np.ndarray) -> float:
    """The ROC AUC of similarities `float32[pairs]`; `label` is `bool[pairs]`."""
    return float(_roc_auc(label, similarity)(np.ones((1, len(label))))[0])


def roc_auc_loss(label: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int = 0) -> Estimate:
    """The loss of ROC AUC from `before` to `after`, `float32[pairs]`, with a paired bootstrap over the pairs.

    The 95 % interval is for new pairs and this one network; negative if the ROC AUC rose. `label` is `bool[pairs]`, and both
    kinds are there.
    """
    drawn = significance.resamples(len(label), seed)
    resampled = [significance.resampled(_roc_auc(label, scores), drawn)[None] for scores in (before, after)]
    values = [np.array([roc_auc(label, scores)]) for scores in (before, after)]
    return significance.difference(values[0], values[1], resampled[0], resampled[1])


def _roc_auc(label: np.ndarray, similarity: np.ndarray) -> Weighted:
    return pair_metrics(label, similarity, similarity, 0.5)["roc_auc"]
