"""The training loop: batches in, weights of the best epoch out."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from siamese.data.pairs import QuestionPairs
from siamese.data.splits import question_components
from siamese.model.layers import WordEmbedding
from siamese.model.losses import Loss, check_loss
from siamese.model.similarity import Cosine
from siamese.text.inputs import UNKNOWN, Inputs
from siamese.training.batches import PairBatch, PairBatches
from siamese.training.devices import broadcast_from_chief, encode_sharded, has_several_hosts, require_same_on_all_hosts

SMALLER_IS_BETTER = ("log_loss", "brier", "expected_calibration_error", "expected_calibration_error_uncalibrated")


class Pass(NamedTuple):
    """One pass over the training pairs: the mean loss, and the seconds that it took."""

    loss: float
    seconds: float


@dataclass(frozen=True)
class Epoch:
    """Measurements of an epoch, counted from 1: mean training loss, seconds of training alone, and metrics of dev after it."""

    number: int
    loss: float
    seconds: float
    pairs_per_second: float
    dev: dict[str, float]


def fit(
    network: keras.Model,
    loss: Loss,
    optimizer: Callable[[int], keras.optimizers.Optimizer],
    pairs: QuestionPairs,
    token_ids: Inputs,
    weight: np.ndarray,
    seed: int,
    evaluate: Callable[[], dict[str, float]],
    on_epoch: Callable[[Epoch], None],
    *,
    epochs: int = 4,
    batch_size: int = 256,
    word_dropout: float = 0.2,
    monitor: str = "roc_auc",
    patience: int | None = 2,
) -> list[Epoch]:
    """Train until the last epoch or until dev stops improving; keep the weights of the best epoch.

    Args:
        network: from `siamese_network`, made in the scope of a strategy of `siamese.training.devices` if not on one
            device; changed in place.
        loss: from `siamese.model.losses`, or a function that is called as they are.
        optimizer: number of training steps -> optimizer.
        pairs, token_ids: the training pairs and the ids, or vectors, of their questions.
        weight: `float32[pairs]`, weights of the pairs.
        seed: of the order of the batches.
        evaluate: returns the dev metrics of the network in its current state.
        on_epoch: called after each epoch.
        epochs: passes over the pairs; 0 leaves the network as it starts.
        batch_size: pairs in a step.
        word_dropout: share of the words replaced by the unknown word in training, in [0, 1) (Iyyer et al. 2015); vectors
            have no words.
        monitor: the dev metric that decides which epoch is best.
        patience: epochs without improvement after which training stops; None for never.

    Raises:
        ValueError: an argument is out of its range, the loss cannot train the similarity, the loss is no
            longer finite, or several hosts got different arguments.
    """
    if epochs < 0:
        raise ValueError(f"training.epochs must be at least 0, got {epochs}")
    if not 0 <= word_dropout < 1:
        raise ValueError(f"training.word_dropout must lie in [0, 1), got {word_dropout}")
    if patience is not None and patience < 1:
        raise ValueError(f"training.patience must be at least 1, or null for no early stopping; got {patience}")
    check_loss(loss, network.get_layer("similarity"))
    strategy = network.distribute_strategy
    if has_several_hosts(strategy):
        same = {"pairs": pairs.digest(), "parameters": network.count_params(), "seed": seed}
        require_same_on_all_hosts(strategy, **same, epochs=epochs, batch_size=batch_size)
    history: list[Epoch] = []
    best, best_weights, since_best = -np.inf, network.get_weights(), 0
    with tqdm(total=epochs * len(pairs), unit="pair", unit_scale=True, disable=not sys.stderr.isatty()) as progress:
        progress.set_description("epoch 1")
        data, settings = (pairs, token_ids, weight, seed), (epochs, batch_size, word_dropout)
        trained = passes(network, loss, optimizer, *data, *settings, progress.update)
        for number, (mean_loss, seconds) in enumerate(trained, start=1):
            if not np.isfinite(mean_loss):
                raise ValueError(
                    f"the training loss became {mean_loss} in epoch {number}; "
                    "lower optimizer.learning_rate or raise schedule.warmup_share"
                )
            dev = broadcast_from_chief(strategy, evaluate())
            if monitor not in dev:
                raise ValueError(f"training.monitor must be one of {', '.join(sorted(dev))}; got {monitor!r}")
            history.append(Epoch(number, mean_loss, seconds, len(pairs) / seconds, dev))
            on_epoch(history[-1])
            score = -dev[monitor] if monitor in SMALLER_IS_BETTER else dev[monitor]
            since_best += 1
            if score > best:
                best, best_weights, since_best = score, network.get_weights(), 0
            if patience is not None and since_best >= patience:
                break
            progress.set_description(f"epoch {number + 1}")
    network.set_weights(best_weights)
    return history


def best_epoch(history: list[Epoch], monitor: str) -> Epoch:
    """The epoch whose weights `fit` left in the network."""
    sign = -1 if monitor in SMALLER_IS_BETTER else 1
    return max(history, key=lambda epoch: sign * epoch.dev[monitor])


def passes(
    network: keras.Model,
    loss: Loss,
    optimizer: Callable[[int], keras.optimizers.Optimizer],
    pairs: QuestionPairs,
    token_ids: Inputs,
    weight: np.ndarray,
    seed: int,
    epochs: int,
    batch_size: int,
    word_dropout: float,
    on_batch: Callable[[int], object] = lambda size: None,
) -> Iterator[Pass]:
    """Train one epoch each time that the next value is asked for, as `fit` does; `on_batch` gets the pairs of each step."""
    batches = PairBatches(pairs, token_ids, question_components(pairs, only_duplicates=True), weight, batch_size, seed)
    with network.distribute_strategy.scope():
        step = training_step(network, loss, optimizer(epochs * len(batches)), word_dropout)
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        losses = []
        for batch in batches.epoch(number):
            losses.append(step(batch))
            on_batch(len(batch.label))
        yield Pass(float(np.mean([float(value) for value in losses])), time.perf_counter() - started)


def training_step(
    network: keras.Model, loss: Loss, optimizer: keras.optimizers.Optimizer, word_dropout: float
) -> Callable[[PairBatch], tf.Tensor]:
    """One compiled step: encode each question of the batch once, compare, update the weights.

    Network, optimizer and this step must be created under one `tf.distribute` strategy.
    """
    tower, similarity = network.get_layer("tower"), network.get_layer("similarity")
    # a similarity of the user's own may compare pairs alone: then all with all are compared by their cosine
    matrix = getattr(similarity, "matrix", Cosine().matrix)
    pulled = [layer for layer in tower.layers if isinstance(layer, WordEmbedding) and layer.pull]
    variables = network.trainable_variables
    optimizer.build(variables)
    strategy = network.distribute_strategy
    integers, floats = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
    drop = keras.random.SeedGenerator()
    asked = tf.TensorSpec([None, network.inputs[0].shape[-1]], network.inputs[0].dtype)

    def on_each_device(
        questions: tf.Tensor, left: tf.Tensor, right: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, group: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            embeddings = encode_sharded(tower, questions)  # float32[questions, dimension]
            u, v = tf.gather(embeddings, left), tf.gather(embeddings, right)  # float32[batch, dimension]
            negative = tf.gather(group, left)[:, None] != tf.gather(group, right)[None, :]  # bool[batch, batch]
            # without use in the loss the matrix is pruned from the graph
            each = loss(label, similarity(u, v, training=True), matrix(u, v), negative)
            total = tf.reduce_sum(each * weight) / tf.maximum(tf.reduce_sum(weight), 1e-9)
            total += sum(words.pull_back(questions) for words in pulled)
            part = total / strategy.num_replicas_in_sync  # the optimizer sums the gradients of all devices
        optimizer.apply(tape.gradient(part, variables), variables)
        return total

    @tf.function(input_signature=[asked, integers, integers, floats, floats, integers], autograph=False)
    def step(questions: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
        if word_dropout and questions.dtype == tf.int32:
            dropped = keras.random.uniform(tf.shape(questions), seed=drop) < word_dropout
            questions = tf.where(dropped & (questions != 0), UNKNOWN, questions)
        total = strategy.run(on_each_device, args=(questions, *others))
        return strategy.experimental_local_results(total)[0]  # the same on all devices

    return lambda batch: step(batch.questions, batch.left, batch.right, batch.label, batch.weight, batch.group)
