"""A head's linear map in closed form: it spreads what tells questions apart, and shrinks what duplicates differ in.

Few pairs make few steps, which end near the identity that the map of `siamese.model.towers.project` starts as. Here it starts
as a linear discriminant (Fisher 1936): within-class whitening (Hatch et al. 2006) with shrunk covariances (Ledoit and Wolf
2004), which pairs give without classes, from the differences of duplicates (Koestinger et al. 2012).
"""

import math
from collections.abc import Callable

import keras
import numpy as np

from siamese.data.pairs import QuestionPairs

WITHIN_SHRINKAGE = 0.5  # weight of the identity beside the covariance within duplicates
BETWEEN_SHRINKAGE = 0.3  # mean variances of the identity that are added to the covariance between questions
BETWEEN_POWER = 0.25
ROUNDING = 1e-12  # of the largest eigenvalue
MAP = "projection"  # the layer


def start_head(
    tower: keras.Model, embeddings: np.ndarray, pairs: QuestionPairs, score: Callable[[], float] | None = None
) -> bool:
    """Set the linear map of a head to the discriminant, if it is the identity still; whether it was set.

    Args:
        tower: from `siamese.model.towers`.
        embeddings: `float32[questions, dimension]`, what the tower gives for the questions of the pairs.
        pairs: for training; some duplicates must differ.
        score: of the network as it is, by dev, larger is better; the map goes back where it makes it no larger.
    """
    layers = [layer for layer in tower.layers if layer.name == MAP]
    left, right = pairs.left[pairs.duplicate == 1], pairs.right[pairs.duplicate == 1]
    untrained = layers and np.array_equal(layers[0].kernel, np.eye(embeddings.shape[1]))
    if not untrained or np.array_equal(embeddings[left], embeddings[right]):
        return False
    before, identity = score() if score else -math.inf, layers[0].get_weights()
    layers[0].set_weights(discriminant(embeddings, left, right))
    if score and score() <= before:
        layers[0].set_weights(identity)
        return False
    return True


def discriminant(embeddings: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of x ↦ (x - mean) (B + b I)^(1/4) ((1 - a) W + a I)^(-1/2), with I of the mean variance of its matrix.

    W is the covariance within duplicates, (u - v)(u - v)ᵀ / 2 on average; B is the rest of the covariance of all questions.

    Args:
        embeddings: `float32[questions, n]`.
        left, right: `int[duplicates]`, positions of the questions of duplicate pairs, of which some differ.

    Returns:
        `float32[n, n]` and `float32[n]`; the mean square of what they give is that of the embeddings.
    """
    vectors = embeddings.astype(np.float64)
    differences = vectors[left] - vectors[right]
    within = differences.T @ differences / (2 * len(differences))
    mean = vectors.mean(axis=0)
    between = _power((vectors - mean).T @ (vectors - mean) / len(vectors) - within, 1.0)
    whitened = _power((1 - WITHIN_SHRINKAGE) * within + WITHIN_SHRINKAGE * _identity(within), -0.5)
    kernel = _power(between + BETWEEN_SHRINKAGE * _identity(between), BETWEEN_POWER) @ whitened
    given = (vectors - mean) @ kernel
    kernel *= np.sqrt(np.mean(vectors**2) / np.mean(given**2))
    return kernel.astype(np.float32), (-mean @ kernel).astype(np.float32)


def _identity(matrix: np.ndarray) -> np.ndarray:
    """The identity times the mean of the diagonal of `matrix`, `float64[n, n]`."""
    return np.eye(len(matrix)) * np.trace(matrix) / len(matrix)


def _power(matrix: np.ndarray, power: float) -> np.ndarray:
    """A power of a symmetric matrix, `float64[n, n]`; negative eigenvalues, from rounding or a difference, count as zero."""
    values, axes = np.linalg.eigh(matrix)
    return axes * np.maximum(values, ROUNDING * values[-1]) ** power @ axes.T
