"""Every loss and similarity is its formula, and its gradient the slope of the formula, for any embeddings and labels.

The formulas are written again in NumPy and float64, as plainly as the docstrings of `siamese.model` say them. Slopes are
central differences along a random direction, in float64.
"""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from siamese.inference import similarities as in_numpy
from siamese.model.losses import BinaryCrossentropy, Contrastive, Ranking, SquaredError, WeightedSum
from siamese.model.similarity import Cosine, Euclidean, Learned, Manhattan

STEP = 1e-6
FEW = settings(max_examples=20)
SHARES = st.integers(0, 20).map(lambda n: n / 20)
GRADES = st.sampled_from([0.0, 0.25, 0.49, 0.5, 1.0, 1.0])


def crossentropy(label, s, matrix, negative):
    s = np.clip(s, 1e-7, 1 - 1e-7)
    return -label * np.log(s) - (1 - label) * np.log(1 - s)


def contrastive(margin):
    return lambda label, s, matrix, negative: label * (1 - s) ** 2 + (1 - label) * np.maximum(0, margin - (1 - s)) ** 2


def ranking(temperature):
    """Pair by pair, over the partner and all that are no known duplicates."""

    def loss(label, s, matrix, negative):
        found = np.zeros(len(label))
        for i in np.flatnonzero(label >= 0.5):
            rivals = [j for j in range(len(label)) if j == i or negative[i, j]]
            sides = [matrix[i, rivals], matrix[[j for j in range(len(label)) if j == i or negative[j, i]], i]]
            found[i] = np.mean([np.log(np.sum(np.exp((side - matrix[i, i]) / temperature))) for side in sides])
        return found

    return loss


def smoothed(share):
    return lambda label, *others: crossentropy(label * (1 - share) + share / 2, *others)


def mixed(label, *others):
    return 0.7 * crossentropy(label, *others) + 0.3 * ranking(0.2)(label, *others)


LOSSES = {
    "binary_crossentropy": (BinaryCrossentropy(), crossentropy),
    "smoothed": (BinaryCrossentropy(0.2), smoothed(0.2)),
    "squared_error": (SquaredError(), lambda label, s, matrix, negative: (label - s) ** 2),
    "contrastive": (Contrastive(0.4), contrastive(0.4)),
    "ranking": (Ranking(0.2), ranking(0.2)),
    "weighted_sum": (WeightedSum(BinaryCrossentropy(), Ranking(0.2), 0.3), mixed),
}


