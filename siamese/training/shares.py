"""Shares of embedding and lexical blocks in the similarity, fitted on dev after training (stacking, Wolpert 1992).

The embedding knows the training pairs too well to be weighed on them.
"""

from collections.abc import Callable

import keras
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from siamese.data.pairs import QuestionPairs
from siamese.model.hybrid import BLOCKS
from siamese.text import lexicon

SCALE = 10.0  # of the cosine in the logarithm of the odds, at first
PRIOR = 50.0  # weight of the squared distance from the shares at the start, beside the log-loss of the pairs


def fit_shares(
    network: keras.Model, encode: Callable[[], np.ndarray], dev: QuestionPairs, score: Callable[[], float]
) -> dict[str, float]:
    """Fit the shares of a network with lexical blocks, if it has any; they stay where dev scores no better with others.

    Args:
        network: with the weights of its best epoch.
        encode: embeddings `float32[questions, dimension]` of the questions of dev by the network as it is.
        dev: the pairs.
        score: of the network as it is, by dev, larger is better.

    Returns:
        The shares by the names of the blocks, of sum 1; nothing for a network without them.
    """
    layers = [layer for layer in network.get_layer("tower").layers if layer.name == BLOCKS]
    if not layers:
        return {}
    [layer] = layers
    before, start = score(), np.array(layer.shares)
    layer.shares.assign(np.full_like(start, 1 / len(start)))
    cosines = len(start) * block_cosines(encode(), layer.widths, dev)
    layer.shares.assign(fitted_shares(cosines, dev.duplicate, start))
    if score() <= before:
        layer.shares.assign(start)
    return dict(zip(("embedding", *lexicon.BLOCKS), np.array(layer.shares).tolist(), strict=True))


def block_cosines(embeddings: np.ndarray, widths: list[int], pairs: QuestionPairs) -> np.ndarray:
    """What each block adds to the cosine of each pair, `float64[pairs, blocks]`; `widths` are those of the last blocks."""
    cuts = embeddings.shape[1] - np.cumsum([width + 1 for width in reversed(widths)])[::-1]
    products = embeddings[pairs.left].astype(np.float64) * embeddings[pairs.right]
    return np.add.reduceat(products, [0, *cuts], axis=1)


def fitted_shares(cosines: np.ndarray, duplicate: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Shares that are at least 0 and add up to 1: those of a logistic regression, drawn towards the ones at the start.

    Args:
        cosines: `float64[pairs, blocks]`.
        duplicate: `bool[pairs]`.
        start: `float32[blocks]`, of sum 1.

    Returns:
        `float32[blocks]`.
    """
    sign = np.where(duplicate, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        offset, weights = parameters[0], parameters[1:]
        shares = weights / weights.sum()
        apart = shares - start
        margin = sign * (cosines @ weights - offset)
        slope = -sign * expit(-margin)
        of_weights = slope @ cosines + 2 * PRIOR * (apart - shares @ apart) / weights.sum()
        return float(PRIOR * apart @ apart - log_expit(margin).sum()), np.array([-slope.sum(), *of_weights])

    first = SCALE * np.array([0.5, *start], np.float64)
    bounds = [(None, None), *[(0, None)] * len(start)]
    weights = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x[1:]
    return (weights / weights.sum()).astype(np.float32)
