"""Detector: what a trained run leaves behind. Text in, similarity and verdict out, without TensorFlow.

A folder of plain files: `light.json` and `light.npz` (the network that answers), `vectorizer.json`,
`detector.json` (format version, threshold, temperature, offset). Training adds `network.keras` for those
who go on in Keras; it is never read here. Nothing in the folder is code, and loading runs none.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.light.network import LightNetwork
from siamese.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 2
FILES = ("detector.json", "vectorizer.json", "light.json", "light.npz")


class Detector:
    """A trained network with the vectorizer it was trained with and the calibration chosen on dev."""

    def __init__(self, network: LightNetwork, vectorizer: Vectorizer, calibration: Calibration):
        self.network = network
        self.vectorizer = vectorizer
        self.calibration = calibration

    @classmethod
    def from_network(cls, network: "keras.Model", vectorizer: Vectorizer, calibration: Calibration) -> "Detector":
        """The detector that a trained Keras network makes, with a copy of its weights."""
        from siamese.light.export import light_network  # brings in TensorFlow, which only training has

        return cls(light_network(network), vectorizer, calibration)

    def encode(self, questions: Sequence[str]) -> np.ndarray:
        """Embeddings `float32[questions, dimension]` of texts."""
        return self.network.encode(self.vectorizer.encode(questions))

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Similarities `float32[pairs]` in [0, 1]; each distinct question is encoded once."""
        position: dict[str, int] = {}
        index = np.array([[position.setdefault(text, len(position)) for text in pair] for pair in pairs], np.int64)
        left, right = index.reshape(-1, 2).T
        return self.network.score(self.vectorizer.encode(list(position)), left, right)

    def score(self, pairs: QuestionPairs) -> np.ndarray:
        """Similarities `float32[pairs]` of a table of pairs."""
        return self.network.score(self.vectorizer.encode(pairs.questions), pairs.left, pairs.right)

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """Calibrated probabilities `float64[pairs]` of "duplicate" that belong to similarities."""
        return self.calibration.probability(similarity)

    def is_duplicate(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Verdicts `bool[pairs]` at the stored threshold."""
        return self.calibration.duplicate(self.similarity(pairs))

    def save(self, folder: Path) -> None:
        """Write the folder; it is made if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        self.network.save(folder)
        (folder / "vectorizer.json").write_text(self.vectorizer.to_json(), encoding="utf-8")
        state = {"format_version": FORMAT_VERSION, "calibration": asdict(self.calibration)}
        (folder / "detector.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Detector":
        """Read a folder that `save` wrote, or the folder of an MLflow model that keeps one.

        Raises:
            ValueError: the folder is no detector, is of another format, or its files do not fit together.
        """
        inside = folder / "artifacts" / "detector"
        folder = inside if inside.is_dir() else folder
        calibration = _read_calibration(folder)
        vectorizer = Vectorizer.from_json((folder / "vectorizer.json").read_text(encoding="utf-8"))
        network = LightNetwork.load(folder)
        if vectorizer.size != network.vocabulary:
            raise ValueError(
                f"the files of {folder} do not belong together: the vectorizer has {vectorizer.size} token ids, "
                f"but the network {network.vocabulary}"
            )
        return cls(network, vectorizer, calibration)


def _read_calibration(folder: Path) -> Calibration:
    """The calibration that a detector's folder holds, if its format is this one's and no file is missing."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if "detector.json" in missing:
        raise ValueError(f"{folder} is not a saved detector: it has no {', '.join(missing)}")
    try:
        state = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        version, calibration = state["format_version"], state.get("calibration")
        # the format comes first: another one may have other files
        if version != FORMAT_VERSION:
            remedy = "use a newer version of the project" if version > FORMAT_VERSION else "train again"
            raise ValueError(f"{folder} has format {version}, this program reads format {FORMAT_VERSION}; {remedy}")
        calibration = Calibration(**calibration)
    except (KeyError, TypeError, json.JSONDecodeError) as problem:
        raise ValueError(f"{folder / 'detector.json'} holds no calibration: {problem!r}") from None
    if missing:
        raise ValueError(f"{folder} is not a saved detector: it has no {', '.join(missing)}")
    return calibration
