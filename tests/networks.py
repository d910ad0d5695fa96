"""Networks small enough to build and train in a moment."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
from collections.abc import Callable

import keras
import numpy as np

from siamese.data.pairs import QuestionPairs
from siamese.model import towers
from siamese.model.losses import BinaryCrossentropy
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random
from siamese.training.loop import fit
from siamese.training.optimizers import adam, constant

TOWER_OPTIONS = {
    "dense": {"units": [6], "pooling": ["mean", "max"], "skip": False},
    "conv1d": {"filters": [5], "kernel_sizes": [1, 2, 3], "pooling": ["max"], "skip": False},
    "bilstm": {"units": [4], "pooling": ["max"], "skip": False},
    "attention": {"units": [4], "heads": 2, "pooling": ["max"], "skip": False},
}


def build(
    vectorizer: Vectorizer, tower: str = "dense", similarity: Callable = Cosine, seed: int = 0, **options
) -> keras.Model:
    """A network of width 8; `options` replace those of the tower."""
    keras.utils.set_random_seed(seed)
    vectors = random(vectorizer.vocabulary, vectorizer.size, seed, 8)
    words = word_embedding(vectors.matrix, trainable=True)
    return siamese_network(getattr(towers, tower)(words, **TOWER_OPTIONS[tower] | options), similarity())


def train(pairs: QuestionPairs, token_ids: np.ndarray, /, network: keras.Model, loss=None, **changes):
    """Train for one epoch of one step, unless `changes` to the settings of `fit` say otherwise."""
    settings = {
        "optimizer": lambda steps: adam(lambda peak, steps: constant(peak, steps, 0.0), steps, 0.01),
        "pairs": pairs,
        "token_ids": token_ids,
        "seed": 0,
        "evaluate": lambda: {"roc_auc": 0.5},
        "on_epoch": lambda epoch: None,
        "epochs": 1,
        "batch_size": 100,
        "word_dropout": 0.0,
        "monitor": "roc_auc",
        "patience": None,
    } | changes
    settings = {"weight": np.ones(len(settings["pairs"]), np.float32)} | settings
    return fit(network, loss or BinaryCrossentropy(), **settings)
