"""The limit: how fast the arithmetic alone could be, if all of it ran as fast as a large matrix product."""

from collections.abc import Sequence
from functools import partial

import tensorflow as tf

from experiments.benchmark.towers import MeasuredTower
from siamese.evaluation.timing import seconds_of

PASSES = 3  # forward, and backward once to the input and once to the weights, of the same size each


def flops_per_pair(tower: MeasuredTower, width: int, tokens: float) -> float:
    """Floating-point operations of a training step for each pair, whose two questions have `tokens` tokens together."""
    return PASSES * tokens * tower.flops_per_token(width)


class MatrixProduct:
    """A float32 product of two square matrices in TensorFlow, on all cores; warm from the start."""

    def __init__(self, sizes: Sequence[int]):
        self._matrices = {size: tf.random.normal((size, size)) for size in sizes}
        self._multiply = tf.function(tf.matmul)
        self.flops_per_second()

    def flops_per_second(self) -> float:
        """Floating-point operations per second at the size that does best."""
        return max(
            2 * size**3 / seconds_of(partial(self._multiply_once, matrix)) for size, matrix in self._matrices.items()
        )

    def _multiply_once(self, matrix: tf.Tensor) -> float:
        return float(self._multiply(matrix, matrix)[0, 0])
