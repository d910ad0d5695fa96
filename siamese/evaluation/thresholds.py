"""Thresholds: from which similarity on to say "duplicate", for a criterion and a share of duplicates, chosen on dev."""

from dataclasses import dataclass

import numpy as np

CRITERIA = "best_accuracy, best_f1, precision@0.95, recall@0.9 (any share) or a number in [0, 1]"


@dataclass(frozen=True, eq=False)
class DevScores:
    """What was said about the dev pairs and what is true: all that a threshold is chosen from.

    Attributes:
        similarity: `float[pairs]` in [0, 1], highest first.
        duplicate: `bool[pairs]`, in the same order.
    """

    similarity: np.ndarray
    duplicate: np.ndarray

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

    @property
    def share(self) -> float:
        """The share of duplicates."""
        return float(self.duplicate.mean())


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it gives on dev.

    Attributes:
        threshold: from this similarity on, the verdict is "duplicate".
        criterion: what it was chosen for, as `choose_threshold` takes it.
        prior: the share of duplicates among the pairs that the precision is for.
        precision: of the verdicts on dev, at that prior; 0 where nothing is called a duplicate.
        recall: the share of dev's duplicates that are called so; no prior changes it.
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
    """
    if criterion in ("best_accuracy", "best_f1"):
        return str(criterion), float("nan")
    kind, at, number = str(criterion).rpartition("@")
    try:
        wanted = float(number)
    except ValueError:
        wanted = float("nan")
    if not 0 <= wanted <= 1 or (kind, at) not in (("precision", "@"), ("recall", "@"), ("", "")):
        raise ValueError(f"threshold must be {CRITERIA}; got {criterion!r}")
    return kind or "number", wanted


def choose_threshold(dev: DevScores, criterion: str | float, prior: float | None = None) -> OperatingPoint:
    """The threshold that serves a criterion best on dev, half-way between the two scores that it separates.

    Another prior is reached by weights: each duplicate of dev counts prior / share times and each other pair
    (1 - prior) / (1 - share) times, so that precision = prior TPR / (prior TPR + (1 - prior) FPR), as Bayes
    says. A small prior makes the false positives of dev precious: with 10,000 other pairs, one of them
    called a duplicate is a false positive rate of 0.0001.

    Args:
        dev: the scored dev pairs.
        criterion: "best_accuracy"; "best_f1"; "precision@P", the highest recall with at least that precision;
            "recall@R", the highest precision with at least that recall; or the threshold itself, a number
            in [0, 1], which is then only measured.
        prior: the share of duplicates where the threshold will be used, inside (0, 1); None for that of dev.

    Raises:
        ValueError: the criterion or the prior is not as described, or dev lacks the pairs to choose from.
        PrecisionNotReachedError: the precision is reached nowhere.

    >>> dev = DevScores(np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, False]))
    >>> choose_threshold(dev, "recall@1.0")
    OperatingPoint(threshold=0.30000000000000004, criterion='recall@1.0', prior=0.5, precision=0.6666666666666666, recall=1.0)
    """
    kind, wanted = parse_criterion(criterion)
    duplicate_weight, other_weight = _weights(dev, prior)
    # cut k says "duplicate" to the said[k] highest scores; equal scores are never parted
    said = np.flatnonzero(np.concatenate([[True], np.diff(dev.similarity) != 0, [True]]))
    if kind == "number":
        said = np.array([np.count_nonzero(dev.similarity >= wanted)])
    hits = np.concatenate([[0], np.cumsum(dev.duplicate)])[said]
    true, false = hits * duplicate_weight, (said - hits) * other_weight
    duplicates = int(dev.duplicate.sum())
    precision, recall = _ratio(true, true + false), _ratio(hits, duplicates)

    def point(cut: int) -> OperatingPoint:
        threshold = wanted if kind == "number" else _threshold(dev.similarity, said[cut])
        share = dev.share if prior is None else prior
        return OperatingPoint(threshold, str(criterion), share, float(precision[cut]), float(recall[cut]))

    if kind == "best_accuracy":
        return point(_first_best(true - false))
    if kind == "best_f1":
        return point(_first_best(_ratio(2 * true, true + false + duplicates * duplicate_weight)))
    if kind == "precision":
        reached = (said > 0) & (precision >= wanted)
        if not reached.any():
            raise PrecisionNotReachedError(point(_last_best(precision)))
        return point(_first_best(np.where(reached, recall, -1)))
    if kind == "recall":
        if not duplicates:
            raise ValueError(f"{criterion} cannot be chosen: none of the {len(dev)} dev pairs is a duplicate")
        return point(_last_best(np.where(recall >= wanted, precision, -1)))
    return point(0)


def _weights(dev: DevScores, prior: float | None) -> tuple[float, float]:
    """How often each duplicate of dev and each other pair counts, so that duplicates make up `prior`."""
    if prior is None:
        return 1.0, 1.0
    if not 0 < prior < 1:
        raise ValueError(f"prior is the share of duplicates, above 0 and below 1; got {prior}")
    if not 0 < dev.share < 1:
        raise ValueError(f"prior={prior} needs dev pairs of both kinds, but {dev.share:.0%} of dev are duplicates")
    return prior / dev.share, (1 - prior) / (1 - dev.share)


def _threshold(similarity: np.ndarray, said: int) -> float:
    """What parts the `said` highest of the falling similarities from the others."""
    if said == 0:
        return float(np.nextafter(similarity[0], similarity.dtype.type(np.inf)))
    if said == len(similarity):
        return float(similarity[-1])
    # half-way in the scores' own precision, where neighbours may have nothing between them
    above, below = similarity[said - 1], similarity[said]
    middle = (above + below) / 2
    return float(middle if middle > below else above)


def _first_best(quality: np.ndarray) -> int:
    return int(np.argmax(quality))


def _last_best(quality: np.ndarray) -> int:
    return len(quality) - 1 - int(np.argmax(quality[::-1]))


def _ratio(numerator: np.ndarray, denominator: np.ndarray | float) -> np.ndarray:
    """The ratio, 0 where it is 0 / 0."""
    denominator = np.broadcast_to(denominator, numerator.shape)
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)
