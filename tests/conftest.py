"""What many tests share: a handful of questions, and networks small enough to build in a moment."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401 (before anything that brings TensorFlow in)
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from siamese.data.pairs import QuestionPairs
from siamese.model import towers
from siamese.model.layers import PackWords
from siamese.model.losses import BinaryCrossentropy
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random
from siamese.training.loop import fit
from siamese.training.optimizers import adam, constant

INTENTS = (
    ("how do i pay my bill", "where can i pay the bill ?", "what are the ways to pay a bill"),
    ("my card is lost", "i lost my card", "card gone , what now ?"),
    ("when does the shop open", "opening hours", "is the shop open today , and until when ?"),
    ("how do i cook rice", "cooking rice", "what is the best way to cook a pot of rice ?"),
)
LENGTHS, IDS = (3, 9, 1, 5, 9, 2, 4), 12  # of the padded questions
TOWER_OPTIONS = {
    "dense": {"units": [6], "pooling": ["mean", "max"]},
    "conv1d": {"filters": [5], "kernel_sizes": [1, 2, 3]},
    "bilstm": {"units": [4]},
}


@pytest.fixture(scope="session")
def pairs() -> QuestionPairs:
    """12 duplicates, all within their intents, and 12 others; 12 questions."""
    duplicates = [pair for intent in INTENTS for pair in combinations(intent, 2)]
    others = [
        (one, other) for left, right in combinations(INTENTS, 2) for one, other in zip(left[:2], right[1:], strict=True)
    ]
    left, right = zip(*duplicates, *others, strict=True)
    return QuestionPairs.from_texts(left, right, [1] * len(duplicates) + [0] * len(others))


@pytest.fixture(scope="session")
def vectorizer(pairs) -> Vectorizer:
    return Vectorizer.fit(pairs.questions, min_frequency=1, oov_buckets=8)


@pytest.fixture(scope="session")
def token_ids(vectorizer, pairs):
    return vectorizer.encode(pairs.questions)


@pytest.fixture(scope="session")
def build_network(vectorizer):
    """A function: name of a tower, what makes a similarity, and a seed -> a network of width 8."""

    def build(tower: str = "dense", similarity: Callable = Cosine, seed: int = 0, **options) -> keras.Model:
        keras.utils.set_random_seed(seed)
        vectors = random(vectorizer.vocabulary, vectorizer.size, seed, 8)
        words = word_embedding(vectors.matrix, trainable=True)
        return siamese_network(getattr(towers, tower)(words, **TOWER_OPTIONS[tower] | options), similarity())

    return build


@pytest.fixture(scope="session")
def train(pairs, token_ids):
    """A function: a network and a loss -> trained for one epoch of one step, unless told otherwise."""

    def run(network: keras.Model, loss=None, **changes):
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

    return run


@pytest.fixture(scope="session")
def padded_questions() -> np.ndarray:
    """`int32[7, 9]`, padded; words repeat within questions and between them."""
    generator = np.random.default_rng(0)
    padded = np.zeros((len(LENGTHS), max(LENGTHS)), np.int32)
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = generator.integers(1, IDS, length)
    return padded


@pytest.fixture(scope="session")
def assert_same_as_padded(padded_questions):
    """A function that compares a layer on packed words with Keras' layers on padded ones."""

    def check(layer, padded_layers, weights, width):
        """Output and gradients of a packed layer are those of Keras layers over padded questions.

        Args:
            layer: vectors, position, question -> `float32[tokens, …]`.
            padded_layers: `float32[batch, length, width]` -> `float32[batch, length, …]`.
            weights: gradients of Keras' weights -> those of the layer's weights, in its layout.
            width: of a word's vector.
        """
        table = tf.Variable(np.random.default_rng(1).normal(size=(IDS, width)).astype(np.float32))
        with tf.GradientTape() as tape:
            words, position, question = PackWords()(padded_questions)
            packed = layer(tf.gather(table, words), position, question)
            slope = np.random.default_rng(2).normal(size=packed.shape).astype(np.float32)
            total = tf.reduce_sum(packed * slope)
        own = tape.gradient(total, [table, *layer.trainable_variables])
        with tf.GradientTape(persistent=True) as tape:
            padded = tf.boolean_mask(padded_layers(tf.gather(table, padded_questions)), padded_questions != 0)
            total = tf.reduce_sum(padded * slope)
        np.testing.assert_allclose(packed, padded, atol=2e-6)
        expected = [
            tape.gradient(total, table),
            *weights(lambda variable: tape.gradient(total, variable.value).numpy()),
        ]
        for one, other in zip(own, expected, strict=True):
            np.testing.assert_allclose(tf.convert_to_tensor(one), tf.convert_to_tensor(other), atol=2e-5)

    return check


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Path]:
    """A folder with a fresh store, whose artifacts lie beside it, and which is in use."""
    import mlflow

    from siamese import tracking

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        tracking.connect(f"sqlite:///{folder}/mlflow.db", "tests")
        yield folder
        mlflow.set_tracking_uri(before)
