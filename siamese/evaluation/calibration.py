"""Calibration: similarity → verdict and calibrated probability, both fitted on dev."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from siamese.data.pairs import DUPLICATE_FROM
from siamese.evaluation.guarantees import NotGuaranteedError
from siamese.evaluation.thresholds import DevScores, PrecisionNotReachedError, choose_threshold, parse_criterion

LOGIT_CLIP = 1e-6  # similarities are kept this far from 0 and 1 before the logit
TEMPERATURE_RANGE = (0.01, 100.0)
LEAST_RECALL = 0.1  # on dev, of thresholds that estimate a prior: fewer duplicates say too little


@dataclass(frozen=True)
class Calibration:
    """probability = sigmoid((logit(similarity) - offset) / temperature), chosen on dev.

    Temperature scaling (Guo et al. 2017) with the offset of Platt scaling (Platt 1999): a similarity of 1/2 need not
    mean a probability of 1/2.

    Attributes:
        threshold: from this similarity on, the verdict is "duplicate".
        temperature: above 0, so that the order of pairs is kept.
        offset: the logit of the similarity whose probability is 1/2.
        criterion: what the threshold was chosen for, as `choose_threshold` takes it. This and the
            following are None if unknown.
        prior: the share of duplicates for which probability, precision and threshold hold: that of dev, or another.
        precision, recall: of the predictions on dev, at that prior; of `guarantee@` on the reserved pairs.
    """

    threshold: float
    temperature: float
    offset: float
    criterion: str | None = None
    prior: float | None = None
    precision: float | None = None
    recall: float | None = None

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """Probability of "duplicate", `float64[pairs]` in [0, 1], growing with similarity."""
        return _sigmoid((_logit(similarity) - self.offset) / self.temperature)

    def duplicate(self, similarity: np.ndarray) -> np.ndarray:
        """Verdicts, `bool[pairs]`."""
        return np.asarray(similarity) >= self.threshold

    def verdict(self, similarity: np.float32) -> str:
        """The verdict on a pair in words, see `verdict_sentence`."""
        probability, duplicate = self.probability(np.array(similarity)), self.duplicate(np.array(similarity))
        return verdict_sentence(bool(duplicate), float(similarity), float(probability))

    def rule(self) -> str:
        """From which probability on the verdict is "duplicate", and why: it need not be 50 %.

        The threshold serves its criterion on the dev pairs themselves, the probability is fitted to all of them.

        >>> Calibration(0.6, temperature=1.0, offset=0.5, criterion="best_accuracy").rule()
        'duplicate from a probability of 47.6% on, chosen for best_accuracy'
        """
        chosen = "" if self.criterion is None else f", chosen for {self.criterion}"
        return f"duplicate from a probability of {float(self.probability(np.array(self.threshold))):.1%} on{chosen}"

    def note(self, dev: DevScores | None) -> str:
        """What the threshold was chosen for and how it did on dev, in a line for the user."""
        note = f"threshold={self.criterion}: {self.threshold:.6g}"
        if dev is None or self.prior is None:
            return note
        guaranteed = dev.reserved is not None and parse_criterion(self.criterion or self.threshold)[0] == "guarantee"
        dev, of = (dev.reserved, "reserved dev") if guaranteed and dev.reserved else (dev, "dev")
        alarms = self.duplicate(dev.similarity[~dev.duplicate])
        return (
            f"{note}, at {100 * self.prior:.3g} % duplicates precision {self.precision:.4f}, recall {self.recall:.4f} "
            f"({len(dev):,} {of} pairs, false alarms: {alarms.sum():,} of {len(alarms):,})"
        )

    def at(
        self, dev: DevScores | None, threshold: str | float | None = None, prior: float | None = None
    ) -> "Calibration":
        """The calibration for another criterion or another share of duplicates.

        By Bayes' rule a new prior multiplies the odds of every pair by the ratio of the priors' odds (Saerens et al.
        2002, equation 2.4), which shifts the offset.

        Args:
            dev: the scores that this calibration was chosen on; without them only a number is possible.
            threshold: a criterion or a number, as `choose_threshold` takes it; None keeps the criterion.
            prior: the share of duplicates, inside (0, 1); None keeps it.

        Raises:
            ValueError: as `choose_threshold` does, or dev is needed and not there.

        >>> dev = DevScores(np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, False]))
        >>> even = Calibration(0.85, temperature=1.0, offset=0.0, criterion="best_accuracy", prior=0.5)
        >>> even.at(dev, prior=0.01).probability(np.array([0.99])).round(3)  # odds of 99 to 1, times 1/99
        array([0.5])
        """
        if dev is None:
            if prior is not None or threshold is None or parse_criterion(threshold)[0] != "number":
                raise ValueError(
                    f"this detector was saved without dev scores, so that threshold={threshold}, prior={prior} cannot be "
                    "worked out; give the threshold as a number, or train again"
                )
            number = float(threshold)
            return replace(self, threshold=number, criterion=str(number), precision=None, recall=None)
        criterion = next(each for each in (threshold, self.criterion, self.threshold) if each is not None)
        before = dev.share if self.prior is None else self.prior
        after = before if prior is None else prior
        point = choose_threshold(dev, criterion, None if after == dev.share else after)
        return replace(replace(self, prior=before)._moved(after), **asdict(point))

    def _moved(self, prior: float) -> "Calibration":
        """With the probabilities for another prior, and the old threshold."""
        assert self.prior is not None
        moved = 0.0 if prior == self.prior else self.temperature * (_log_odds(prior) - _log_odds(self.prior))
        return replace(self, offset=self.offset - moved, prior=prior)

    def estimated_prior(self, dev: DevScores, similarity: np.ndarray) -> float:
        """The share of duplicates among pairs with these similarities, `float[pairs]`, inside (0, 1).

        Of the duplicates of dev a share r(t) reaches the threshold t, of the pairs a share f(t), so that at most f(t) / r(t)
        of the pairs are duplicates; high thresholds, which few others reach, come near to it. The minimum is the estimate
        (Blanchard et al. 2010, Semi-Supervised Novelty Detection, section 6), over r(t) of at least `LEAST_RECALL`. Unlike
        EM over the probabilities (Saerens et al. 2002) it does not suppose that the other pairs are like those of dev: in
        a collection most are easier, and EM finds no duplicates at all. One more pair that has the prior as its
        probability keeps the share of few pairs, or of none, away from 0.

        >>> dev = DevScores(np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, True, False, False]))
        >>> even = Calibration(0.5, temperature=1.0, offset=0.0, prior=0.5)
        >>> round(even.estimated_prior(dev, np.array(2 * [0.9] + 2 * [0.8] + 95 * [0.1])), 3)  # (2 / (1/2) + 0.5) / 100
        0.045
        """
        assert self.prior is not None
        thresholds = dev.similarity[dev.duplicate]  # highest first
        recall = 1 - np.searchsorted(thresholds[::-1], thresholds) / len(thresholds)
        reached = len(similarity) - np.searchsorted(np.sort(similarity), thresholds)
        most = np.min((reached / recall)[recall >= LEAST_RECALL])
        return float((most + self.prior) / (len(similarity) + 1))

    def from_probability(self, least: float, prior: float) -> "Calibration":
        """With the probabilities for a prior, and "duplicate" from the similarity on that then has the probability `least`.

        Unlike a criterion it needs no dev scores. A probability that none but equal embeddings have gives the threshold 1.

        Raises:
            ValueError: `least` or the prior is not inside (0, 1).

        >>> even = Calibration(0.85, temperature=1.0, offset=0.0, prior=0.5)
        >>> even.from_probability(0.5, prior=0.01).threshold
        0.99
        """
        for name, value in (("min_probability", least), ("prior", prior)):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be above 0 and below 1, got {value}")
        moved = self._moved(prior)
        return replace(moved, threshold=moved.similarity(least), criterion=None, precision=None, recall=None)

    def similarity(self, probability: float) -> float:
        """The similarity that has a probability inside (0, 1); 1 if none but equal embeddings have it."""
        similarity = float(_sigmoid(np.array(self.offset + self.temperature * _log_odds(probability))))
        return 1.0 if similarity > 1 - LOGIT_CLIP else similarity


def verdict_sentence(duplicate: bool, similarity: float, probability: float) -> str:
    """A verdict in words, as all programs print it; it says so where verdict and probability point to different sides.

    >>> verdict_sentence(False, 0.12345, 0.0567)
    'not duplicate: similarity 0.1235, probability 5.7%'
    >>> verdict_sentence(True, 0.6, 0.489)
    'duplicate: similarity 0.6000, probability 48.9% (above the threshold)'
    """
    verdict = "duplicate" if duplicate else "not duplicate"
    side = "" if duplicate == (probability >= 0.5) else f" ({'above' if duplicate else 'below'} the threshold)"
    return f"{verdict}: similarity {similarity:.4f}, probability {probability:.1%}{side}"


SENTENCE_WIDTH = len("not " + verdict_sentence(True, 1.0, 1.0))  # characters of the longest without its side, for lists


def calibrate(
    label: np.ndarray,
    similarity: np.ndarray,
    threshold: str | float,
    reserved: DevScores | None = None,
    prior: float | None = None,
) -> Calibration:
    """Choose threshold, as `choose_threshold` does, temperature and offset on dev.

    If no threshold reaches the wanted precision, as in an early epoch or for a baseline, the one with the highest
    precision is taken; see `precision` of the result. Where a precision cannot be guaranteed, the one that reaches it on dev
    is, and the criterion says so. Labels and similarities are `float[pairs]` in [0, 1]; `reserved` serves `guarantee@` alone.
    Threshold and probabilities hold for the share `prior` of duplicates, None for that of dev.

    Where a similarity tells duplicates and others apart without a mistake, as it may with few pairs, no finite temperature is
    the best and every probability would be 0 or 1. Then the fit aims at (n + 1) / (n + 2) for the n duplicates and at
    1 / (n + 2) for the n others (Platt 1999, section 2.2).
    """
    from scipy.optimize import minimize  # takes half a second, and using a calibration does not need it

    dev = DevScores(similarity, label >= DUPLICATE_FROM, reserved)
    try:
        try:
            point = choose_threshold(dev, threshold, prior)
        except NotGuaranteedError:
            point = choose_threshold(dev, f"precision@{parse_criterion(threshold)[1]:g}", prior)
    except PrecisionNotReachedError as missed:
        point = missed.best
    logit, label = _logit(similarity), label.astype(np.float64)
    aim = _smoothed(label) if _is_separated(label, logit) else label

    def log_loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        temperature, offset = np.exp(parameters[0]), parameters[1]
        z = (logit - offset) / temperature
        error = _sigmoid(z) - aim
        loss = np.mean(np.logaddexp(0, z) - aim * z)
        return float(loss), np.array([np.mean(error * -z), np.mean(error) * -1 / temperature])

    start = np.array([0.0, float(np.median(logit))])
    limits = [tuple(np.log(TEMPERATURE_RANGE)), (-20.0, 20.0)]
    best = minimize(log_loss, start, jac=True, method="L-BFGS-B", bounds=limits)
    fitted = Calibration(temperature=float(np.exp(best.x[0])), offset=float(best.x[1]), **asdict(point))
    return replace(fitted, prior=dev.share)._moved(point.prior)


def _is_separated(label: np.ndarray, logit: np.ndarray) -> bool:
    """Whether labels are 0 and 1, and all duplicates more similar than all others."""
    duplicate = label == 1
    binary = bool(np.all(duplicate | (label == 0)))
    return binary and logit[duplicate].min(initial=np.inf) > logit[~duplicate].max(initial=-np.inf)


def _smoothed(label: np.ndarray) -> np.ndarray:
    """What probabilities aim at in place of labels 0 and 1."""
    duplicates, others = label.sum(), (1 - label).sum()
    return np.where(label == 1, (duplicates + 1) / (duplicates + 2), 1 / (others + 2))


def _logit(similarity: np.ndarray) -> np.ndarray:
    clipped = np.clip(np.asarray(similarity, np.float64), LOGIT_CLIP, 1 - LOGIT_CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _log_odds(share: float) -> float:
    """The log-odds of a share inside (0, 1)."""
    return float(np.log(share) - np.log1p(-share))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
