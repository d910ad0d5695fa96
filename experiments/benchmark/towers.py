"""The towers that are measured, how they are trained, and the arithmetic that each cannot do without."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from siamese.data.pairs import QuestionPairs
from siamese.model import towers
from siamese.model.losses import BinaryCrossentropy
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.text.inputs import TokenIds
from siamese.text.word_vectors import random
from siamese.training.loop import Pass, Passes
from siamese.training.optimizers import adam, constant

PASSES = 3  # forward, and backward once to the input and once to the weights, of the same size each
BATCH, LEARNING_RATE, EPOCHS = 256, 0.001, 1_000_000


@dataclass(frozen=True)
class MeasuredTower:
    """One tower: the function of `siamese.model.towers`, its own width, and what pools its words."""

    kind: str
    units: int
    pooling: str
    kernel_sizes: tuple[int, ...] = ()

    def build(self, words: keras.layers.Layer) -> keras.Model:
        """The tower over a word embedding."""
        own: dict[str, Any] = {"units": [self.units]}
        if self.kind == "conv1d":
            own = {"filters": [self.units], "kernel_sizes": self.kernel_sizes}
        return getattr(towers, self.kind)(words, pooling=[self.pooling], skip=False, **own)

    def network(self, vocabulary: int, width: int, seed: int) -> keras.Model:
        """The tower in a network with cosine similarity, its weights random."""
        keras.utils.set_random_seed(seed)
        return siamese_network(self.build(word_embedding(random([], vocabulary, seed, width).matrix, True)), Cosine())

    def flops_per_token(self, width: int) -> int:
        """Floating-point operations of the forward pass for one token: the matrix products alone, 2 for each weight.

        >>> MeasuredTower("dense", 300, "max").flops_per_token(300)
        180000
        """
        if self.kind == "dense":
            return 2 * width * self.units
        if self.kind == "conv1d":
            return 2 * width * self.units * sum(self.kernel_sizes)
        return 2 * 2 * (width + self.units) * 4 * self.units  # 2 directions of 4 gates each

    def flops_per_pair(self, width: int, tokens: float) -> float:
        """Floating-point operations of a training step for a pair with `tokens` tokens in both questions together."""
        return PASSES * tokens * self.flops_per_token(width)


MEASURED = {
    "dense_max": MeasuredTower("dense", 300, "max"),
    "dense_mean": MeasuredTower("dense", 300, "mean"),
    "conv1d": MeasuredTower("conv1d", 200, "max", (1, 2, 3)),
    "bilstm_128": MeasuredTower("bilstm", 128, "max"),
    "bilstm_200": MeasuredTower("bilstm", 200, "max"),
}


def training(
    network: keras.Model, pairs: QuestionPairs, token_ids: TokenIds, precision: str = "float32"
) -> Iterator[Pass]:
    """Train with cross-entropy and Adam at a constant rate; the iterator trains one epoch at each step."""
    optimizer = partial(adam, partial(constant, warmup_share=0.0), learning_rate=LEARNING_RATE)
    weight = np.ones(len(pairs), np.float32)
    how = EPOCHS, BATCH, 0.0, precision
    passes = Passes(network, BinaryCrossentropy(), optimizer, pairs, token_ids, weight, 0, *how)
    return map(passes.epoch, range(1, EPOCHS + 1))


def measured(name: str) -> MeasuredTower:
    """The tower of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in MEASURED:
        raise ValueError(f"towers must list some of {', '.join(MEASURED)}; got {name!r}")
    return MEASURED[name]
