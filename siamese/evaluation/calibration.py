"""Calibration: from a similarity to a verdict and to an honest probability, both chosen on dev."""

from dataclasses import dataclass

import numpy as np

LOGIT_CLIP = 1e-6  # similarities are kept this far from 0 and 1 before the logit
TEMPERATURE_RANGE = (0.01, 100.0)


@dataclass(frozen=True)
class Calibration:
    """probability = sigmoid((logit(similarity) - offset) / temperature), chosen on dev.

    Temperature scaling (Guo et al. 2017) with the offset of Platt (1999): a similarity, unlike a
    classifier's output, need not have its even point at 1/2.

    Attributes:
        threshold: from this similarity on, the verdict is "duplicate".
        temperature: above 0, so that the order of pairs never changes.
        offset: the logit of the similarity that means "as likely as not".
    """

    threshold: float
    temperature: float
    offset: float

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """Probability of "duplicate", `float64[pairs]` in [0, 1], growing with similarity."""
        return _sigmoid((_logit(similarity) - self.offset) / self.temperature)

    def duplicate(self, similarity: np.ndarray) -> np.ndarray:
        """Verdicts, `bool[pairs]`."""
        return np.asarray(similarity) >= self.threshold


def calibrate(label: np.ndarray, similarity: np.ndarray, objective: str) -> Calibration:
    """Choose threshold, temperature and offset on dev.

    Args:
        label: `float[pairs]` in [0, 1].
        similarity: `float[pairs]` in [0, 1].
        objective: what the threshold makes best, "accuracy" or "f1".
    """
    from scipy.optimize import minimize  # half a second that only choosing needs, not the use of what was chosen

    threshold = best_threshold(label >= 0.5, similarity, objective)
    logit, label = _logit(similarity), label.astype(np.float64)

    def log_loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        temperature, offset = np.exp(parameters[0]), parameters[1]
        z = (logit - offset) / temperature
        error = _sigmoid(z) - label
        loss = np.mean(np.logaddexp(0, z) - label * z)
        return float(loss), np.array([np.mean(error * -z), np.mean(error) * -1 / temperature])

    start = np.array([0.0, float(np.median(logit))])
    limits = [tuple(np.log(TEMPERATURE_RANGE)), (-20.0, 20.0)]
    best = minimize(log_loss, start, jac=True, method="L-BFGS-B", bounds=limits)
    return Calibration(threshold, float(np.exp(best.x[0])), float(best.x[1]))


def best_threshold(label: np.ndarray, similarity: np.ndarray, objective: str) -> float:
    """The similarity from which on to say "duplicate", half-way between the two scores it separates.

    Args:
        label: `bool[pairs]`.
        similarity: `float[pairs]`.
        objective: "accuracy" or "f1".

    >>> round(best_threshold(np.array([False, False, True]), np.array([0.1, 0.4, 0.8]), "accuracy"), 6)
    0.6
    """
    order = np.argsort(-similarity, kind="stable")
    score = np.asarray(similarity)[order]
    said = np.arange(len(score) + 1)  # cut k says "duplicate" to the k highest scores
    hits = np.append(0, np.cumsum(label[order]))
    if objective == "accuracy":
        quality = 2.0 * hits - said
    elif objective == "f1":
        quality = 2.0 * hits / np.maximum(said + hits[-1], 1)
    else:
        raise ValueError(f"evaluation.objective must be accuracy or f1, got {objective!r}")
    between_scores = np.concatenate([[True], np.diff(score) != 0, [True]])
    cut = int(np.argmax(np.where(between_scores, quality, -np.inf)))
    if cut == 0:
        return float(np.nextafter(score[0], score.dtype.type(np.inf)))
    if cut == len(score):
        return float(score[-1])
    # half-way in the scores' own precision, where neighbours may have nothing between them
    middle = (score[cut - 1] + score[cut]) / 2
    return float(middle if middle > score[cut] else score[cut - 1])


def _logit(similarity: np.ndarray) -> np.ndarray:
    clipped = np.clip(np.asarray(similarity, np.float64), LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
