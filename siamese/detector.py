"""Detector: what a trained run leaves behind. Text in, similarity and verdict out.

A folder of plain files: `network.keras` (architecture and weights), `vectorizer.json`, `detector.json`
(format version, threshold, temperature, offset). Nothing in it is code, and loading runs none.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

import siamese.model.similarity  # registers the similarities, which a saved network names
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.scoring import Scorer
from siamese.text.vectorizer import Vectorizer

FORMAT_VERSION = 1
OWN_CLASSES = frozenset(name for name, value in vars(siamese.model.similarity).items() if isinstance(value, type))


class Detector:
    """A trained network with the vectorizer it was trained with and the calibration chosen on dev."""

    def __init__(self, network: keras.Model, vectorizer: Vectorizer, calibration: Calibration):
        self.network = network
        self.vectorizer = vectorizer
        self.calibration = calibration
        self._scorer = Scorer(network)

    def encode(self, questions: Sequence[str]) -> np.ndarray:
        """Embeddings `float32[questions, dimension]` of texts."""
        return self._scorer.encode(self.vectorizer.encode(questions))

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Similarities `float32[pairs]` in [0, 1]; each distinct question is encoded once."""
        position: dict[str, int] = {}
        index = np.array([[position.setdefault(text, len(position)) for text in pair] for pair in pairs], np.int64)
        left, right = index.reshape(-1, 2).T
        return self._scorer.similarity(self.encode(list(position)), left, right)

    def score(self, pairs: QuestionPairs) -> np.ndarray:
        """Similarities `float32[pairs]` of a table of pairs."""
        return self._scorer.score(self.vectorizer.encode(pairs.questions), pairs)

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """Calibrated probabilities `float64[pairs]` of "duplicate" that belong to similarities."""
        return self.calibration.probability(similarity)

    def is_duplicate(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Verdicts `bool[pairs]` at the stored threshold."""
        return self.calibration.duplicate(self.similarity(pairs))

    def save(self, folder: Path) -> None:
        """Write the folder; it is made if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        # without the compiled state: the optimizer's slots would triple the file
        keras.Model(self.network.inputs, self.network.outputs, name=self.network.name).save(folder / "network.keras")
        (folder / "vectorizer.json").write_text(self.vectorizer.to_json(), encoding="utf-8")
        state = {"format_version": FORMAT_VERSION, "calibration": asdict(self.calibration)}
        (folder / "detector.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Detector":
        """Read a folder that `save` wrote.

        Raises:
            ValueError: the folder is no detector, is of a newer format, or its network names classes
                other than Keras' and this project's.
        """
        missing = [
            name for name in ("detector.json", "vectorizer.json", "network.keras") if not (folder / name).is_file()
        ]
        if missing:
            raise ValueError(f"{folder} is not a saved detector: it has no {', '.join(missing)}")
        state = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        if state["format_version"] > FORMAT_VERSION:
            raise ValueError(
                f"{folder} has format {state['format_version']}, this program reads up to {FORMAT_VERSION}; "
                "use a newer version of the project"
            )
        _refuse_foreign_classes(folder / "network.keras")
        network = keras.saving.load_model(folder / "network.keras", compile=False, safe_mode=True)
        vectorizer = Vectorizer.from_json((folder / "vectorizer.json").read_text(encoding="utf-8"))
        return cls(network, vectorizer, Calibration(**state["calibration"]))


def _refuse_foreign_classes(file: Path) -> None:
    """Raise ValueError unless every class that the saved network names is Keras' own or a similarity of this project."""

    def check(node: object) -> None:
        if isinstance(node, dict):
            if "class_name" in node:
                module, name = node.get("module"), node["class_name"]
                own = (node.get("registered_name") or "").startswith("siamese>") and name in OWN_CLASSES
                keras_own = (
                    module is None or module == "builtins" or module == "keras" or str(module).startswith("keras.")
                )
                if name == "Lambda" or not (own or keras_own):
                    raise ValueError(f"{file} names the class {module}.{name}, which no network of this project has")
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    try:
        with zipfile.ZipFile(file) as archive:
            check(json.loads(archive.read("config.json")))
    except (zipfile.BadZipFile, KeyError) as problem:
        raise ValueError(f"{file} is not a network saved by Keras: {problem}") from None
