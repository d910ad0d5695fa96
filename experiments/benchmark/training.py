"""Training: pairs per second, against Keras fit and against the limit of the machine: its speed in matrix products."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import math
from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from experiments.benchmark import keras_baseline
from experiments.benchmark.pairs import read_or_make
from experiments.benchmark.result import Line, Result
from experiments.benchmark.towers import BATCH, LEARNING_RATE, measured, training
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.timing import in_turn, ratios, seconds_of
from siamese.model.hybrid import with_lexicon
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Hybrid
from siamese.model.towers import averaging
from siamese.text.inputs import TokenIds
from siamese.text.lexicon import Lexicon
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random
from siamese.training.distillation import Lessons
from siamese.training.distillation_loop import imitate
from siamese.training.optimizers import adam, constant
from siamese.training.precision import PRECISIONS, computes_bfloat16

WARM_STEPS = 3
TARGET = 384  # numbers of the vectors that are imitated, as those of MiniLM


def measure(
    towers: Sequence[str],
    pairs_file: str | None,
    drawn_from: int,
    pairs: int,
    vocabulary: int,
    width: int,
    matrix_sizes: Sequence[int],
    seconds: float,
    repeats: int,
) -> Result:
    """Train each tower by this project and by Keras fit.

    `pairs` must be a multiple of 64 batches, so that the length buckets are full.
    """
    chosen = [measured(name) for name in towers]
    every = read_or_make(pairs_file, drawn_from, vocabulary, seed=0)
    few = every.take(np.random.default_rng(0).permutation(len(every))[:pairs])
    vectorizer = Vectorizer.fit(every.questions, vocabulary_size=vocabulary, min_frequency=1, oov_buckets=0)
    token_ids = vectorizer.encode(few.questions)
    tokens = float((token_ids.lengths[few.left] + token_ids.lengths[few.right]).mean())
    limit_of_machine = _matrix_products(matrix_sizes)
    precisions = PRECISIONS if computes_bfloat16() else PRECISIONS[:1]

    lines = []
    for name, tower in zip(towers, chosen, strict=True):
        ours = {each: _ours(tower.network(vocabulary, width, 0), few, token_ids, seconds, each) for each in precisions}
        contestants = {
            **ours,
            "Keras": _keras_baseline(keras_baseline.network(tower, vocabulary, width), few, token_ids, seconds),
            "limit": limit_of_machine,
        }
        rates = in_turn(contestants, repeats, f"training {name}")
        limit = [rate / tower.flops_per_pair(width, tokens) for rate in rates["limit"]]
        figures = {
            "pairs per second": rates["float32"],
            "Keras baseline pairs per second": rates["Keras"],
            "times the Keras baseline": ratios(rates["float32"], rates["Keras"]),
            "limit pairs per second": limit,
            "share of the limit": ratios(rates["float32"], limit),
            "matrix product GFLOPS": [rate / 1e9 for rate in rates["limit"]],
        } | ({"bfloat16 over float32": ratios(rates["bfloat16"], rates["float32"])} if "bfloat16" in rates else {})
        lines.append(Line(name, figures))
        keras.backend.clear_session()
    others = {
        "averaging, hybrid": _ours(_hybrid(vectorizer, few, width), few, token_ids, seconds),
        "averaging, distilling": _distilling(vectorizer.size, width, token_ids),
    }
    rates = in_turn(others, repeats, "training others")
    lines += [
        Line("averaging, hybrid", {"pairs per second": rates["averaging, hybrid"]}),
        Line("averaging, distilling", {"texts per second": rates["averaging, distilling"]}),
    ]
    notes = [
        f"{len(few):,} of {len(every):,} {pairs_file or 'made pairs'}, {tokens:.1f} tokens a pair, batches of {BATCH}, "
        f"width {width}.",
        "The limit counts the tower's products for every token, forward and twice backward, at the speed of a large "
        "matrix product. Words and questions that recur in a batch are computed once, so a share can pass 1.",
        f"The Keras baseline: Keras fit on arrays padded or cut to {keras_baseline.LENGTH} tokens, Adam.",
    ]
    return Result(lines, notes)


def _matrix_products(sizes: Sequence[int]) -> Callable[[], float]:
    """Measures FLOPS of float32 products of square matrices in TensorFlow, on all cores, at the size that is fastest.

    An operation has half of the cores (`siamese.model.quiet_tensorflow`), so each of two computes half of the columns.
    """
    matrices = [tf.random.normal((size, size)) for size in sizes]
    halves = [tuple(tf.split(matrix, 2, axis=1)) for matrix in matrices]
    squared = tf.function(lambda matrix, halves: [tf.matmul(matrix, half) for half in halves])
    products = [partial(squared, *arguments) for arguments in zip(matrices, halves, strict=True)]
    for product in products:
        product()  # compiles
    return lambda: max(2 * size**3 / seconds_of(product) for size, product in zip(sizes, products, strict=True))


def _hybrid(vectorizer: Vectorizer, pairs: QuestionPairs, width: int) -> keras.Model:
    """The averaging tower, whose embedding holds lexical blocks beside its own numbers."""
    similarity = Hybrid()
    lexicon = Lexicon.learn(vectorizer, pairs.questions, similarity.width)
    return siamese_network(with_lexicon(_averaging(vectorizer.size, width), similarity, lexicon.rows), similarity)


def _averaging(vocabulary: int, width: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    return averaging(word_embedding(random([], vocabulary, 0, width).matrix, True))


def _distilling(vocabulary: int, width: int, token_ids: TokenIds) -> Callable[[], float]:
    """Measures texts per second of an epoch in which the averaging tower imitates vectors at random."""
    target = np.random.default_rng(0).normal(size=(len(token_ids), TARGET)).astype(np.float32)
    lessons = Lessons(token_ids, target, np.ones(len(token_ids), np.float32), np.arange(BATCH))
    optimizer = partial(adam, partial(constant, warmup_share=0.0), learning_rate=LEARNING_RATE)
    return lambda: imitate(_averaging(vocabulary, width), lessons, optimizer, epochs=2)[-1].texts_per_second


def _ours(
    network: keras.Model, pairs: QuestionPairs, token_ids: TokenIds, least: float, precision: str = "float32"
) -> Callable[[], float]:
    """Measures pairs per second of whole epochs, batching included, for at least `least` seconds."""
    epochs = training(network, pairs, token_ids, precision)

    def pairs_per_second() -> float:
        seconds = [next(epochs).seconds]
        while sum(seconds) < least:
            seconds.append(next(epochs).seconds)
        return len(seconds) * len(pairs) / sum(seconds)

    next(epochs)  # a whole one: every shape of batch occurs
    return pairs_per_second


def _keras_baseline(
    network: keras.Model, pairs: QuestionPairs, token_ids: TokenIds, least: float
) -> Callable[[], float]:
    """Measures pairs per second of `fit` on as many batches as take about `least` seconds."""
    left, right = keras_baseline.padded(token_ids, pairs.left), keras_baseline.padded(token_ids, pairs.right)
    label = pairs.label[:, None]

    def fit(steps: int) -> float:
        """Seconds of a number of steps over the data, repeated as needed."""
        rows = np.resize(np.arange(len(label)), steps * BATCH)
        inputs, labels = [left[rows], right[rows]], label[rows]
        return seconds_of(lambda: network.fit(inputs, labels, batch_size=BATCH, verbose=0))

    fit(1)
    steps = max(1, math.ceil(WARM_STEPS * least / fit(WARM_STEPS)))
    return lambda: steps * BATCH / fit(steps)
