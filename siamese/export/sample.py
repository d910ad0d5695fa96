"""The sample of labeled pairs on which an export is measured."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from siamese.data.pairs import QuestionPairs
from siamese.detector import Detector
from siamese.evaluation.thresholds import DevScores
from siamese.export import runners
from siamese.export.agreement import TOLERANCE
from siamese.inference.runtime import Runtime
from siamese.text.inputs import Inputs

OWN_DEV = "The network was not trained on them, but its epoch and its threshold were chosen on them."
UNKNOWN_PAIRS = "Whether the network was trained on any of them is not known."


@dataclass(frozen=True)
class Sample:
    """Labeled pairs to measure on, and the token ids, or vectors, of their questions.

    `name` is their source; `note` says whether the network was trained or chosen on them.
    """

    name: str
    note: str
    pairs: QuestionPairs
    token_ids: Inputs

    def described(self) -> dict[str, Any]:
        """The entry of export.json on the sample."""
        duplicates = int(self.pairs.duplicate.sum())
        return {"name": self.name, "note": self.note, "pairs": len(self.pairs), "duplicates": duplicates}

    def arguments(self, part: str, most: int | None = None) -> list[list[np.ndarray]]:
        """Batches for a runner: of at most `most` questions for a tower, or pairs for a network."""
        rows = [np.arange(len(self.token_ids))] if part == "tower" else [self.pairs.left, self.pairs.right]
        return runners.batches(self.token_ids, *(each[:most] for each in rows))

    def outputs(self, network: Runtime) -> dict[str, np.ndarray]:
        """The outputs of the network: embeddings of the questions, similarities of the pairs."""
        embeddings = network.encode(self.token_ids)
        return {"tower": embeddings, "network": network.compare(embeddings, self.pairs.left, self.pairs.right)}


def draw(detector: Detector, name: str, pairs: QuestionPairs, size: int) -> Sample:
    """At most `size` of the pairs, and whether they are those that the detector's threshold was chosen on.

    Raises ValueError if all pairs are duplicates, or none is.
    """
    if len(pairs) > size:
        rows = np.sort(np.random.default_rng(0).permutation(len(pairs))[:size])
        part, name = pairs.take(rows), f"{size:,} of the {len(pairs):,} pairs of {name}"
    else:
        part = pairs
    if len(np.unique(part.duplicate)) < 2:
        raise ValueError(f"to measure a loss of ROC AUC, {name} must hold duplicates and others; give pairs=FILE")
    note = OWN_DEV if _are_dev_pairs(detector, pairs) else UNKNOWN_PAIRS
    return Sample(name, note, part, detector.vectorizer.encode(part.questions))


def _are_dev_pairs(detector: Detector, pairs: QuestionPairs) -> bool:
    """Whether the similarities of both classes are, in any order, the dev scores that training kept."""
    dev = detector.dev
    if dev is None or len(dev) != len(pairs) or dev.duplicate.sum() != pairs.duplicate.sum():
        return False
    own = DevScores(detector.score(pairs), pairs.duplicate)
    return all(
        np.allclose(own.similarity[own.duplicate == kind], dev.similarity[dev.duplicate == kind], 0, TOLERANCE)
        for kind in (True, False)
    )