@st.composite
def batches(draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, similarities, their matrix and which questions are known to differ, of one pair or more."""
    pairs = draw(st.integers(1, 5))
    matrix = draw(arrays(float, (pairs, pairs), elements=SHARES))
    upper = np.triu(draw(arrays(bool, (pairs, pairs))), 1)
    return draw(arrays(float, pairs, elements=GRADES)), np.diag(matrix).copy(), matrix, upper | upper.T


@pytest.mark.parametrize("name", LOSSES)
@given(batches())
def test_each_loss_is_its_formula(name, batch):
    loss, formula = LOSSES[name]
    label, similarity, matrix, negative = batch
    found = loss(*(np.float32(each) for each in (label, similarity, matrix)), negative)
    clipped = similarity.min() == 0 or similarity.max() == 1  # float32 keeps one digit of 1 - 1e-7
    np.testing.assert_allclose(found, formula(*batch), atol=2e-5, rtol=2e-2 if clipped else 1e-5)


@pytest.mark.parametrize("name", LOSSES)
@FEW
@given(batches(), st.integers(0, 99))
def test_each_gradient_of_a_loss_is_its_slope(name, batch, seed):
    """By similarity and matrix, whose ends are left to the clipping."""
    loss, formula = LOSSES[name]
    label, similarity, matrix, negative = batch
    inputs = [0.01 + 0.98 * similarity, 0.01 + 0.98 * matrix]
    assert_slope(
        lambda s, m: loss(tf.constant(label), s, m, negative), lambda s, m: formula(label, s, m, negative), inputs, seed
    )


def assert_slope(function: Callable, formula: Callable, inputs: list[np.ndarray], seed: int) -> None:
    """The gradient of a function of tensors along a direction is the slope of its formula."""
    generator = np.random.default_rng(seed)
    directions = [generator.normal(size=each.shape) for each in inputs]
    variables = [tf.Variable(each, dtype="float64") for each in inputs]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(function(*variables))
    gradient = [0.0 if each is None else each.numpy() for each in tape.gradient(total, variables)]
    ends = [
        np.sum(formula(*(each + sign * STEP * way for each, way in zip(inputs, directions, strict=True))))
        for sign in (1, -1)
    ]
    slope = sum(np.sum(each * way) for each, way in zip(gradient, directions, strict=True))
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * STEP), rel=1e-4, abs=1e-5)


# Similarities


def cosine(u, v):
    length = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    cos = np.sum(u * v, axis=1) / np.where(length > 0, length, 1)
    zero = (np.linalg.norm(u, axis=1) == 0).astype(float) + (np.linalg.norm(v, axis=1) == 0)
    return np.select([zero == 0, zero == 1], [((1 + cos) / 2) ** 4, (3 / 4) ** 4], 1.0)


def learned_formula(layer: keras.layers.Layer) -> Callable:
    *hidden, (kernel, bias) = (
        [each.astype(float) for each in dense.get_weights()] for dense in (*layer.hidden, layer.output_layer)
    )
    ceiling = float(layer.ceiling)

    def formula(u, v):
        x = np.concatenate([np.abs(u - v), u * v], axis=1)
        for weights, offset in hidden:
            x = np.maximum(x @ weights + offset, 0)
        m = (x @ kernel + bias)[:, 0]
        both = np.linalg.norm(u, axis=1) + np.linalg.norm(v, axis=1)
        r = np.linalg.norm(u - v, axis=1) / np.where(both > 0, both, 1)
        return 1 / (1 + np.exp(-(ceiling - np.logaddexp(0, ceiling - m) * np.tanh(5 * r))))

    return formula


def learned(dtype: str) -> Learned:
    """Over embeddings of 4 numbers; every weight is drawn at random, for zero biases would hide mistakes."""
    layer = Learned([7, 5], dtype=dtype)
    layer(np.zeros((1, 4), dtype), np.zeros((1, 4), dtype))
    generator = np.random.default_rng(0)
    layer.set_weights([generator.normal(scale=0.4, size=weight.shape) for weight in layer.get_weights()])
    return layer


SIMILARITIES = {  # dtype -> the Keras layer, and the formula of that layer
    "cosine": (lambda dtype: Cosine(dtype=dtype), lambda layer: cosine),
    "euclidean": (
        lambda dtype: Euclidean(0.7, dtype=dtype),
        lambda layer: lambda u, v: 1 / (1 + np.linalg.norm(u - v, axis=1) / 0.7),
    ),
    "manhattan": (
        lambda dtype: Manhattan(dtype=dtype),
        lambda layer: lambda u, v: np.exp(-np.abs(u - v).sum(axis=1)),
    ),
    "learned": (learned, learned_formula),
}


@st.composite
def embedded_pairs(draw) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of pairs, `float64[pairs, 4]` twice; zero, equal and opposite ones among them."""
    pairs = draw(st.integers(1, 4))
    elements = st.integers(-30, 30).map(lambda n: n / 10)
    u = draw(arrays(float, (pairs, 4), elements=elements))
    v = draw(st.one_of(arrays(float, (pairs, 4), elements=elements), st.just(u), st.just(-u), st.just(0 * u)))
    return u, v


@pytest.fixture(scope="module", params=SIMILARITIES)
def similarity(request) -> tuple[Callable[[str], keras.layers.Layer], keras.layers.Layer, Callable]:
    build, formula = SIMILARITIES[request.param]
    layer = build("float32")
    return build, layer, formula(layer)


@given(pairs=embedded_pairs())
def test_each_similarity_is_its_formula_in_keras_and_in_numpy(similarity, pairs):
    _, layer, formula = similarity
    u, v = (each.astype(np.float32) for each in pairs)
    part = getattr(in_numpy, type(layer).__name__)
    weights = {name: np.asarray(value) for name, value in part.keras_weights(layer).items()}
    twin = part(lambda name, *shape: weights[name], 4, **part.keras_settings(layer))
    expected = formula(*pairs)
    np.testing.assert_allclose(layer(u, v), expected, atol=2e-5)
    np.testing.assert_allclose(twin(u, v), expected, atol=2e-5)
    if layer.matrix_is_similarity:
        np.testing.assert_allclose(np.diagonal(layer.matrix(u, v)), expected, atol=1e-2 if (u == v).any() else 1e-4)


@FEW
@given(pairs=embedded_pairs(), seed=st.integers(0, 99))
def test_each_gradient_of_a_similarity_is_its_slope(similarity, pairs, seed):
    """Away from equal and zero entries, where |u - v| or a length has a corner."""
    build, _, _ = similarity
    layer = build("float64")
    nudge = np.random.default_rng(seed).uniform(0.01, 0.04, (2, *pairs[0].shape))
    inputs = [pairs[0] + nudge[0], pairs[1] - nudge[1]]
    assert_slope(layer, SIMILARITIES[type(layer).__name__.lower()][1](layer), inputs, seed)
