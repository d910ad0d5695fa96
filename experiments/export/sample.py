"""Sample: which detector is exported, and the labelled pairs on which its export is measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from experiments.settings import CONF
from siamese import newest
from siamese.data import sources
from siamese.data.files import read_pair_file
from siamese.data.pairs import QuestionPairs
from siamese.detector import Detector
from siamese.export import runners
from siamese.export.agreement import TOLERANCE
from siamese.light.network import LightNetwork
from siamese.text.vectorizer import TokenIds

SHIPPED = "corpus"
OWN_DEV = "The network was not trained on them, but its epoch and its threshold were chosen on them."
UNKNOWN_PAIRS = "Whether the network was trained on any of them is not known."


@dataclass(frozen=True)
class Sample:
    """Labelled pairs to measure on.

    Attributes:
        name: where they come from.
        note: whether the network knows them.
        pairs: duplicates and others.
        token_ids: of their questions.
    """

    name: str
    note: str
    pairs: QuestionPairs
    token_ids: TokenIds

    def described(self) -> dict[str, Any]:
        """What is to be said of it."""
        duplicates = int(self.pairs.duplicate.sum())
        return {"name": self.name, "note": self.note, "pairs": len(self.pairs), "duplicates": duplicates}

    def arguments(self, part: str, most: int | None = None) -> list[list[np.ndarray]]:
        """Batches for a runner, of at most so many questions for a tower, pairs for a network."""
        rows = [np.arange(len(self.token_ids))] if part == "tower" else [self.pairs.left, self.pairs.right]
        return runners.batches(self.token_ids, *(each[:most] for each in rows))

    def outputs(self, network: LightNetwork) -> dict[str, np.ndarray]:
        """What each part of the network gives: embeddings of the questions, similarities of the pairs."""
        embeddings = network.encode(self.token_ids)
        similarity = network.similarity(embeddings[self.pairs.left], embeddings[self.pairs.right])
        return {"tower": embeddings, "network": similarity}


def find(wanted: str | None, uri: str, experiment: str) -> tuple[Path, str | None]:
    """The folder of a detector, and the id of the run that left it; None where only the folder is known.

    Args:
        wanted: a folder, a run id, a registry URI, or None for the detector that was trained last.
        uri, experiment: of the tracking store.
    """
    if wanted is not None and Path(wanted).expanduser().is_dir():
        return _detector_folder(Path(wanted).expanduser()), None
    noted = newest.find(uri) if wanted is None else None
    if noted is not None:
        return _detector_folder(noted[1]), noted[0]
    from siamese import model_store, tracking  # they start MLflow, which takes seconds
    from siamese.model_folder import model_folder

    tracking.connect(uri, experiment)
    place = model_folder(wanted or model_store.newest_run().info.run_id)
    return _detector_folder(place), yaml.safe_load((place / "MLmodel").read_text(encoding="utf-8"))["run_id"]


def labelled_pairs(settings: dict[str, Any], run_id: str | None) -> tuple[str, QuestionPairs]:
    """Pairs to measure on, behind their name: those of a file, the run's own dev pairs, or shipped ones."""
    if settings["pairs"] not in (None, SHIPPED):
        columns = settings["left"], settings["right"], settings["label"]
        left, right, label, _ = read_pair_file(settings["pairs"], *columns, "error")
        return Path(settings["pairs"]).name, QuestionPairs.from_texts(left, right, label)
    if run_id is not None and settings["pairs"] is None:
        from siamese import tracking
        from siamese.tracking.queries import predictions

        tracking.connect(settings["tracking.uri"], settings["tracking.experiment"])
        dev = predictions(run_id, "dev")
        return f"dev of run {run_id}", QuestionPairs.from_texts(dev["question1"], dev["question2"], dev["label"])
    config = yaml.safe_load((CONF / "data" / f"{SHIPPED}.yaml").read_text(encoding="utf-8"))
    shipped = sources.corpus(**{name: value for name, value in config.items() if not name.startswith("_")})
    return f"dev of {shipped.name}, which ships with the project", shipped.dev


def draw(detector: Detector, name: str, pairs: QuestionPairs, most: int) -> Sample:
    """At most so many of the pairs, and whether they are those that the detector's threshold was chosen on.

    Raises:
        ValueError: all pairs are duplicates, or none is.
    """
    if len(pairs) > most:
        rows = np.sort(np.random.default_rng(0).permutation(len(pairs))[:most])
        part, name = pairs.take(rows), f"{most:,} of the {len(pairs):,} pairs of {name}"
    else:
        part = pairs
    if len(np.unique(part.duplicate)) < 2:
        raise ValueError(f"to measure a loss of ROC AUC, {name} must hold duplicates and others; give pairs=FILE")
    note = OWN_DEV if _are_dev_pairs(detector, pairs) else UNKNOWN_PAIRS
    return Sample(name, note, part, detector.vectorizer.encode(part.questions))


def _are_dev_pairs(detector: Detector, pairs: QuestionPairs) -> bool:
    """Whether the similarities of duplicates, and those of the others, are the ones that training kept (in any order)."""
    dev = detector.dev
    if dev is None or len(dev) != len(pairs) or dev.duplicate.sum() != pairs.duplicate.sum():
        return False
    scores = detector.score(pairs)
    return all(
        np.allclose(
            np.sort(scores[pairs.duplicate == kind]), np.sort(dev.similarity[dev.duplicate == kind]), 0, TOLERANCE
        )
        for kind in (True, False)
    )


def _detector_folder(place: Path) -> Path:
    inside = place / "artifacts" / "detector"
    return inside if inside.is_dir() else place
