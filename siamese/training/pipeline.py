"""Pipeline: from labelled pairs to a trained, calibrated network. `Detector.train` and experiments/train.py run it.

The defaults of every argument, here and in what is called, are those of conf/config.yaml.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import siamese.model.quiet_tensorflow  # noqa: F401  # isort: skip (before TensorFlow)
import keras
import numpy as np

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.data.splits import require_both_kinds
from siamese.data.weighting import uniform
from siamese.evaluation import report
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import Report
from siamese.inference.from_keras import numpy_network
from siamese.inference.runtime import PAIRS_AT_ONCE, Runtime
from siamese.inference.threads import cores, side_by_side
from siamese.model import towers
from siamese.model.hybrid import without_lexicon
from siamese.model.joined import width_beside
from siamese.model.linear_map import without_dimension
from siamese.model.losses import BinaryCrossentropy, Loss, Ranking, WeightedSum
from siamese.model.network import siamese_network
from siamese.model.similarity import Cosine
from siamese.pretrained.encoders import Encoder
from siamese.pretrained.joined import AnyVectorizer
from siamese.pretrained.piece_table import piece_vectors, pieces
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import WordVectors
from siamese.training.auto import BY_DEV, fitted
from siamese.training.beside import Work, beside
from siamese.training.building import ENCODER_SCALE, Built, build
from siamese.training.devices import broadcast_from_chief
from siamese.training.discriminant import start_head
from siamese.training.loop import Epoch, fit
from siamese.training.optimizers import adam, cosine, sgd
from siamese.training.saved_state import SavedState
from siamese.training.shares import fit_shares

LOSS = WeightedSum(BinaryCrossentropy(), Ranking())
OPTIMIZER = partial(adam, cosine)
HEAD: dict[str, Any] = {"loss": WeightedSum(BinaryCrossentropy(), Ranking(0.02))}
CHOICES: dict[object, dict[str, Any]] = {  # of a tower, as its file in conf/tower/ has them
    towers.averaging: HEAD | {"optimizer": partial(adam, cosine, learning_rate=0.001)},
    towers.encoder: HEAD | {"optimizer": partial(sgd, cosine, learning_rate=0.1, momentum=0.9)},
}


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

    measured: list[tuple[Runtime, Calibration, Report]] = []  # of the last epoch

    def dev_metrics() -> dict[str, float]:
        network = built.runtime(built.network)
        by, only_dev = partial(_score, built, network), {"dev": splits.dev}
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
    hooks = (dev_metrics, on_epoch, tell_best, saved)
    with beside() as begin:
        history = fit(built.network, loss, optimizer, *learned, *hooks, begin, **training)
        shares = fit_shares(built.network, encode_dev, splits.dev, area)
        network = built.runtime(built.network)
        calibration, reports = evaluate(partial(_score, built, network), splits.held_out(), seed=seed)
    return Trained(network, built.vectorizer, calibration, reports, history, started, shares)


def _score(built: Built, network: Runtime, pairs: QuestionPairs) -> np.ndarray:
    """Similarities by what will answer, in its own parts: what is reported is what the detector gives, to the bit."""
    embeddings = network.encode(built.token_ids(pairs))

    def compare(start: int) -> np.ndarray:
        part = slice(start, start + PAIRS_AT_ONCE)
        return network.compare(embeddings, pairs.left[part], pairs.right[part])

    with side_by_side(cores() if built.runtime is numpy_network else 1) as each:
        return np.concatenate(each(compare, range(0, len(pairs), PAIRS_AT_ONCE)))


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
