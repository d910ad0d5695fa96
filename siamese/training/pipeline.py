"""Pipeline: from labelled pairs to a trained, calibrated network. `Detector.train` and experiments/train.py run it.

The defaults of every argument, here and in what is called, are those of conf/config.yaml.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import siamese.model.quiet_tensorflow  # noqa: F401  # isort: skip (before TensorFlow)
import keras
import numpy as np
import tensorflow as tf

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.splits import require_both_kinds
from siamese.data.weighting import uniform
from siamese.evaluation import report
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import Report
from siamese.inference.from_keras import numpy_network
from siamese.inference.keras_network import choose_runtime
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import Runtime
from siamese.inference.to_keras import copy_tower, same_layers
from siamese.model import towers
from siamese.model.hybrid import with_lexicon, without_lexicon
from siamese.model.joined import width_beside, with_vectors
from siamese.model.linear_map import with_dimension, without_dimension
from siamese.model.losses import BinaryCrossentropy, Loss, Ranking, WeightedSum
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine, Hybrid
from siamese.pretrained import encoders, piece_table
from siamese.pretrained.encoders import NO_ENCODER, Encoder
from siamese.pretrained.joined import AnyVectorizer, JoinedVectorizer
from siamese.pretrained.piece_table import piece_vectors, pieces
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text.inputs import Inputs
from siamese.text.lexicon import Lexicon
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import WordVectors
from siamese.training.auto import BY_DEV, fitted
from siamese.training.beside import Work
from siamese.training.devices import broadcast_from_chief, single
from siamese.training.discriminant import start_head
from siamese.training.loop import Epoch, fit
from siamese.training.optimizers import adam, cosine, sgd
from siamese.training.saved_state import SavedState
from siamese.training.shares import fit_shares

LOSS = WeightedSum(BinaryCrossentropy(), Ranking())
OPTIMIZER = partial(adam, cosine)
ENCODER_SCALE = 3.0
HEAD: dict[str, Any] = {"loss": WeightedSum(BinaryCrossentropy(), Ranking(0.02))}
CHOICES: dict[object, dict[str, Any]] = {  # of a tower, as its file in conf/tower/ has them
    towers.averaging: HEAD | {"optimizer": partial(adam, cosine, learning_rate=0.001)},
    towers.encoder: HEAD | {"optimizer": partial(sgd, cosine, learning_rate=0.1, momentum=0.9)},
}


@dataclass(frozen=True)
class Built:
    """A network that can be trained, with what turns texts into its token ids.

    Attributes:
        vectorizer: texts -> token ids, an encoder's vectors, or both.
        vectors_found: share of the vocabulary whose word vectors came pretrained, in [0, 1].
        network: tower and similarity in Keras, with their first weights.
        runtime: the network -> what answers with its weights, NumPy or Keras; `note` says why Keras, "" for NumPy.
    """

    vectorizer: AnyVectorizer
    vectors_found: float
    network: keras.Model
    runtime: Callable[[keras.Model], Runtime]
    note: str
    _read: dict[QuestionPairs, tuple[Inputs, np.ndarray]] = field(default_factory=dict, repr=False, compare=False)

    def token_ids(self, pairs: QuestionPairs) -> Inputs:
        """What the vectorizer gives for the questions of pairs, each table read once."""
        return self._read_once(pairs)[0]

    def cut(self, pairs: QuestionPairs) -> np.ndarray:
        """Which questions of pairs are longer than the model reads, `bool[questions]`."""
        return self._read_once(pairs)[1]

    def _read_once(self, pairs: QuestionPairs) -> tuple[Inputs, np.ndarray]:
        if pairs not in self._read:
            self._read[pairs] = self.vectorizer.encode_and_cut(pairs.questions)
        return self._read[pairs]


@dataclass(frozen=True)
class Trained:
    """A trained network that answers with the weights of the best epoch, and what was measured.

    Attributes:
        network, vectorizer, calibration: of the detector.
        reports: of dev and, where there is one, of test.
        history: of all epochs.
        discriminant: whether the linear map of a head started as a discriminant.
        shares: of embedding and lexical blocks in a hybrid similarity, otherwise empty.
    """

    network: Runtime
    vectorizer: AnyVectorizer
    calibration: Calibration
    reports: dict[str, Report]
    history: list[Epoch]
    discriminant: bool
    shares: dict[str, float]


def build(
    questions: Sequence[str],
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
    *,
    start: str | Path = "shipped",
    text: Callable[[Sequence[str]], Vectorizer] = pieces,
    vectors: Callable[[Sequence[str], int, int], WordVectors] = piece_vectors,
    tower: Callable[..., keras.Model] = towers.averaging,
    similarity: Callable[[], keras.layers.Layer] = Cosine,
    encoder: Encoder | None = None,
    encoder_scale: float = ENCODER_SCALE,
    dimension: int | None = None,
) -> Built:
    """The network before its first step of training.

    Args:
        questions: the training questions, each once.
        seed: of the first weights.
        strategy: from `siamese.training.devices`; None for one device.
        start: what the first weights come from: the shipped table of word pieces, see `siamese.pretrained.piece_table`, or the
            folder of a table or of a detector. A tower with the same layers as the detector's has its weights, too.
        text: questions -> vectorizer; `pieces` has those of `start`.
        vectors: vocabulary, number of token ids and seed -> the first word vectors; `piece_vectors` has those of `start`.
        tower: word embedding -> a model of `int32[batch, length]` -> `float32[batch, dimension]`, 0 being padding.
        similarity: makes a layer, `float32[batch, dimension]` twice -> `float32[batch]` in [0, 1].
        encoder: a sentence encoder. `siamese.model.towers.encoder` reads its vectors instead of token ids, and `text` and
            `vectors` are not used; any other tower gets them beside its words, see `siamese.model.joined`.
        encoder_scale: what the map of the vectors beside words starts as, times the identity.
        dimension: numbers of an embedding, to which a linear map behind the tower brings it; None for those of the tower.

    Raises:
        ValueError: an argument is out of its range, or the network could not be saved.
    """
    keras.utils.set_random_seed(seed)
    is_head = getattr(tower, "func", tower) is towers.encoder
    if is_head and encoder is None:
        raise ValueError(NO_ENCODER)
    hybrid: Hybrid | None = similarity() if getattr(similarity, "func", similarity) is Hybrid else None
    vectorizer: AnyVectorizer
    scope = (strategy or single()).scope
    if is_head and encoder is not None:
        lexicon = Lexicon.learn(pieces(questions), questions, hybrid.width) if hybrid else None
        vectorizer, found = EncoderVectorizer(encoder, lexicon), 1.0
        with scope():
            own = tower(encoder.dimension, unread=lexicon.rows.shape[1] if lexicon else 0)
    else:
        text = partial(pieces, table=str(start)) if text is pieces else text
        vectors = partial(piece_vectors, table=str(start)) if vectors is piece_vectors else vectors
        vectorizer = words = text(questions)
        lexicon = Lexicon.learn(words, questions, hybrid.width) if hybrid else None
        table = vectors(words.vocabulary, words.size, seed)
        found = table.found
        with scope():
            own = tower(word_embedding(table.matrix, table.trainable, table.weighted, table.pull))
            if encoder is not None:
                vectorizer = JoinedVectorizer(words, EncoderVectorizer(encoder))
                own = with_vectors(own, encoder.dimension, encoder_scale)
    if dimension is not None:
        with scope():
            own = with_dimension(own, dimension)
    of_start = _start_tower(own, start, encoder, is_head)
    with scope():
        whole = with_lexicon(own, hybrid, lexicon.rows) if hybrid and lexicon else own
        network = siamese_network(whole, hybrid or similarity())
    runtime, note = choose_runtime(network)
    return Built(vectorizer, found, network, runtime, "\n".join(filter(None, [note, of_start])))


def _start_tower(tower: keras.Model, start: str | Path, encoder: Encoder | None, is_head: bool) -> str:
    """Give a tower the weights of a detector's folder, if that is the start; a note where its layers are others.

    The weights of a head, and those of a map beside words, fit no vectors but those of their encoder.
    """
    folder = Path(start).expanduser()
    if not folder.is_dir() or piece_table.files_of(folder) == piece_table.FILES:
        return ""
    described = folder / encoders.FILE
    digest = json.loads(described.read_text("utf-8"))["digest"] if described.is_file() else None
    if is_head and encoder is not None and digest not in (None, encoder.digest):
        raise ValueError(f"start: {folder} reads the vectors of another encoder than {encoder.name}")
    saved = NumpyNetwork.load(folder)
    if same_layers(tower, saved):
        copy_tower(tower, saved, same_encoder=encoder is not None and digest == encoder.digest and not is_head)
        return ""
    kinds = ", ".join(step["layer"] for step in saved.description["tower"])
    return f"note: the tower starts at random, as its layers are not those of {folder}: {kinds}"


def train_built(
    built: Built,
    splits: PairSplits,
    seed: int = 0,
    *,
    loss: Loss = LOSS,
    weighting: Callable[[QuestionPairs], np.ndarray] = uniform,
    optimizer: Callable[[int], keras.optimizers.Optimizer] = OPTIMIZER,
    evaluate: Callable[..., tuple[Calibration, dict[str, Report]]] = report.evaluate,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_best: Callable[[Runtime, Calibration, Report], None] | None = None,
    saved: SavedState | None = None,
    discriminant: bool | str = False,
    **training: Any,
) -> Trained:
    """Train a network, keep its best epoch by dev, calibrate it on dev and measure it on dev and test.

    Args:
        built: is changed in place.
        splits: its training pairs are learned from; a test part is read once, at the end.
        seed: of the order of the batches and of the bootstrap.
        loss: label, similarity, matrix and negative -> `float32[batch]`, see `siamese.model.losses`.
        weighting: training pairs -> `float32[pairs]`, how much each counts.
        optimizer: number of training steps -> optimizer.
        evaluate: as `siamese.evaluation.report.evaluate`.
        on_epoch, saved: as in `fit`.
        on_best: called after an epoch that is better than all before, with what answers then, calibrated on dev, and the
            report of dev. It runs in a thread beside the next epoch where the runtime is NumPy's.
        discriminant: whether the linear map of an untrained head starts as one (`siamese.training.discriminant`); "dev":
            where the ROC AUC of dev prefers it, before the first step.
        training: epochs, batch_size, word_dropout, monitor, patience and precision, as `fit` takes them.

    Raises:
        ValueError: discriminant is none of these, or as in `fit`.
    """
    if discriminant not in (True, False, BY_DEV):
        raise ValueError(f"training.discriminant must be true, false, {BY_DEV} or auto, got {discriminant!r}")

    def score(network: Runtime, pairs: QuestionPairs) -> np.ndarray:
        # by what will answer, so that what is reported is what the detector gives, to the bit
        return network.score(built.token_ids(pairs), pairs.left, pairs.right)

    measured: list[tuple[Runtime, Calibration, Report]] = []  # of the last epoch

    def dev_metrics() -> dict[str, float]:
        network = built.runtime(built.network)
        by, only_dev = partial(score, network), {"dev": splits.dev}
        calibration, reports = evaluate(by, only_dev, seed=seed, bootstrap_repeats=0, retrieval=False, probes=False)
        measured[:] = [(network, calibration, reports["dev"])]
        return reports["dev"].metrics

    def tell_best() -> Work:
        if on_best is None:
            return lambda: None
        tell = partial(on_best, *measured[0])
        if built.runtime is numpy_network:  # which copies the weights, so that the next epoch does not change them
            return tell
        tell()
        return lambda: None

    def encode_dev() -> np.ndarray:
        return built.runtime(built.network).encode(built.token_ids(splits.dev))

    def area() -> float:
        return broadcast_from_chief(built.network.distribute_strategy, dev_metrics())["roc_auc"]

    train = splits.train
    weight = weighting(train)
    started = False
    if discriminant:
        tower = without_dimension(without_lexicon(built.network.get_layer("tower")))
        embeddings = built.runtime(siamese_network(tower, Cosine())).encode(built.token_ids(train))
        score_dev = area if discriminant == BY_DEV else None
        started = start_head(tower, embeddings[:, : embeddings.shape[1] - width_beside(tower)], train, score_dev)
    learned = (train, built.token_ids(train), weight, seed)
    history = fit(built.network, loss, optimizer, *learned, dev_metrics, on_epoch, tell_best, saved, **training)
    shares = fit_shares(built.network, encode_dev, splits.dev, area)
    network = built.runtime(built.network)
    calibration, reports = evaluate(partial(score, network), splits.held_out(), seed=seed)
    return Trained(network, built.vectorizer, calibration, reports, history, started, shares)


def train(
    splits: PairSplits,
    seed: int = 0,
    *,
    start: str | Path = "shipped",
    text: Callable[[Sequence[str]], Vectorizer] = pieces,
    vectors: Callable[[Sequence[str], int, int], WordVectors] = piece_vectors,
    tower: Callable[..., keras.Model] = towers.averaging,
    similarity: Callable[[], keras.layers.Layer] = Cosine,
    encoder: Encoder | None = None,
    encoder_scale: float = ENCODER_SCALE,
    dimension: int | None = None,
    **choices: Any,
) -> Trained:
    """`build` and `train_built` with one call, on one device; a note of the network becomes a warning.

    What the call does not choose, CHOICES holds for a tower, and `fitted` chooses for a number of pairs. ValueError also if
    dev has no duplicates or no others, or train no duplicates.
    """
    require_both_kinds(splits)
    function: Any = getattr(tower, "func", tower)
    name = getattr(function, "__name__", "")  # an object that is called has none
    choices = CHOICES.get(function, {}) | fitted(len(splits.train), name) | choices
    questions = splits.train.questions
    parts: dict[str, Any] = {"text": text, "vectors": vectors, "tower": tower, "similarity": similarity}
    parts |= {"encoder": encoder, "encoder_scale": encoder_scale, "dimension": dimension}
    built = build(questions, seed, start=start, **parts)
    if built.note:
        warnings.warn(built.note, stacklevel=3)
    return train_built(built, splits, seed, **choices)
