"""Optimizers and learning-rate schedules."""

import keras
import tensorflow as tf


class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) that touches only the rows of an embedding table that a batch used.

    A dense step over a table of 30,000 × 300 weights costs more than the tower itself. Rows that a
    batch does not use keep their weights and moments; all other variables get plain Adam.
    """

    def update_step(self, gradient, variable, learning_rate):
        if not isinstance(gradient, tf.IndexedSlices):
            return super().update_step(gradient, variable, learning_rate)
        rows, position = tf.unique(gradient.indices)
        slope = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
        first, second = (moments[self._get_variable_index(variable)] for moments in (self._momentums, self._velocities))
        step = tf.cast(self.iterations + 1, tf.float32)
        rate = learning_rate * tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        m = self.beta_1 * tf.gather(first.value, rows) + (1.0 - self.beta_1) * slope
        v = self.beta_2 * tf.gather(second.value, rows) + (1.0 - self.beta_2) * tf.square(slope)
        first.value.scatter_update(tf.IndexedSlices(m, rows))
        second.value.scatter_update(tf.IndexedSlices(v, rows))
        variable.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))
