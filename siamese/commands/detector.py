"""The detector that the settings of a program ask for."""

import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from siamese.commands.output import note, warnings_as_notes
from siamese.detector import Detector
from siamese.inference.runtime import import_plugins
from siamese.pretrained.encoders import READY
from siamese.registry.locate import Located, from_settings
from siamese.retrieval.scored_pairs import sampled_similarities


def chosen(
    settings: dict[str, Any], show_threshold: bool = False, ranks: bool = False, collection: bool = False
) -> Detector:
    """The detector that a program's settings name, with the threshold for `threshold` and `prior` if they are given.

    A line on stderr says which model it is. If `show_threshold`, another says for what a threshold other than the trained
    one was chosen. `ranks`: whether the answers are of use without any. `collection`: whether `in_collection` comes next,
    which tells the rule of the verdicts. Of an encoder, for which nothing was trained, another note says so.

    Raises:
        ValueError: there is no such detector, it cannot serve this criterion, or a plugin cannot be imported.
    """
    wanted = criterion(settings)
    encoder = settings["encoder"]
    if encoder:
        detector = replace(Detector.from_encoder(encoder), model=f"encoder {encoder}").at(*wanted)
        print(_untrained(encoder, detector, ranks), file=sys.stderr)
    else:
        found, detector = load(settings)
        detector = detector.at(*wanted)
        detector = replace(detector, model=f"{found}; {detector.calibration.rule()}")
        print(f"model: {found if collection else detector.model}", file=sys.stderr)
    if show_threshold and wanted != (None, None):
        print(detector.threshold_note(), file=sys.stderr)
    return detector


def in_collection(detector: Detector, settings: dict[str, Any], embeddings: np.ndarray) -> Detector:
    """A chosen detector with probabilities and threshold for the pairs of a collection, which a note states.

    The share of duplicates is the setting `prior`, or is estimated from a sample. The setting `threshold` is a number, or
    is chosen for that share; without it "duplicate" starts at the setting `min_probability`. A detector without the scores
    of dev pairs of both kinds stays as it is.

    Args:
        detector: from `chosen`.
        settings: prior, threshold and min_probability.
        embeddings: of the collection, `float32[texts, dimension]`.
    """
    threshold, prior = criterion(settings)
    calibration, dev = detector.calibration, detector.dev
    if calibration.prior is None or dev is None or not 0 < dev.share < 1:
        if threshold is None and not math.isnan(calibration.threshold):
            note(
                "this model was saved without dev scores, from which a threshold for the collection could be worked out; its "
                f"own serves, {calibration.rule()}; threshold= sets another"
            )
        return detector
    how = "from prior="
    if prior is None:
        prior = calibration.estimated_prior(dev, sampled_similarities(detector.network, embeddings))
        how = "estimated; prior= sets it"
    if threshold is None:
        calibration = calibration.from_probability(settings["min_probability"], prior)
    else:
        calibration = calibration.at(dev, threshold, prior)
    pairs = len(embeddings) * (len(embeddings) - 1) // 2
    note(
        f"about {100 * prior:.2g} % of the pairs of this collection are duplicates, {round(prior * pairs):,} of {pairs:,} "
        f"({how}); {calibration.rule()}"
    )
    model = detector.model.replace(detector.calibration.rule(), calibration.rule())
    return replace(detector, calibration=calibration, model=model)


def require_movable(detector: Detector, workers: str | None) -> None:
    """Raise ValueError if the setting `workers` asks for a cluster, and the network cannot go there."""
    if workers is not None and detector.network.name != "numpy":
        raise ValueError(
            f"workers={workers} needs a network that answers in NumPy, and this one answers through Keras; leave out workers="
        )


def load(settings: dict[str, Any]) -> tuple[Located, Detector]:
    """The trained model that the settings name, and its detector, loaded after its plugins."""
    import_plugins(settings["plugins"])
    found = from_settings(settings)
    with warnings_as_notes():
        return found, Detector.load(found.folder)


def _untrained(encoder: str, detector: Detector, ranks: bool) -> str:
    """The note on a detector for which nothing was trained."""
    text = f"note: nothing was trained; encoder={encoder} compares texts by the cosine of its vectors."
    if encoder in READY:
        return f"{text} Threshold and probabilities come from the shipped questions ({', '.join(READY[encoder])})"
    if not math.isnan(detector.calibration.threshold):
        return f"{text} The probability is the similarity"
    if not ranks:
        raise ValueError(f"no threshold was chosen for encoder={encoder}; give one, such as threshold=0.8")
    return f'{text} No threshold was chosen, so that every verdict is "not duplicate"; threshold=0.8 sets one'


def criterion(settings: dict[str, Any]) -> tuple[str | None, float | None]:
    """The settings threshold and prior, or None where they are not given.

    Raises:
        ValueError: prior is no number.
    """
    prior = settings["prior"]
    try:
        return settings["threshold"], None if prior is None else float(prior)
    except ValueError:
        raise ValueError(f"prior must be a share of duplicates such as 0.01, got {prior!r}") from None
