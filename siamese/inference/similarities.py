"""Similarities in NumPy: two embeddings -> a number in [0, 1]. The formulas and their reasons are in siamese/model/similarity.py.

Each takes `float32[pairs, dimension]` twice and gives `float32[pairs]`; each is symmetric to the bit.
"""

from collections.abc import Sequence

import numpy as np

EPSILON = np.float32(1e-12)


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """((1 + cos(u, v)) / 2)⁴."""
    apart = _unit(left) - _unit(right)
    return np.square(np.square(np.maximum(1 - _squares(apart) / 4, 0)))


def euclidean(left: np.ndarray, right: np.ndarray, scale: float) -> np.ndarray:
    """1 / (1 + |u - v|₂ / scale)."""
    distance = _norm(left - right)
    return 1 - distance / (distance + np.float32(scale))


def manhattan(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """exp(-|u - v|₁)."""
    return np.exp(-np.abs(left - right).sum(axis=-1))


def learned(
    left: np.ndarray,
    right: np.ndarray,
    hidden: Sequence[tuple[np.ndarray, np.ndarray]],
    output: tuple[np.ndarray, np.ndarray],
    ceiling: np.ndarray,
) -> np.ndarray:
    """sigmoid(c - softplus(c - m) · tanh(5 r)), with a ReLU network m of |u - v| and u·v.

    Args:
        left, right: the embeddings.
        hidden: kernel `float32[inputs, units]` and bias `float32[units]` of each ReLU layer.
        output: kernel `float32[units, 1]` and bias `float32[1]` of m.
        ceiling: c, `float32[]`.
    """
    difference = left - right
    dimension = left.shape[1]
    (kernel, bias), *others = *hidden, output
    x = np.abs(difference) @ kernel[:dimension]  # as the product of |u - v| and u·v side by side, without the copy
    x += (left * right) @ kernel[dimension:]
    x += bias
    for kernel, bias in others:
        x = np.maximum(x, 0, out=x) @ kernel
        x += bias
    below = np.logaddexp(np.float32(0), ceiling - x[:, 0])  # softplus
    r = _norm(difference) / (_norm(left) + _norm(right) + np.sqrt(EPSILON))
    return (1 + np.tanh((ceiling - below * np.tanh(5 * r)) / 2)) / 2  # sigmoid(x) = (1 + tanh(x / 2)) / 2


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.maximum(_squares(x), EPSILON))[:, None]


def _norm(x: np.ndarray) -> np.ndarray:
    square = _squares(x)
    return square / (np.sqrt(square + EPSILON) + np.sqrt(EPSILON))


def _squares(x: np.ndarray) -> np.ndarray:
    return np.einsum("pd,pd->p", x, x)
