"""Distillation by gradient steps: a tower learns to point where a sentence encoder does, and can go on after being killed.

The loss is that of two comparisons with the encoder. The cosine between the encoder's vector and a linear map of the
embedding, which is thrown away in the end; and how the questions of a batch resemble each other: the Kullback-Leibler
divergence between the softmax over a row of the encoder's similarity matrix and that of the tower's, without the diagonal
(as in Luxical, Merrick 2025, arXiv 2512.09015).
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import siamese.model.quiet_tensorflow  # noqa: F401  # isort: skip (before TensorFlow)
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from siamese.text.inputs import TokenIds
from siamese.training.distillation import LEAST, Lessons
from siamese.training.saved_state import SavedState

BUCKET_BATCHES = 64  # batches whose texts are sorted by length together
DIAGONAL = -1e9  # in place of the similarity of a question to itself


@dataclass(frozen=True)
class Losses:
    """Means over some texts: the whole loss, and its two parts."""

    loss: float
    cosine: float
    divergence: float


@dataclass(frozen=True)
class DistilledEpoch:
    """An epoch, counted from 1; epoch 0 is the start. Losses of training (NaN at the start) and of the held-out questions."""

    number: int
    train: float
    held_out: Losses
    seconds: float
    texts_per_second: float


def imitate(
    tower: keras.Model,
    lessons: Lessons,
    optimizer: Callable[[int], keras.optimizers.Optimizer],
    seed: int = 0,
    saved: SavedState | None = None,
    on_epoch: Callable[[DistilledEpoch], object] = lambda epoch: None,
    *,
    epochs: int = 10,
    batch_size: int = 256,
    temperature: float = 0.05,
    divergence_weight: float = 1.0,
    patience: int | None = 2,
) -> list[DistilledEpoch]:
    """Train a tower until the last epoch, or until the loss of held-out questions stops falling; keep the best weights.

    Args:
        tower: `int32[batch, length]` -> `float32[batch, dimension]`; changed in place.
        lessons: texts and the encoder's vectors.
        optimizer: number of training steps -> optimizer.
        seed: of the linear map, dropout and the order of the batches.
        saved: where the state is kept after each epoch. A state that is there is gone on from, with the same weights to the
            bit as without the interruption; None keeps none.
        on_epoch: called after each epoch that is trained here, and with epoch 0.
        epochs: passes over the texts, at least 0.
        batch_size: texts in a step, at least 2.
        temperature: that similarities are divided by before the softmax, above 0.
        divergence_weight: of the second part of the loss, at least 0; the first one's is 1.
        patience: epochs without improvement after which training stops; None for never.

    Raises:
        ValueError: an argument is out of its range, there are too few questions, or the loss is no longer finite.
    """
    _check(epochs, batch_size, temperature, divergence_weight, patience)
    keras.utils.set_random_seed(seed)
    tested = lessons.held_out
    learned = np.setdiff1d(np.arange(len(lessons.target)), tested)
    if epochs and (len(tested) < LEAST or len(learned) < LEAST):
        raise ValueError(
            f"tuning needs at least {LEAST} questions to learn from and {LEAST} that are held out; got {len(learned):,} and "
            f"{len(tested):,}: give more questions, or a higher distillation.held_out"
        )
    width = lessons.target.shape[1]
    to_target = keras.layers.Dense(width, use_bias=False, kernel_initializer="orthogonal", name="to_target")
    if tower.output.shape[-1] != width:
        to_target.build(tower.output.shape)
    losses = _losses_of(tower, to_target if to_target.built else None, temperature, divergence_weight)
    variables = tower.trainable_variables + to_target.trainable_variables
    chosen = optimizer(max(1, epochs * -(-len(learned) // batch_size)))
    chosen.build(variables)
    step, test = _step(losses, chosen, variables, width), _test(losses, width)
    state = [*tower.variables, *to_target.variables, *chosen.variables]

    def measured() -> Losses:
        batches = np.split(tested, range(batch_size, len(tested), batch_size))
        parts = [test(*_batch(lessons, rows)).numpy() for rows in batches]
        return Losses(*np.average(parts, axis=0, weights=[len(rows) for rows in batches]).tolist())

    best, history = _restored(saved, state, tower.weights)
    if epochs and not history:
        history.append(DistilledEpoch(0, float("nan"), measured(), 0.0, 0.0))
        _finish(history, state, best, saved, on_epoch)
    while epochs and len(history) <= epochs and not _exhausted(history, patience):
        batches = _batches(learned, lessons.token_ids, batch_size, seed, len(history))
        loss, seconds = _pass(step, map(partial(_batch, lessons), batches), len(learned), len(history))
        history.append(DistilledEpoch(len(history), loss, measured(), seconds, len(learned) / seconds))
        if _best(history) is history[-1]:
            best = [np.array(each) for each in tower.weights]
        _finish(history, state, best, saved, on_epoch)
    for variable, value in zip(tower.weights, best, strict=True):
        variable.assign(value)
    return history


def _restored(
    saved: SavedState | None, state: list[keras.Variable], weights: list[keras.Variable]
) -> tuple[list[np.ndarray], list[DistilledEpoch]]:
    """The best weights and the history of a saved state, whose variables are set; of a new one those of now, and none."""
    found = saved.load(len(state), len(weights)) if saved is not None else None
    if found is None:
        return [np.array(each) for each in weights], []
    for variable, value in zip(state, found.variables, strict=True):
        variable.assign(value)
    return found.best, [DistilledEpoch(**{**each, "held_out": Losses(**each["held_out"])}) for each in found.history]


def _finish(
    history: list[DistilledEpoch],
    state: list[keras.Variable],
    best: list[np.ndarray],
    saved: SavedState | None,
    on_epoch: Callable[[DistilledEpoch], object],
) -> None:
    """Tell of an epoch, and keep the state after it."""
    on_epoch(history[-1])
    if saved is not None:
        saved.save([np.array(each) for each in state], best, [asdict(each) for each in history])


def _pass(step: Callable[..., tf.Tensor], batches: Iterable[tuple], texts: int, number: int) -> tuple[float, float]:
    """Mean loss and seconds of an epoch.

    Raises:
        ValueError: the loss is not finite.
    """
    started, values = time.perf_counter(), []
    title = f"epoch {number}"
    with tqdm(total=texts, unit="text", unit_scale=True, desc=title, disable=not sys.stderr.isatty()) as progress:
        for batch in batches:
            values.append(step(*batch))
            progress.update(len(batch[0]))
    loss = float(np.mean([float(value) for value in values]))
    if not np.isfinite(loss):
        raise ValueError(f"the loss of distillation became {loss} in {title}; lower optimizer.learning_rate")
    return loss, time.perf_counter() - started


def _check(epochs: int, batch_size: int, temperature: float, divergence_weight: float, patience: int | None) -> None:
    if epochs < 0 or batch_size < 2 or not temperature > 0 or divergence_weight < 0:
        raise ValueError(
            "tuning needs epochs of at least 0, batch_size of at least 2, temperature above 0 and divergence_weight of at least "
            f"0; got {epochs}, {batch_size}, {temperature} and {divergence_weight}"
        )
    if patience is not None and patience < 1:
        raise ValueError(f"tuning.patience must be at least 1, or null; got {patience}")


def _best(history: list[DistilledEpoch]) -> DistilledEpoch:
    return min(history, key=lambda epoch: epoch.held_out.loss)


def _exhausted(history: list[DistilledEpoch], patience: int | None) -> bool:
    return patience is not None and history[-1].number - _best(history).number >= patience


def _batches(rows: np.ndarray, token_ids: TokenIds, batch_size: int, seed: int, number: int) -> Iterator[np.ndarray]:
    """All rows once, in batches of similar length, in an order that depends on seed and epoch alone."""
    generator = np.random.default_rng([seed, number])
    order = generator.permutation(rows)
    bucket = batch_size * BUCKET_BATCHES
    lengths = token_ids.lengths
    buckets = np.split(order, range(bucket, len(order), bucket))
    order = np.concatenate([each[np.argsort(lengths[each], kind="stable")] for each in buckets])
    batches = np.split(order, range(batch_size, len(order), batch_size))
    for index in generator.permutation(len(batches)):
        yield batches[index]


def _batch(lessons: Lessons, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return lessons.token_ids.padded(rows), lessons.target[rows], lessons.weight[rows]


def _losses_of(
    tower: keras.Model, to_target: keras.layers.Layer | None, temperature: float, divergence_weight: float
) -> Callable[..., tf.Tensor]:
    """A function: a batch of `_batch` -> the loss, its cosine part and its divergence, `float32[3]`."""

    def losses(questions: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, training: bool) -> tf.Tensor:
        embedding = tower(questions, training=training)  # float32[batch, dimension]
        pointed = embedding if to_target is None else to_target(embedding)
        wanted = tf.math.l2_normalize(target, axis=1)
        cosine = 1.0 - tf.reduce_sum(tf.math.l2_normalize(pointed, axis=1) * wanted, axis=1)
        own = tf.math.l2_normalize(embedding, axis=1)
        teacher, student = (tf.matmul(each, each, transpose_b=True) for each in (wanted, own))
        parts = (cosine, row_divergence(teacher, student, temperature))
        first, second = (tf.reduce_sum(each * weight) / tf.reduce_sum(weight) for each in parts)
        return tf.stack([first + divergence_weight * second, first, second])

    return losses


def row_divergence(teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
    """Kullback-Leibler divergence Σ p log(p / q) of each row's softmax, without the diagonal, `float32[n]`, at least 0.

    Args:
        teacher, student: similarities `float32[n, n]`.
        temperature: that they are divided by.
    """
    diagonal = tf.eye(tf.shape(teacher)[0], dtype=tf.bool)
    wanted, given = (tf.where(diagonal, DIAGONAL, each / temperature) for each in (teacher, student))
    log_p, log_q = tf.nn.log_softmax(wanted), tf.nn.log_softmax(given)
    return tf.reduce_sum(tf.where(diagonal, 0.0, tf.exp(log_p) * (log_p - log_q)), axis=1)


def _signature(width: int) -> list[tf.TensorSpec]:
    """Of a batch of `_batch`."""
    integers, floats, weights = ([None, None], tf.int32), ([None, width], tf.float32), ([None], tf.float32)
    return [tf.TensorSpec(*each) for each in (integers, floats, weights)]


def _step(
    losses: Callable[..., tf.Tensor], optimizer: keras.optimizers.Optimizer, variables: list, width: int
) -> Callable[..., tf.Tensor]:
    """One compiled step: a batch -> its loss; the weights are updated."""

    @tf.function(input_signature=_signature(width))
    def step(questions: tf.Tensor, target: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = losses(questions, target, weight, training=True)[0]
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step


def _test(losses: Callable[..., tf.Tensor], width: int) -> Callable[..., tf.Tensor]:
    """The losses of a batch without dropout, compiled."""
    return tf.function(lambda *batch: losses(*batch, training=False), input_signature=_signature(width))
