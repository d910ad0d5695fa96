"""The training loop: batches in, weights of the best epoch out."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from siamese.data.pairs import QuestionPairs
from siamese.data.splits import question_components
from siamese.model.losses import Loss, check_loss
from siamese.text.inputs import Inputs
from siamese.training.batches import PairBatches
from siamese.training.beside import Work, at_once
from siamese.training.devices import broadcast_from_chief, has_several_hosts, require_same_on_all_hosts
from siamese.training.precision import check_precision
from siamese.training.saved_state import SavedState
from siamese.training.step import training_step

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
    on_best: Callable[[], Work] = lambda: lambda: None,
    saved: SavedState | None = None,
    begin: Callable[..., None] = at_once,
    *,
    epochs: int = 4,
    batch_size: int = 256,
    word_dropout: float = 0.2,
    monitor: str = "roc_auc",
    patience: int | None = 2,
    precision: str = "float32",
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
        on_epoch: called after each epoch that is trained here.
        on_best: called after those that are better than all before, with the network in their state; what it returns is begun
            before the state is saved.
        saved: where the state is kept after each epoch. A state that is there is gone on from, with the same weights to the
            bit as without the interruption; None keeps none.
        begin: begins what an epoch leaves to be written, as `siamese.training.beside.beside` gives it, or does it at once.
        epochs: passes over the pairs; 0 leaves the network as it starts.
        batch_size: pairs in a step.
        word_dropout: share of the words replaced by the unknown word in training, in [0, 1) (Iyyer et al. 2015); an
            encoder's vector has no words, and stays as it is.
        monitor: the dev metric that decides which epoch is best.
        patience: epochs without improvement after which training stops; None for never.
        precision: of the large matrix products, "float32" or "bfloat16", see `siamese.training.precision`.

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
    check_precision(precision)
    check_loss(loss, network.get_layer("similarity"))
    strategy = network.distribute_strategy
    if has_several_hosts(strategy):
        same = {"pairs": pairs.digest(), "parameters": network.count_params(), "seed": seed}
        require_same_on_all_hosts(strategy, **same, epochs=epochs, batch_size=batch_size)
    data, settings = (pairs, token_ids, weight, seed), (epochs, batch_size, word_dropout, precision)
    hidden = not sys.stderr.isatty()
    with tqdm(total=epochs * len(pairs), unit="pair", unit_scale=True, disable=hidden) as progress:
        passes = Passes(network, loss, optimizer, *data, *settings, progress.update)
        state = [*network.variables, *passes.variables]
        history, best_weights = _restored(saved, state, network)
        progress.update(len(history) * len(pairs))
        while len(history) < epochs and not _exhausted(history, monitor, patience):
            number = len(history) + 1
            progress.set_description(f"epoch {number}")
            mean_loss, seconds = passes.epoch(number)
            dev = broadcast_from_chief(strategy, evaluate())
            if monitor not in dev:
                raise ValueError(f"training.monitor must be one of {', '.join(sorted(dev))}; got {monitor!r}")
            history.append(Epoch(number, mean_loss, seconds, len(pairs) / seconds, dev))
            on_epoch(history[-1])
            left: list[Work] = []
            # the next epoch changes the variables
            copies = {
                id(each): np.array(each.value.read_value()) for each in (network.weights if saved is None else state)
            }
            if _best(history, monitor) is history[-1]:
                best_weights = [copies[id(each)] for each in network.weights]
                left.append(on_best())
            if saved is not None:
                values = [copies[id(each)] for each in state]
                left.append(partial(saved.save, values, best_weights, [asdict(each) for each in history]))
            begin(*left)
    network.set_weights(best_weights)
    return history


def _restored(
    saved: SavedState | None, state: list[keras.Variable], network: keras.Model
) -> tuple[list[Epoch], list[np.ndarray]]:
    """History and best weights of a saved state, whose variables are set; without one none, and the weights of now."""
    found = saved.load(len(state), len(network.weights)) if saved is not None else None
    if found is None:
        return [], network.get_weights()
    with network.distribute_strategy.scope():
        for variable, value in zip(state, found.variables, strict=True):
            variable.assign(value)
    return [Epoch(**each) for each in found.history], found.best


def _exhausted(history: list[Epoch], monitor: str, patience: int | None) -> bool:
    """Whether dev has not improved for `patience` epochs."""
    if patience is None or not history:
        return False
    best = _best(history, monitor)
    return len(history) - (best.number if best else 0) >= patience


def _best(history: list[Epoch], monitor: str) -> Epoch | None:
    """The first epoch with the best dev score; None if the score is undefined in each."""
    defined = [epoch for epoch in history if not np.isnan(epoch.dev[monitor])]
    return best_epoch(defined, monitor) if defined else None


def best_epoch(history: list[Epoch], monitor: str) -> Epoch:
    """The epoch whose weights `fit` left in the network."""
    sign = -1 if monitor in SMALLER_IS_BETTER else 1
    return max(history, key=lambda epoch: sign * epoch.dev[monitor])


class Passes:
    """Passes over the training pairs, each in the order of its number.

    Attributes:
        variables: all that a pass changes beside the network's own.
    """

    def __init__(
        self,
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
        precision: str = "float32",
        on_batch: Callable[[int], object] = lambda size: None,
    ) -> None:
        """Arguments as in `fit`; `on_batch` gets the pairs of each step."""
        groups = question_components(pairs, only_duplicates=True)
        self._batches = PairBatches(pairs, token_ids, groups, weight, batch_size, seed)
        self._on_batch = on_batch
        with network.distribute_strategy.scope():
            self._optimizer, drop = optimizer(epochs * len(self._batches)), keras.random.SeedGenerator()
            self._step = training_step(network, loss, self._optimizer, word_dropout, drop, precision)
        self.variables = [*self._optimizer.variables, drop.state]

    def epoch(self, number: int) -> Pass:
        """Train one epoch, counted from 1.

        Raises:
            ValueError: the loss is no longer finite.
        """
        started = time.perf_counter()
        losses = []
        for batch in self._batches.epoch(number):
            losses.append(self._step(batch))
            self._on_batch(len(batch.label))
        values = np.array([float(value) for value in losses])
        if not np.isfinite(values).all():
            raise ValueError(self._divergence(number, values))
        return Pass(float(values.mean()), time.perf_counter() - started)

    def _divergence(self, number: int, losses: np.ndarray) -> str:
        at = int(np.argmax(~np.isfinite(losses)))
        done = (number - 1) * len(losses) + at  # steps before
        self._optimizer.iterations.assign(done)  # a schedule tells the rate of the current step alone
        return (
            f"the training loss became {losses[at]} at step {done + 1} (epoch {number}), where the learning rate was "
            f"{float(self._optimizer.learning_rate):.3g}; lower optimizer.learning_rate or raise schedule.warmup_share"
        )
