"""Losses: the error of a similarity, given the label.

Each loss takes the same four arguments and returns `float32[batch]`:

    label       float32[batch] in [0, 1], 1 meaning duplicate
    similarity  float32[batch] in [0, 1], of each pair
    matrix      float32[batch, batch], similarity of left question i and right question j
    negative    bool[batch, batch], true unless i and j are known duplicates

Losses that ignore the matrix cause no computation of it. `check(similarity)` raises ValueError if a loss cannot train
a similarity.
"""

from typing import Protocol, runtime_checkable

import keras
from keras import ops

CLIP = 1e-7  # similarities are kept this far from 0 and 1 before a logarithm


@runtime_checkable
class Loss(Protocol):
    """The interface of a loss. By default it trains every similarity."""

    def __call__(self, label, similarity, matrix, negative):
        """`float32[batch]`, the loss of each pair."""

    def check(self, similarity: keras.layers.Layer) -> None:
        """Raise ValueError if the loss cannot train the similarity."""
        return None


def check_loss(loss: Loss, similarity: keras.layers.Layer) -> None:
    """Raise ValueError if a loss cannot train a similarity; one that is a function alone is not asked."""
    if isinstance(loss, Loss):
        loss.check(similarity)


class BinaryCrossentropy(Loss):
    """-(y log s + (1 - y) log(1 - s)), in [0, 16.1]; labels between 0 and 1 are allowed.

    Args:
        label_smoothing: in [0, 1); labels move by this share towards 1/2 (Szegedy et al. 2016).
    """

    def __init__(self, label_smoothing: float = 0.0):
        _between("label_smoothing", label_smoothing, 0.0, 1.0)
        if label_smoothing == 1:
            raise ValueError("loss.label_smoothing must be below 1: with 1 all labels are alike")
        self.label_smoothing = label_smoothing

    def __call__(self, label, similarity, matrix, negative):
        """With label 1 and similarity 1/4 the loss is log 4."""
        label = label * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        similarity = ops.clip(similarity, CLIP, 1.0 - CLIP)
        return -(label * ops.log(similarity) + (1.0 - label) * ops.log(1.0 - similarity))


class SquaredError(Loss):
    """(y - s)², in [0, 1]; the natural choice for graded labels (Mueller & Thyagarajan 2016)."""

    def __call__(self, label, similarity, matrix, negative):
        """With label 1 and similarity 1/4 the loss is 9/16."""
        return ops.square(label - similarity)


class Contrastive(Loss):
    """y d² + (1 - y) max(0, m - d)² with the distance d = 1 - s (Hadsell et al. 2006, equation 4, doubled).

    Args:
        margin: m in (0, 1]; a negative pair has no loss from d = m on.
    """

    def __init__(self, margin: float = 0.5):
        _between("margin", margin, 0.0, 1.0)
        if margin == 0:
            raise ValueError("loss.margin must be above 0: with 0 no pair is ever pushed apart")
        self.margin = margin

    def __call__(self, label, similarity, matrix, negative):
        """With margin 1/2, label 0 and similarity 3/4: d = 1/4, so the loss is (1/2 - 1/4)² = 1/16."""
        distance = 1.0 - similarity
        apart = ops.square(ops.maximum(self.margin - distance, 0.0))
        return label * ops.square(distance) + (1.0 - label) * apart


class Ranking(Loss):
    """In-batch negatives ranking loss (Henderson et al. 2017), in both directions.

    For a duplicate pair i: the cross-entropy of softmax_j(s_ij / temperature) at j = i, over its partner and all
    questions that are not known duplicates; the mean of both directions. Negative pairs have no loss of their own;
    their questions are candidates for the others.

    Args:
        temperature: above 0; with a low one only the nearest candidates count.
    """

    def __init__(self, temperature: float = 0.05):
        if temperature <= 0:
            raise ValueError(f"loss.temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def __call__(self, label, similarity, matrix, negative):
        """Two duplicate pairs that all look alike: each must choose one of 2, so the loss is log 2."""
        own = ops.eye(ops.shape(label)[0], dtype="bool")
        logits = ops.where(ops.logical_or(own, negative), matrix / self.temperature, -1e9)
        partner = ops.diagonal(logits)
        forward = ops.logsumexp(logits, axis=1) - partner
        backward = ops.logsumexp(logits, axis=0) - partner
        return ops.where(label >= 0.5, 0.5 * (forward + backward), 0.0)

    def check(self, similarity: keras.layers.Layer) -> None:
        """Raise if the matrix is not computed by the similarity itself."""
        if not getattr(similarity, "matrix_is_similarity", False):
            raise ValueError(
                f"loss=ranking cannot train similarity={type(similarity).__name__.lower()}: it compares all questions of "
                "a batch by the cosine of their embeddings, which leaves the similarity's own layers untrained. "
                "Choose similarity=cosine, euclidean or manhattan, or loss=binary_crossentropy_and_ranking"
            )


class WeightedSum(Loss):
    """(1 - second_weight) · first + second_weight · second.

    Args:
        first, second: two losses.
        second_weight: weight of the second, in [0, 1].
    """

    def __init__(self, first: Loss, second: Loss, second_weight: float = 0.5):
        _between("second_weight", second_weight, 0.0, 1.0)
        self.first, self.second, self.second_weight = first, second, second_weight

    def __call__(self, label, similarity, matrix, negative):
        """Weighted sum of both losses on the same batch."""
        first, second = (each(label, similarity, matrix, negative) for each in (self.first, self.second))
        return (1.0 - self.second_weight) * first + self.second_weight * second

    def check(self, similarity: keras.layers.Layer) -> None:
        """Raise only if no part with a weight above 0 trains the similarity."""
        refusals = []
        for loss, weight in ((self.first, 1.0 - self.second_weight), (self.second, self.second_weight)):
            try:
                loss.check(similarity)
            except ValueError as refusal:
                refusals.append(refusal)
            else:
                if weight > 0:
                    return
        raise refusals[0]


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"loss.{name} must lie in [{low:g}, {high:g}], got {value}")
