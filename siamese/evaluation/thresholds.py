"""Thresholds: the similarity from which a pair is predicted "duplicate", chosen on dev for a criterion and a prior."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from siamese.data.checked_folder import CheckedFolder
from siamese.evaluation.guarantees import NotGuaranteedError, guaranteed_threshold
from siamese.evaluation.metrics import ratio

ARRAYS, RESERVED = (
    ("similarity", "duplicate"),
    "reserved_",
)  # names in a file, and what precedes those of reserved pairs
ROUNDING = 1e-5  # that a similarity may lie outside [0, 1] by
CRITERIA = "best_accuracy, best_f1, precision@0.95, recall@0.9, guarantee@0.95 (any share) or a number in [0, 1]"


@dataclass(frozen=True, eq=False)
class DevScores:
    """Dev-set scores and labels, from which thresholds are chosen.

    Attributes:
        similarity: `float[pairs]` in [0, 1], highest first.
        duplicate: `bool[pairs]`, in the same order.
        reserved: those of the dev pairs that chose nothing, for `guarantee@`; None if there are none.
    """

    similarity: np.ndarray
    duplicate: np.ndarray
    reserved: "DevScores | None" = None

    def __post_init__(self) -> None:
        if len(self.similarity) != len(self.duplicate) or not len(self.similarity):
            raise ValueError(
                f"dev needs as many labels as similarities, at least one of each; "
                f"got {len(self.duplicate)} and {len(self.similarity)}"
            )
        highest_first = np.argsort(-self.similarity, kind="stable")
        for name, dtype in (("similarity", self.similarity.dtype), ("duplicate", bool)):
            array = getattr(self, name)[highest_first].astype(dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.similarity)

    def counts(self) -> dict[str, int]:
        """The numbers of pairs and of duplicates."""
        return {"pairs": len(self), "duplicates": int(self.duplicate.sum())}

    def save(self, file: Path) -> None:
        """Write a .npz file."""
        parts = {"": self, **({RESERVED: self.reserved} if self.reserved else {})}
        arrays = {prefix + name: getattr(part, name) for prefix, part in parts.items() for name in ARRAYS}
        np.savez(file, **arrays)

    @classmethod
    def load(cls, folder: CheckedFolder, name: str) -> "DevScores":
        """Read what `save` wrote, or raise ValueError."""
        arrays = folder.arrays(name)
        try:
            reserved = any(each.startswith(RESERVED) for each in arrays)
            return cls(*_checked(arrays), cls(*_checked(arrays, RESERVED)) if reserved else None)
        except (ValueError, KeyError) as problem:
            raise ValueError(f"{folder.path / name} holds no dev scores: {problem}") from None

    @property
    def share(self) -> float:
        """The share of duplicates."""
        return float(self.duplicate.mean())


def _checked(arrays: Mapping[str, np.ndarray], prefix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Similarities and labels of a file; KeyError or ValueError if they are none."""
    similarity, duplicate = (arrays[prefix + name] for name in ARRAYS)
    if not (similarity.dtype.kind == "f" and duplicate.dtype == bool and similarity.ndim == duplicate.ndim == 1):
        raise ValueError(f"expected float[pairs] and bool[pairs], got {similarity.dtype} and {duplicate.dtype}")
    if not ((similarity >= -ROUNDING) & (similarity <= 1 + ROUNDING)).all():
        raise ValueError("a similarity lies outside [0, 1]")
    return similarity, duplicate


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, the criterion it was chosen for, and what it gives on dev.

    Of `guarantee@` precision and recall are those of the reserved pairs.

    Attributes:
        prior: the share of duplicates among the pairs that the precision is for.
        precision: of the predictions on dev, at that prior; 0 where nothing is predicted "duplicate".
        recall: the share of dev's duplicates that are found; it does not depend on the prior.
    """

    threshold: float
    criterion: str
    prior: float
    precision: float
    recall: float


class PrecisionNotReachedError(ValueError):
    """No threshold reaches the precision that was asked for; `best` comes nearest."""

    def __init__(self, best: OperatingPoint):
        super().__init__(
            f"{best.criterion} is not reached on dev at {best.prior:.3g} duplicates: the highest precision is "
            f"{best.precision:.4f}, at a recall of {best.recall:.4f} (threshold={best.threshold:.6g}); ask for less"
        )
        self.best = best


def parse_criterion(criterion: str | float) -> tuple[str, float]:
    """A criterion as its kind and its number, which is nan where it has none.

    >>> parse_criterion("precision@0.95"), parse_criterion("0.8"), parse_criterion("best_f1")
    (('precision', 0.95), ('number', 0.8), ('best_f1', nan))

    Raises:
        ValueError: it is none of them, or its number lies outside [0, 1], that of a guarantee outside (0, 1).
    """
    if criterion in ("best_accuracy", "best_f1"):
        return str(criterion), float("nan")
    kind, at, number = str(criterion).rpartition("@")
    try:
        wanted = float(number)
    except ValueError:
        wanted = float("nan")
    if not 0 <= wanted <= 1 or (kind, at) not in (("precision", "@"), ("recall", "@"), ("guarantee", "@"), ("", "")):
        raise ValueError(f"threshold must be {CRITERIA}; got {criterion!r}")
    if kind == "guarantee" and wanted in (0, 1):
        raise ValueError(f"guarantee@ takes a precision above 0 and below 1; got {criterion!r}")
    return kind or "number", wanted


def choose_threshold(dev: DevScores, criterion: str | float, prior: float | None = None) -> OperatingPoint:
    """The best threshold for a criterion on dev, half-way between the two scores that it separates.

    Another prior enters as weights: each duplicate of dev counts prior / share times, each other pair
    (1 - prior) / (1 - share) times. Then precision = prior TPR / (prior TPR + (1 - prior) FPR), by Bayes' rule.
    With a small prior, few false positives of dev decide: among 10,000 other pairs one false positive is a rate
    of 0.0001.

    Args:
        dev: the scored dev pairs.
        criterion: "best_accuracy"; "best_f1"; "precision@P", the highest recall with at least that precision;
            "recall@R", the highest precision with at least that recall; "guarantee@P", see
            `siamese.evaluation.guarantees`; or the threshold itself, a number in [0, 1], for which only precision and
            recall are measured.
        prior: the share of duplicates where the threshold will be used, inside (0, 1); None for that of dev.

    Raises:
        ValueError: the criterion or the prior is not as described, or dev lacks the pairs to choose from.
        NotGuaranteedError: the reserved pairs do not prove the precision, or there are none.
        PrecisionNotReachedError: no threshold reaches the precision.

    >>> dev = DevScores(np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, False]))
    >>> choose_threshold(dev, "recall@1.0")
    OperatingPoint(threshold=0.30000000000000004, criterion='recall@1.0', prior=0.5, precision=0.6666666666666666, recall=1.0)
    """
    kind, wanted = parse_criterion(criterion)
    if kind == "guarantee":
        return _guaranteed(dev, str(criterion), wanted, prior)
    duplicate_weight, other_weight = _weights(dev, prior)
    # cut k predicts positive for the top n_positive[k] scores; ties stay together
    n_positive = np.flatnonzero(np.concatenate([[True], np.diff(dev.similarity) != 0, [True]]))
    if kind == "number":
        n_positive = np.array([np.count_nonzero(dev.similarity >= wanted)])
    hits = np.concatenate([[0], np.cumsum(dev.duplicate)])[n_positive]
    true, false = hits * duplicate_weight, (n_positive - hits) * other_weight
    duplicates = int(dev.duplicate.sum())
    precision, recall = ratio(true, true + false), ratio(hits, duplicates)

    def point(cut: np.intp | int) -> OperatingPoint:
        threshold = wanted if kind == "number" else _threshold(dev.similarity, n_positive[cut])
        share = dev.share if prior is None else prior
        return OperatingPoint(threshold, str(criterion), share, float(precision[cut]), float(recall[cut]))

    if kind == "best_accuracy":
        return point(np.argmax(true - false))
    if kind == "best_f1":
        return point(np.argmax(ratio(2 * true, true + false + duplicates * duplicate_weight)))
    if kind == "precision":
        reached = (n_positive > 0) & (precision >= wanted)
        if not reached.any():
            raise PrecisionNotReachedError(point(_last_best(precision)))
        return point(np.argmax(np.where(reached, recall, -1)))
    if kind == "recall":
        if not duplicates:
            raise ValueError(f"{criterion} cannot be chosen: none of the {len(dev)} dev pairs is a duplicate")
        return point(_last_best(np.where(recall >= wanted, precision, -1)))
    return point(0)


def _guaranteed(dev: DevScores, criterion: str, precision: float, prior: float | None) -> OperatingPoint:
    if dev.reserved is None:
        raise NotGuaranteedError(
            f"{criterion} needs dev pairs that chose nothing, and all of this detector's chose its weights and probabilities; "
            f"train with evaluation.threshold={criterion}, which sets half of dev aside, or ask for precision@{precision:g}"
        )
    if prior is not None:
        raise NotGuaranteedError(
            f"{criterion} holds for the share of duplicates among the reserved pairs, {dev.reserved.share:.3g}, and for no "
            f"prior; leave out the prior, or ask for precision@{precision:g}"
        )
    ends = np.flatnonzero(np.append(np.diff(dev.similarity) != 0, True)) + 1  # ties stay together
    cuts = np.array([_threshold(dev.similarity, end) for end in ends.tolist()])
    aside = dev.reserved.similarity, dev.reserved.duplicate
    threshold = guaranteed_threshold(cuts, (dev.similarity, dev.duplicate), aside, precision)
    return replace(choose_threshold(dev.reserved, threshold), criterion=criterion, prior=dev.share)


def _weights(dev: DevScores, prior: float | None) -> tuple[float, float]:
    """Weights of a duplicate and of any other pair of dev, so that duplicates make up `prior`."""
    if prior is None:
        return 1.0, 1.0
    if not 0 < prior < 1:
        raise ValueError(f"prior is the share of duplicates, above 0 and below 1; got {prior}")
    if not 0 < dev.share < 1:
        raise ValueError(f"prior={prior} needs dev pairs of both kinds, but {dev.share:.0%} of dev are duplicates")
    return prior / dev.share, (1 - prior) / (1 - dev.share)


def _threshold(similarity: np.ndarray, n_positive: int) -> float:
    """The threshold between the `n_positive` highest of the descending similarities and the others."""
    if n_positive == 0:
        return float(np.nextafter(similarity[0], similarity.dtype.type(np.inf)))
    if n_positive == len(similarity):
        return float(similarity[-1])
    # half-way in the dtype of the scores, in which two neighbors may have no number between them
    above, below = similarity[n_positive - 1], similarity[n_positive]
    middle = (above + below) / 2
    return float(middle if middle > below else above)


def _last_best(quality: np.ndarray) -> int:
    return len(quality) - 1 - int(np.argmax(quality[::-1]))
