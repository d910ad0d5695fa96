"""Products: the large matrix products of own layers, in the precision that training asks for."""

import keras
import tensorflow as tf


class Multiplying(keras.layers.Layer):
    """A layer with one large matrix product.

    Attributes:
        product_dtype: what it is computed in; its result is float32 again.
    """

    product_dtype = "float32"

    def product(self, vectors: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """`float32[n, width]`, `float32[width, columns]` -> `float32[n, columns]`."""
        multiplied = tf.matmul(tf.cast(vectors, self.product_dtype), tf.cast(kernel, self.product_dtype))
        return tf.cast(multiplied, tf.float32)
