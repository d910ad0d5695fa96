"""Layers: what each layer of a tower computes, in NumPy. The formulas are those of siamese/model/layers.py
and lstm.py.

A layer that looks at neighbouring words works in two stages: what depends on a word alone is computed
once for each distinct word, as a table; the tokens then only gather and add. Row `source[token]` of a table
belongs to a token; behind a layer that gives each token a vector of its own, `source` is 0, 1, 2, …
"""

import itertools
from collections.abc import Sequence

import numpy as np

from siamese.inference.packing import Packing


def dense(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """x W + b: `float32[n, width]` -> `float32[n, units]`."""
    y = x @ kernel
    y += bias
    return y


def layer_normalization(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    """γ (x - mean) / √(variance + ε) + β over the last axis (Ba et al. 2016): `float32[n, width]` -> the same."""
    y = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("nw,nw->n", y, y)[:, None] / np.float32(x.shape[-1])
    y /= np.sqrt(variance + np.float32(epsilon))
    y *= gamma
    y += beta
    return y


def relu(x: np.ndarray, in_place: bool) -> np.ndarray:
    """max(x, 0)."""
    return np.maximum(x, np.float32(0), out=x if in_place else None)


def concatenate(*inputs: np.ndarray) -> np.ndarray:
    """Vectors side by side."""
    return np.concatenate(inputs, axis=-1)


def ngram_tables(
    x: np.ndarray, kernels: Sequence[Sequence[np.ndarray]], biases: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Every vector times every weight of some convolutions.

    Args:
        x: `float32[n, width]`.
        kernels: for each convolution and each word that it sees, `float32[width, filters]`.
        biases: for each convolution, `float32[filters]`; added to the table of the word that it stands at.

    Returns:
        `float32[n, filters]` for each of `kernels`, in the same order.
    """
    tables = []
    for words, bias in zip(kernels, biases, strict=True):
        for offset, kernel in zip(offsets(len(words)), words, strict=True):
            tables.append(x @ kernel if offset else dense(x, kernel, bias))
    return tables


def ngrams(
    tables: Sequence[np.ndarray], source: np.ndarray | None, packing: Packing, kernel_sizes: Sequence[int]
) -> np.ndarray:
    """Convolutions of several widths side by side, none looking beyond its question.

    Args:
        tables: from `ngram_tables`.
        source: `int64[tokens]`, the row of each token in them; None for 0, 1, 2, …
        packing: of the tokens.
        kernel_sizes: the widths, in words.

    Returns:
        `float32[tokens, len(kernel_sizes) * filters]`.
    """
    tokens, filters = packing.starts[-1], tables[0].shape[1]
    y = np.empty((tokens, len(kernel_sizes), filters), np.float32)
    buffer = np.empty((tokens, filters), np.float32)
    waiting = iter(tables)
    for convolution, size in enumerate(kernel_sizes):
        for number, offset in enumerate(offsets(size)):
            token, outside = packing.shifted(offset)
            table = next(waiting)
            # "clip" writes straight into `out`; all rows are in range
            np.take(table, token if source is None else source[token], axis=0, out=buffer, mode="clip")
            buffer[outside] = 0
            if number == 0:
                y[:, convolution] = buffer
            else:
                y[:, convolution] += buffer
    return y.reshape(tokens, -1)


def offsets(size: int) -> range:
    """The words that a convolution of this width sees, as Conv1D's "same" padding places them.

    >>> list(offsets(2)), list(offsets(3))
    ([0, 1], [-1, 0, 1])
    """
    return range(-((size - 1) // 2), size // 2 + 1)


def lstm_tables(x: np.ndarray, kernels: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> list[np.ndarray]:
    """x W + b of both reading directions of an LSTM.

    Args:
        x: `float32[n, width]`.
        kernels, biases: for each direction `float32[width, 4 * units]` and `float32[4 * units]`, see `halve_gates`.

    Returns:
        Two of `float32[n, 4 * units]`.
    """
    return [dense(x, kernel, bias) for kernel, bias in zip(kernels, biases, strict=True)]


def halve_gates(weights: np.ndarray) -> np.ndarray:
    """Halve the columns of the gates i, f, o and keep those of the candidate g, `float32[..., 4 * units]`.

    sigmoid(x) = (1 + tanh(x / 2)) / 2, so that one tanh over all columns serves gates and candidate alike.
    """
    units = weights.shape[-1] // 4
    return weights * np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), units)


def bidirectional_lstm(
    tables: Sequence[np.ndarray],
    source: np.ndarray | None,
    packing: Packing,
    recurrent_kernels: Sequence[np.ndarray],
) -> np.ndarray:
    """An LSTM from the first word of each question on, beside one from its last (Hochreiter & Schmidhuber 1997).

    z = x W + h R + b; i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g); c = f c + i g; h = o tanh(c).

    Args:
        tables: from `lstm_tables`.
        source: `int64[tokens]`, the row of each token in them; None for 0, 1, 2, …
        packing: of the tokens.
        recurrent_kernels: for each direction `float32[units, 4 * units]`, see `halve_gates`.

    Returns:
        `float32[tokens, 2 * units]`.
    """
    reverse, units = packing.reverse, len(recurrent_kernels[0])
    forward_row = np.arange(len(reverse)) if source is None else source
    h = np.empty((len(reverse), 2 * units), np.float32)
    _recurrence(tables[0], forward_row, packing.starts, recurrent_kernels[0], h[:, :units])
    backward = np.empty((len(reverse), units), np.float32)
    _recurrence(tables[1], forward_row[reverse], packing.starts, recurrent_kernels[1], backward)
    h[:, units:] = backward[reverse]
    return h


def _recurrence(
    table: np.ndarray, source: np.ndarray, starts: Sequence[int], recurrent_kernel: np.ndarray, h: np.ndarray
) -> None:
    """One direction of an LSTM; fills h, `float32[tokens, units]`."""
    units = h.shape[1]
    questions = starts[1] if len(starts) > 1 else 0
    c = np.zeros((questions, units), np.float32)
    z = np.empty((questions, 4 * units), np.float32)
    recurrent = np.empty_like(z)
    before = 0
    for start, end in itertools.pairwise(starts):
        n = end - start
        z, c, recurrent = z[:n], c[:n], recurrent[:n]  # only questions that still have a word
        np.take(table, source[start:end], axis=0, out=z, mode="clip")  # "clip" writes straight into `out`
        if start:
            z += np.matmul(h[before : before + n], recurrent_kernel, out=recurrent)
        np.tanh(z, out=z)
        gates, g = z[:, : 3 * units], z[:, 3 * units :]
        gates *= np.float32(0.5)
        gates += np.float32(0.5)
        i, f, o = gates[:, :units], gates[:, units : 2 * units], gates[:, 2 * units :]
        c *= f
        c += np.multiply(i, g, out=g)
        np.multiply(o, np.tanh(c, out=g), out=h[start:end])
        before = start


def pool_tables(x: np.ndarray) -> list[np.ndarray]:
    """The vectors themselves are the one table."""
    return [x]


def pool(
    tables: Sequence[np.ndarray], source: np.ndarray | None, packing: Packing, pooling: Sequence[str]
) -> np.ndarray:
    """Each question's words -> their mean, their maximum, or both side by side; zeros without any word.

    Args:
        tables: from `pool_tables`.
        source: `int64[tokens]`, the row of each token in them; None for 0, 1, 2, …
        packing: of the tokens.
        pooling: any of "mean", "max".

    Returns:
        `float32[questions, len(pooling) * width]`.
    """
    [vectors] = tables
    questions, width = len(packing.length), vectors.shape[1]
    pooled = np.zeros((questions, len(pooling), width), np.float32)
    buffer = np.empty((questions if source is not None else 0, width), np.float32)
    for start, end in itertools.pairwise(packing.starts):
        n, words = end - start, vectors[start:end]
        if source is not None:
            words = np.take(vectors, source[start:end], axis=0, out=buffer[:n], mode="clip")  # as in `_recurrence`
        for column, way in enumerate(pooling):
            so_far = pooled[:n, column]
            if start == 0:
                so_far[...] = words
            elif way == "mean":
                so_far += words
            else:
                np.maximum(so_far, words, out=so_far)
    if "mean" in pooling:
        pooled[:, list(pooling).index("mean")] /= np.maximum(packing.length, 1).astype(np.float32)[:, None]
    return pooled.reshape(questions, -1)


def pool_shares(
    tables: Sequence[np.ndarray], source: np.ndarray, packing: Packing, pooling: Sequence[str]
) -> np.ndarray:
    """What each token adds to its question's row of `pool`.

    To a mean it adds its vector divided by the number of words; a maximum comes whole from the first word that
    reaches it.

    Args:
        tables, source, packing, pooling: as in `pool`.

    Returns:
        `float32[tokens, len(pooling) * width]`; over a question's tokens they sum to its row, up to rounding.
    """
    vectors = tables[0][source]
    shares = np.zeros((len(vectors), len(pooling), vectors.shape[1]), np.float32)
    for question in range(len(packing.length)):
        tokens = np.flatnonzero(packing.question == question)
        for column, way in enumerate(pooling):
            if way == "mean":
                shares[tokens, column] = vectors[tokens] / np.float32(len(tokens))
            else:
                highest, width = vectors[tokens].argmax(axis=0), np.arange(vectors.shape[1])
                shares[tokens[highest], column, width] = vectors[tokens[highest], width]
    return shares.reshape(len(vectors), -1)
