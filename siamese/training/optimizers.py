"""Optimizers and learning rate schedules."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops


class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) that updates only the rows of an embedding table that a batch used.

    A dense step over a table of 30,000 × 300 weights costs more than the tower itself. Rows that a
    batch does not use keep their weights and moments; all other variables get plain Adam.
    """

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update `variable` by one step; a sparse gradient updates only its rows."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rows, position = tf.unique(gradient.indices)
        slope = tf.cond(  # those of one tower have no row twice
            tf.size(rows) < tf.size(position),
            lambda: tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows)),
            lambda: gradient.values,
        )
        index = self._get_variable_index(variable)
        first, second = self._momentums[index].value, self._velocities[index].value
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = learning_rate * tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        m = self.beta_1 * tf.gather(first, rows) + (1.0 - self.beta_1) * slope
        v = self.beta_2 * tf.gather(second, rows) + (1.0 - self.beta_2) * tf.square(slope)
        first.scatter_update(tf.IndexedSlices(m, rows))
        second.scatter_update(tf.IndexedSlices(v, rows))
        moved = tf.gather(variable, rows) - rate * m / (tf.sqrt(v) + self.epsilon)
        variable.scatter_update(tf.IndexedSlices(moved, rows))  # scatter_sub takes twice as long


class Scheduled(keras.optimizers.schedules.LearningRateSchedule):
    """`peak` times a factor in [0, 1]: linear warm-up, then `decay`.

    Args:
        peak: the highest learning rate, above 0.
        steps: training steps in all.
        warmup_share: share of the steps in which the rate grows from 0 to `peak`, in [0, 1).
        decay: progress after the warm-up, a tensor in [0, 1] -> factor in [0, 1].
    """

    def __init__(self, peak: float, steps: int, warmup_share: float, decay: Callable):
        if not peak > 0:
            raise ValueError(f"optimizer.learning_rate must be above 0, got {peak}")
        if not 0 <= warmup_share < 1:
            raise ValueError(f"schedule.warmup_share must lie in [0, 1), got {warmup_share}")
        self.peak = peak
        self.warmup = max(warmup_share * steps, 1.0)
        self.rest = max(steps - self.warmup, 1.0)
        self.decay = decay

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Learning rate of step `step`, counted from 0."""
        step = ops.cast(step, "float32")
        progress = ops.clip((step - self.warmup) / self.rest, 0.0, 1.0)
        return self.peak * ops.minimum((step + 1.0) / self.warmup, 1.0) * self.decay(progress)


def constant(peak: float, steps: int, warmup_share: float = 0.05) -> Scheduled:
    """Warm-up, then constant at `peak`."""
    return Scheduled(peak, steps, warmup_share, lambda progress: 1.0)


def linear(peak: float, steps: int, warmup_share: float = 0.05) -> Scheduled:
    """Warm-up, then linear decay to 0."""
    return Scheduled(peak, steps, warmup_share, lambda progress: 1.0 - progress)


def cosine(peak: float, steps: int, warmup_share: float = 0.05) -> Scheduled:
    """Warm-up, then cosine decay to 0 (Loshchilov & Hutter 2017)."""
    return Scheduled(peak, steps, warmup_share, lambda progress: 0.5 * (1.0 + ops.cos(math.pi * progress)))


def adam(schedule: Callable, steps: int, learning_rate: float = 0.002) -> keras.optimizers.Optimizer:
    """Lazy Adam; `schedule` is one of the functions above without its arguments `peak` and `steps`."""
    return LazyAdam(schedule(learning_rate, steps))


def sgd(schedule: Callable, steps: int, learning_rate: float, momentum: float) -> keras.optimizers.Optimizer:
    """Stochastic gradient descent with Nesterov momentum in [0, 1)."""
    return keras.optimizers.SGD(schedule(learning_rate, steps), momentum=momentum, nesterov=momentum > 0)
