"""Imports TensorFlow without its start-up messages. Import this module before any other that imports TensorFlow."""

import os

from siamese.model.silence import silent_stderr

with silent_stderr():
    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:  # several hosts must find each other before the first operation
        tf.constant(0)  # the devices announce themselves at the first operation
tf.get_logger().setLevel("ERROR")
