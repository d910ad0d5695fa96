"""Detector: what a trained run leaves behind. Text in, similarity and verdict out, without TensorFlow.

A folder of plain files: `light.json` and `light.npz` (the network that answers), `vectorizer.json` (or, or also, `encoder.json`,
which names a sentence encoder, its files in `encoder/` unless a package holds them, and perhaps a `lexicon/`), `detector.json`
(format version, threshold, temperature, offset) and `dev_scores.npz` (the scores of dev, for other thresholds). Training
adds `network.keras` for users of Keras. A network with layers that NumPy does not know answers through Keras: then
`detector.json` says so, and `network.keras` takes the place of the first two. Loading a folder runs no code of it, and
`siamese.saved_detector` says what its checksums are for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese import saved_detector
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.questions import distinct_questions, question_list
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores
from siamese.evaluation.verdicts import Verdicts
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import Runtime
from siamese.pretrained import encoders
from siamese.pretrained.encoders import Encoder
from siamese.pretrained.joined import AnyVectorizer
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text.inputs import Coverage

if TYPE_CHECKING:
    import keras

    from siamese.evaluation.report import Report


@dataclass(eq=False, repr=False)
class Detector:
    """A trained network with the vectorizer it was trained with and the calibration chosen on dev.

    >>> detector = Detector.load("tests/fixtures/detector_format_5")
    >>> pairs = [("How do I pay my bill?", "Where can I pay the bill?"), ("I lost my card", "How do I cook rice?")]
    >>> detector.similarity(pairs).round(2)
    array([0.99, 0.06], dtype=float32)
    >>> detector.is_duplicate(pairs)
    array([ True, False])

    Attributes:
        network: token ids -> embeddings and similarities.
        vectorizer: texts -> token ids, an encoder's vectors, or both.
        calibration: similarity -> verdict and probability.
        dev: the scores that the calibration was chosen on; None if they were not kept.
        model: which model it is, for those who read its answers; "" if it was not found by a name.
    """

    network: Runtime
    vectorizer: AnyVectorizer
    calibration: Calibration
    dev: DevScores | None = None
    model: str = ""

    @classmethod
    def from_network(
        cls, network: "keras.Model", vectorizer: AnyVectorizer, calibration: Calibration, dev: DevScores | None = None
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

        >>> Detector.load("tests/fixtures/detector_format_5").encode(["How do I pay my bill?", "rice"]).shape
        (2, 8)
        """
        return self.network.encode(self.vectorizer.encode(question_list(questions)))

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Similarities `float32[pairs]` in [0, 1]; each distinct question is encoded once.

        Raises:
            ValueError: a pair is not two values, or one is not a question; its place is named.
        """
        index, texts = distinct_questions(pairs)
        return self.network.score(self.vectorizer.encode(texts), *index.T)

    def verdicts(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        """All that is said about pairs, how much of their questions was read included; errors as in `similarity`.

        >>> detector = Detector.load("tests/fixtures/detector_format_5")
        >>> detector.verdicts([("How do I pay my bill?", "Wie zahle ich die Rechnung?")]).known_words
        array([[1., 0.]])
        """
        index, texts = distinct_questions(pairs)
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

        >>> Detector.load("tests/fixtures/detector_format_5").probability(np.array([0.5, 0.9, 0.99])).round(2)
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

        >>> detector = Detector.load("tests/fixtures/detector_format_5")
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

        >>> print(Detector.load("tests/fixtures/detector_format_5").at("recall@0.5").threshold_note())
        threshold=recall@0.5: 0.929994, at 20 % duplicates precision 0.7647, recall 0.5417 (120 dev pairs, false alarms: 4 of 96)
        """
        return self.calibration.note(self.dev)

    def save(self, folder: str | Path, network: "keras.Model | None" = None) -> None:
        """Write the folder, whole or not at all; a detector that is there already is replaced.

        Args:
            folder: its name; ValueError if it holds something else.
            network: the Keras network, saved beside for users of Keras.
        """
        with saved_detector.writing(Path(folder), self.network.name, self.calibration, self.dev) as new:
            self.network.save(new)
            if network is not None:
                from siamese.inference.from_keras import save_keras  # brings in TensorFlow, which only training has

                save_keras(network, new)
            self.vectorizer.save(new)

    @classmethod
    def load(cls, source: str | Path) -> "Detector":
        """Read what training or `save` wrote; warns if the format is an older one, without checksums.

        >>> Detector.load("tests/fixtures/detector_format_5").calibration.criterion
        'best_accuracy'

        Args:
            source: its folder, or that of an MLflow model with a detector; for a run or URI see `registry.locate.load`.

        Raises:
            ValueError: there is no detector of this format, a file of it is not whole or out of its range, its files do not
                fit together, or its layers are not imported.
        """
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; for a run or a registry URI use siamese.registry.locate.load")
        found = saved_detector.read(saved_detector.detector_folder(folder))
        return cls(found.network, found.vectorizer, found.calibration, found.dev)
