"""Products of vectors with a matrix of weights, fast for a few vectors too.

OpenBLAS copies a matrix before it multiplies, which for a few rows takes longer than the product. Its kernels for AVX-512 read
it where it lies if they hold the product for small, fastest where a few columns lie in one piece. For them the weights are
kept a second time, in blocks of columns.
"""

import numpy as np

from siamese.inference.threads import has_avx512_kernels

IN_BLOCKS = has_avx512_kernels()
COLUMNS = 64  # of a block: four registers
SMALL = 10**6  # multiplications of a product that OpenBLAS holds for small


class Product:
    """x W + b: `float32[n, width]` -> `float32[n, units]`.

    OpenBLAS sums a single row in another order than several, so it is computed twice: with the kernels for AVX-512 a row has
    the same bits alone, among few and, at most widths from 64 on, among many.

    Args:
        kernel: W, `float32[width, units]`.
        bias: b, `float32[units]`; None for zeros.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray | None = None):
        self._kernel, self._bias = kernel, bias
        self._few = 0  # rows that are multiplied in blocks
        if IN_BLOCKS:
            self._few, self._blocks = SMALL // (COLUMNS * len(kernel)), in_blocks(kernel)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if len(x) == 1:
            return self(np.concatenate([x, x]))[:1]
        y = self._of_few(x) if 0 < len(x) <= self._few else x @ self._kernel
        if self._bias is not None:
            y += self._bias
        return y

    def _of_few(self, x: np.ndarray) -> np.ndarray:
        y = np.empty((len(x), len(self._blocks) * COLUMNS), np.float32)
        np.matmul(x, self._blocks, out=y.reshape(len(x), len(self._blocks), COLUMNS).swapaxes(0, 1))
        return y[:, : self._kernel.shape[1]]


def in_blocks(kernel: np.ndarray) -> np.ndarray:
    """A matrix, `float32[width, units]`, in blocks of columns, `float32[blocks, width, COLUMNS]`; zeros fill up the last one."""
    width, units = kernel.shape
    filled = np.zeros((width, -(-units // COLUMNS) * COLUMNS), np.float32)
    filled[:, :units] = kernel
    return np.ascontiguousarray(filled.reshape(width, -1, COLUMNS).swapaxes(0, 1))
