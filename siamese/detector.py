"""Detector: what a trained run leaves behind. Text in, similarity and verdict out, without TensorFlow.

A folder of plain files: `light.json` and `light.npz` (the network that answers), `vectorizer.json`,
`detector.json` (format version, threshold, temperature, offset) and `dev_scores.npz` (what dev's pairs scored,
so that a threshold can be chosen for another criterion later). Training adds `network.keras` for those who go on
in Keras. A network with layers that NumPy does not know answers through Keras: then `detector.json` says so, and
`network.keras` takes the place of the first two. Nothing in the folder is code, and loading runs none.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese.data.folders import atomic_folder
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores, parse_criterion
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import FILES, Runtime, load_network
from siamese.text.vectorizer import Vectorizer

if TYPE_CHECKING:
    import keras

    from siamese.data.pairs import PairSplits
    from siamese.evaluation.report import Report

FORMAT_VERSION = 3
OLDEST_FORMAT = 2  # without dev scores: its threshold cannot be chosen anew
DEV_SCORES = "dev_scores.npz"
NAME_ON_DISK = {"criterion": "purpose"}  # of a field of Calibration; the name in detector.json since format 3


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
        vectorizer: texts -> token ids.
        calibration: similarity -> verdict and probability.
        dev: the scores that the calibration was chosen on; None if they were not kept.
    """

    def __init__(
        self, network: Runtime, vectorizer: Vectorizer, calibration: Calibration, dev: DevScores | None = None
    ):
        self.network = network
        self.vectorizer = vectorizer
        self.calibration = calibration
        self.dev = dev

    @classmethod
    def from_network(
        cls, network: "keras.Model", vectorizer: Vectorizer, calibration: Calibration, dev: DevScores | None = None
    ) -> "Detector":
        """The detector that a trained Keras network makes.

        It has a copy of the weights, unless it answers through Keras: then the network is its own from now on.
        """
        import siamese.model.quiet_tensorflow  # noqa: F401
        from siamese.inference.keras_network import choose_runtime

        runtime, _ = choose_runtime(network)
        return cls(runtime(network), vectorizer, calibration, dev)

    @classmethod
    def train(cls, splits: "PairSplits", **choices: Any) -> "Detector":
        """Train a network on the training pairs, and choose its epoch, threshold and calibration on dev.

        Test is not read; `evaluate` measures on it. Nothing is tracked: for that there is `experiments.train`, which
        runs the same pipeline. A note is warned of where the network has to answer through Keras.

        Args:
            splits: from `pair_file`, `corpus` and the other functions of `siamese.data.sources`.
            choices: seed, epochs, batch_size, tower, similarity, loss and whatever else `siamese.training.pipeline`
                takes; what is left out is as in conf/config.yaml.

        Raises:
            ValueError: a choice is out of its range.
        """
        import siamese.model.quiet_tensorflow  # noqa: F401
        from siamese.training.pipeline import train

        trained = train(replace(splits, test=None), **choices)
        return cls(trained.network, trained.vectorizer, trained.calibration, trained.reports["dev"].scores())

    def encode(self, questions: Sequence[str]) -> np.ndarray:
        """Embeddings `float32[questions, dimension]` of texts.

        >>> Detector.load("tests/fixtures/detector_format_3").encode(["How do I pay my bill?", "rice"]).shape
        (2, 8)
        """
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

    def evaluate(self, pairs: QuestionPairs, seed: int = 0, bootstrap_repeats: int = 1000) -> "Report":
        """Metrics with 95 % intervals, and the verdict on each pair, at the detector's threshold.

        Args:
            pairs: labelled ones, that neither training nor the choice of the threshold has seen.
            seed: of the bootstrap.
            bootstrap_repeats: resamples for the intervals; 0 for no intervals.
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
        """Verdicts `bool[pairs]` at the detector's threshold."""
        return self.calibration.duplicate(self.similarity(pairs))

    def at(self, threshold: str | float | None = None, prior: float | None = None) -> "Detector":
        """The same network with its threshold and probabilities for another criterion or another share of duplicates.

        It answers, and can be saved, as any other detector. Nothing is retrained: the threshold is chosen on
        the dev scores that training left.

        Args:
            threshold: "best_accuracy", "best_f1", "precision@0.95", "recall@0.9" (any share), or a number in
                [0, 1]; None keeps what the threshold was chosen for.
            prior: the share of duplicates among the pairs that will be asked, such as 0.01; None keeps it
                (after training that of dev).

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
        if self.dev is not None:
            calibration = self.calibration.at(self.dev, threshold, prior)
        elif prior is None and threshold is not None and parse_criterion(threshold)[0] == "number":
            given = float(threshold)
            calibration = replace(self.calibration, threshold=given, criterion=str(given), precision=None, recall=None)
        else:
            raise ValueError(
                f"this detector was saved without dev scores, so that threshold={threshold}, prior={prior} cannot be "
                "worked out; give the threshold as a number, or train again"
            )
        return Detector(self.network, self.vectorizer, calibration, self.dev)

    def threshold_note(self) -> str:
        """What the threshold was chosen for and how it did on dev, in a line for the user.

        >>> print(Detector.load("tests/fixtures/detector_format_3").at("recall@0.5").threshold_note())
        threshold=recall@0.5: 0.929994, at 20 % duplicates precision 0.7647, recall 0.5417 (120 dev pairs, false alarms: 4 of 96)
        """
        chosen = self.calibration
        note = f"threshold={chosen.criterion}: {chosen.threshold:.6g}"
        if self.dev is None or chosen.prior is None:
            return note
        alarms = chosen.duplicate(self.dev.similarity[~self.dev.duplicate])
        return (
            f"{note}, at {100 * chosen.prior:.3g} % duplicates precision {chosen.precision:.4f}, recall "
            f"{chosen.recall:.4f} ({len(self.dev):,} dev pairs, false alarms: {alarms.sum():,} of {len(alarms):,})"
        )

    def save(self, folder: str | Path) -> None:
        """Write the folder, whole or not at all; a detector that is there already is replaced.

        Raises:
            ValueError: the folder holds something else.
        """
        calibration = {NAME_ON_DISK.get(name, name): value for name, value in asdict(self.calibration).items()}
        state: dict[str, Any] = {"format_version": FORMAT_VERSION, "runtime": self.network.name}
        state |= {"calibration": calibration, "dev": None}
        with atomic_folder(Path(folder), lambda old: (old / "detector.json").is_file()) as new:
            self.network.save(new)
            (new / "vectorizer.json").write_text(self.vectorizer.to_json(), encoding="utf-8")
            if self.dev is not None:
                state["dev"] = {"pairs": len(self.dev), "duplicates": int(self.dev.duplicate.sum())}
                np.savez(new / DEV_SCORES, similarity=self.dev.similarity, duplicate=self.dev.duplicate)
            (new / "detector.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, source: str | Path) -> "Detector":
        """Read a detector that training left or `save` wrote.

        >>> Detector.load("tests/fixtures/detector_format_3").calibration.criterion
        'best_accuracy'

        Args:
            source: a folder that `save` wrote, or that of an MLflow model that keeps one. For a run id or a registry
                URI see `siamese.registry.locate.load`.

        Raises:
            ValueError: the folder is not there, is no detector, is of another format, its files do not fit together,
                or it has layers of a module that is not imported.
        """
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; for a run or a registry URI use siamese.registry.locate.load")
        folder = detector_folder(folder)
        runtime, calibration, dev = _read_state(folder)
        vectorizer = Vectorizer.from_json((folder / "vectorizer.json").read_text(encoding="utf-8"))
        network = load_network(runtime, folder)
        if vectorizer.size != network.vocabulary:
            raise ValueError(
                f"the files of {folder} do not belong together: the vectorizer has {vectorizer.size} token ids, "
                f"but the network {network.vocabulary}"
            )
        return cls(network, vectorizer, calibration, dev)


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
        runtime = state.get("runtime", NumpyNetwork.name)
        files = ("vectorizer.json", *FILES[runtime])
        in_memory = {on_disk: name for name, on_disk in NAME_ON_DISK.items()}
        calibration = Calibration(**{in_memory.get(name, name): value for name, value in state["calibration"].items()})
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as problem:
        raise ValueError(f"{folder / 'detector.json'} holds no calibration: {problem!r}") from None
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} is not a saved detector: it has no {', '.join(missing)}")
    return runtime, calibration, _read_dev_scores(folder, state.get("dev"))


def _read_dev_scores(folder: Path, counts: dict[str, Any] | None) -> DevScores | None:
    """The scores of as many dev pairs as `detector.json` counts."""
    if counts is None:
        return None
    try:
        with np.load(folder / DEV_SCORES, allow_pickle=False) as file:
            dev = DevScores(file["similarity"], file["duplicate"])
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise ValueError(f"{folder / DEV_SCORES} holds no dev scores: {problem}") from None
    found = {"pairs": len(dev), "duplicates": int(dev.duplicate.sum())}
    if found != counts:
        raise ValueError(
            f"the files of {folder} do not belong together: detector.json counts {counts}, {DEV_SCORES} {found}"
        )
    return dev
