"""Detector: what a trained run leaves behind. Text in, similarity and verdict out, without TensorFlow.

A folder of plain files: `light.json` and `light.npz` (the network that answers), `vectorizer.json` (or `encoder.json`,
which names a sentence encoder, its files in `encoder/` unless a package holds them, and perhaps a `lexicon/`), `detector.json`
(format version, threshold, temperature, offset) and `dev_scores.npz` (the scores of dev, for other thresholds). Training
adds `network.keras` for users of Keras. A network with layers that NumPy does not know answers through Keras: then
`detector.json` says so, and `network.keras` takes the place of the first two. Loading a folder runs no code of it.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese.data.folders import atomic_folder
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.questions import pair_list, question_list
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import FILES, Runtime, load_network
from siamese.pretrained import encoders
from siamese.pretrained.encoders import Encoder
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text import vectorizer as words
from siamese.text.inputs import Coverage, as_shares
from siamese.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    import keras

    from siamese.evaluation.report import Report

FORMAT_VERSION = 4
WITHOUT_ENCODER = 3  # what detectors with a vectorizer of their own are still written as
OLDEST_FORMAT = 2  # without dev scores: its threshold cannot be chosen anew
DEV_SCORES = "dev_scores.npz"
CRITERION_ON_DISK = "purpose"  # of Calibration's field, in detector.json


@dataclass(eq=False, repr=False)
class Detector:
    """A trained network with the vectorizer it was trained with and the calibration chosen on dev.

    >>> detector = Detector.load("tests/fixtures/detector_format_3")
    >>> pairs = [("How do I pay my bill?", "Where can I pay the bill?"), ("I lost my card", "How do I cook rice?")]
    >>> detector.similarity(pairs).round(2)
    array([0.99, 0.06], dtype=float32)
    >>> detector.is_duplicate(pairs)
    array([ True, False])

    Attributes:
        network: token ids -> embeddings and similarities.
        vectorizer: texts -> token ids, or an encoder's vectors.
        calibration: similarity -> verdict and probability.
        dev: the scores that the calibration was chosen on; None if they were not kept.
        model: which model it is, for those who read its answers; "" if it was not found by a name.
    """

    network: Runtime
    vectorizer: Vectorizer | EncoderVectorizer
    calibration: Calibration
    dev: DevScores | None = None
    model: str = ""

    @classmethod
    def from_network(
        cls, network: "keras.Model", vectorizer: Vectorizer, calibration: Calibration, dev: DevScores | None = None
    ) -> "Detector":
        """The detector of a trained Keras network; its weights are copied, unless it answers through Keras."""
        from siamese.inference.keras_network import choose_runtime

        runtime, _ = choose_runtime(network)
        return cls(runtime(network), vectorizer, calibration, dev)

    @classmethod
    def from_encoder(cls, encoder: str | Encoder) -> "Detector":
        """The detector of a sentence encoder alone, without any training: the cosine similarity of its vectors.

        A ready encoder comes with a calibration on the shipped questions. Of others the probability is the similarity
        itself, and the threshold is NaN, which no similarity reaches: `at` sets one.

        Args:
            encoder: as `siamese.pretrained.encoders.find` takes it, or an encoder itself.

        Raises:
            ValueError: there is none, or it is not installed.
        """
        if isinstance(encoder, str):
            if encoder in encoders.READY:
                return cls.load(encoders.UNTRAINED / encoder)
            encoder = encoders.find(encoder)
        vectors = {"layer": "Vectors", "name": "vectors", "inputs": [], "config": {"width": encoder.dimension}}
        network = NumpyNetwork({"tower": [vectors], "similarity": {"layer": "Cosine", "config": {}}}, {})
        return cls(network, EncoderVectorizer(encoder), Calibration(math.nan, temperature=1.0, offset=0.0))

    @classmethod
    def train(cls, splits: PairSplits, **choices: Any) -> "Detector":
        """Train a network on the training pairs, and choose its epoch, threshold and calibration on dev.

        Test is not read, and nothing is tracked; `experiments.train` tracks the same pipeline. Warns if the network has to
        answer through Keras.

        Args:
            splits: from `pair_file`, `corpus` and the other functions of `siamese.data.sources`.
            choices: seed, epochs, tower, loss and all else that `siamese.training.pipeline` takes, by default as in
                conf/config.yaml.

        Raises:
            ValueError: a choice is out of its range.
        """
        from siamese.training.pipeline import train

        trained = train(replace(splits, test=None), **choices)
        return cls(trained.network, trained.vectorizer, trained.calibration, trained.reports["dev"].scores())

    def encode(self, questions: Sequence[str]) -> np.ndarray:
        """Embeddings `float32[questions, dimension]` of texts.

        Raises:
            ValueError: one text instead of a list, or a value is not a question, whose place is named.

        >>> Detector.load("tests/fixtures/detector_format_3").encode(["How do I pay my bill?", "rice"]).shape
        (2, 8)
        """
        return self.network.encode(self.vectorizer.encode(question_list(questions)))

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Similarities `float32[pairs]` in [0, 1]; each distinct question is encoded once.

        Raises:
            ValueError: a pair is not two values, or one is not a question; its place is named.
        """
        index, texts = _distinct(pairs)
        return self.network.score(self.vectorizer.encode(texts), *index.T)

    def verdicts(self, pairs: Sequence[tuple[str, str]]) -> "Verdicts":
        """All that is said about pairs, how much of their questions was read included; errors as in `similarity`.

        >>> detector = Detector.load("tests/fixtures/detector_format_3")
        >>> detector.verdicts([("How do I pay my bill?", "Wie zahle ich die Rechnung?")]).known_words
        array([[1., 0.]])
        """
        index, texts = _distinct(pairs)
        inputs, coverage = self.vectorizer.read(texts)
        similarity = self.network.score(inputs, *index.T)
        duplicate, probability = self.calibration.duplicate(similarity), self.probability(similarity)
        return Verdicts(similarity, probability, duplicate, coverage.known_words[index], coverage.cut[index])

    def coverage(self, questions: Sequence[str]) -> Coverage:
        """How much of each question is read: the share of its words that the vocabulary knows, and whether it is cut."""
        return self.vectorizer.coverage(questions)

    def score(self, pairs: QuestionPairs) -> np.ndarray:
        """Similarities `float32[pairs]` of a table of pairs."""
        return self.network.score(self.vectorizer.encode(pairs.questions), pairs.left, pairs.right)

    def evaluate(self, pairs: QuestionPairs, seed: int = 0, bootstrap_repeats: int = 1000) -> "Report":
        """Metrics with 95 % intervals, and the verdict on each pair, at the detector's threshold.

        Args:
            pairs: labeled ones, that neither training nor the choice of the threshold has seen.
            seed, bootstrap_repeats: of the bootstrap; 0 resamples for no intervals.
        """
        from siamese.evaluation.report import report  # brings in pandas

        return report(pairs, self.score(pairs), self.calibration, seed, bootstrap_repeats)

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """Calibrated probabilities `float64[pairs]` of "duplicate" that belong to similarities.

        >>> Detector.load("tests/fixtures/detector_format_3").probability(np.array([0.5, 0.9, 0.99])).round(2)
        array([0.19, 0.51, 0.84])
        """
        return self.calibration.probability(similarity)

    def is_duplicate(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Verdicts `bool[pairs]` at the detector's threshold; errors as in `similarity`."""
        return self.calibration.duplicate(self.similarity(pairs))

    def at(self, threshold: str | float | None = None, prior: float | None = None) -> "Detector":
        """The same network with its threshold and probabilities for another criterion or another share of duplicates.

        Nothing is retrained: the threshold is chosen on the dev scores that training kept.

        Args:
            threshold: "best_accuracy", "best_f1", "precision@0.95", "recall@0.9" (any share), or a number in
                [0, 1]; None keeps what the threshold was chosen for.
            prior: the share of duplicates in use, such as 0.01; None keeps it (after training that of dev).

        Raises:
            ValueError: no threshold on dev serves the criterion, or no dev scores were kept.

        >>> detector = Detector.load("tests/fixtures/detector_format_3")
        >>> careful = detector.at("precision@0.95")
        >>> careful.calibration.threshold > detector.calibration.threshold
        True
        >>> pairs = [("How do I pay my bill?", "Where can I pay the bill?")]
        >>> detector.is_duplicate(pairs), careful.is_duplicate(pairs)
        (array([ True]), array([False]))
        """
        if threshold is None and prior is None:
            return self
        return replace(self, calibration=self.calibration.at(self.dev, threshold, prior))

    def threshold_note(self) -> str:
        """What the threshold was chosen for and how it did on dev, in a line for the user.

        >>> print(Detector.load("tests/fixtures/detector_format_3").at("recall@0.5").threshold_note())
        threshold=recall@0.5: 0.929994, at 20 % duplicates precision 0.7647, recall 0.5417 (120 dev pairs, false alarms: 4 of 96)
        """
        return self.calibration.note(self.dev)

    def save(self, folder: str | Path, network: "keras.Model | None" = None) -> None:
        """Write the folder, whole or not at all; a detector that is there already is replaced.

        Args:
            folder: its name; ValueError if it holds something else.
            network: the Keras network, saved beside for users of Keras.
        """
        fields = asdict(self.calibration).items()
        calibration = {CRITERION_ON_DISK if name == "criterion" else name: value for name, value in fields}
        version = WITHOUT_ENCODER if isinstance(self.vectorizer, Vectorizer) else FORMAT_VERSION
        state: dict[str, Any] = {"format_version": version, "runtime": self.network.name}
        state |= {"calibration": calibration, "dev": None}
        with atomic_folder(Path(folder), lambda old: (old / "detector.json").is_file()) as new:
            self.network.save(new)
            if network is not None:
                from siamese.inference.from_keras import save_keras  # brings in TensorFlow, which only training has

                save_keras(network, new)
            self.vectorizer.save(new)
            if self.dev is not None:
                state["dev"] = self.dev.counts()
                self.dev.save(new / DEV_SCORES)
            (new / "detector.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, source: str | Path) -> "Detector":
        """Read what training or `save` wrote.

        >>> Detector.load("tests/fixtures/detector_format_3").calibration.criterion
        'best_accuracy'

        Args:
            source: its folder, or that of an MLflow model with a detector; for a run or URI see `registry.locate.load`.

        Raises:
            ValueError: there is no detector of this format, its files do not fit together, or its layers are not imported.
        """
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; for a run or a registry URI use siamese.registry.locate.load")
        folder = detector_folder(folder)
        runtime, calibration, dev = _read_state(folder)
        vectorizer: Vectorizer | EncoderVectorizer
        if (folder / encoders.FILE).is_file():
            vectorizer = EncoderVectorizer.load(folder)
        else:
            vectorizer = Vectorizer.from_json((folder / words.FILE).read_text(encoding="utf-8"))
        network = load_network(runtime, folder)
        if vectorizer.size != network.vocabulary:
            raise ValueError(
                f"the files of {folder} do not belong together: the vectorizer has {vectorizer.size} token ids, "
                f"but the network {network.vocabulary}"
            )
        return cls(network, vectorizer, calibration, dev)


@dataclass(frozen=True)
class Verdicts:
    """What a detector says about pairs.

    Attributes:
        similarity: `float32[pairs]` in [0, 1].
        probability: `float64[pairs]` in [0, 1], that they ask the same.
        duplicate: `bool[pairs]`, at the detector's threshold.
        known_words: `float64[pairs, 2]` in [0, 1], the share of the words of each question that the vocabulary knows, see
            `Vectorizer.read`; NaN where an encoder does not tell. Under half the verdict is a guess.
        cut: `bool[pairs, 2]`, whether each question has more tokens than are read.
    """

    similarity: np.ndarray
    probability: np.ndarray
    duplicate: np.ndarray
    known_words: np.ndarray
    cut: np.ndarray

    def columns(self) -> dict[str, list[Any]]:
        """The values by name, a list each, as all programs write them.

        `cut` is the number of questions of the pair that were cut; what is unknown is None.
        """
        return {
            "similarity": self.similarity.tolist(),
            "probability": self.probability.tolist(),
            "duplicate": self.duplicate.tolist(),
            "known_words1": as_shares(self.known_words[:, 0]),
            "known_words2": as_shares(self.known_words[:, 1]),
            "cut": self.cut.sum(axis=1).tolist(),
        }


def _distinct(pairs: Sequence[tuple[str, str]]) -> tuple[np.ndarray, list[str]]:
    """The positions `int64[pairs, 2]` of the questions of pairs among their distinct texts, and these."""
    position: dict[str, int] = {}
    index = [[position.setdefault(text, len(position)) for text in pair] for pair in pair_list(pairs)]
    return np.array(index, np.int64).reshape(-1, 2), list(position)


def detector_folder(folder: Path) -> Path:
    """The detector's own folder: `folder` itself, or the one inside an MLflow model that keeps a detector."""
    inside = folder / "artifacts" / "detector"
    return inside if inside.is_dir() else folder


def _read_state(folder: Path) -> tuple[str, Calibration, DevScores | None]:
    """Runtime, calibration and dev scores of a detector's folder, if its format can be read and no file is missing."""
    if not (folder / "detector.json").is_file():
        raise ValueError(f"{folder} is not a saved detector: it has no detector.json")
    try:
        state = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        version = state["format_version"]
        # the format comes first: another one may have other files
        if not OLDEST_FORMAT <= version <= FORMAT_VERSION:
            remedy = "use a newer version of the project" if version > FORMAT_VERSION else "train again"
            raise ValueError(
                f"{folder} has format {version}, this program reads formats {OLDEST_FORMAT} to {FORMAT_VERSION}; {remedy}"
            )
        runtime = state.get("runtime", "numpy")
        files = (words.FILE if version <= WITHOUT_ENCODER else encoders.FILE, *FILES[runtime])
        fields = state["calibration"].items()
        calibration = Calibration(**{"criterion" if key == CRITERION_ON_DISK else key: value for key, value in fields})
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as problem:
        raise ValueError(f"{folder / 'detector.json'} holds no calibration: {problem!r}") from None
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} is not a saved detector: it has no {', '.join(missing)}")
    counts = state.get("dev")
    dev = None if counts is None else DevScores.load(folder / DEV_SCORES)
    if dev is not None and dev.counts() != counts:
        raise ValueError(
            f"the files of {folder} do not belong together: detector.json counts {counts}, {DEV_SCORES} {dev.counts()}"
        )
    return runtime, calibration, dev
