"""Imports TensorFlow without its start-up messages, and with half of the cores for an operation.

Import this module before any other that imports TensorFlow. A tower's step is mostly many small operations, in chains that need
nothing from each other: two directions, widths of n-grams, gradients to inputs and to weights. Two chains side by side are
faster than every operation on all cores, which wait for each other. The environment variable goes before.
"""

import os

from siamese.model.silence import silent_stderr

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, CORES // 2)))
with silent_stderr():
    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:  # several hosts must find each other before the first operation
        tf.constant(0)  # the devices announce themselves at the first operation
tf.get_logger().setLevel("ERROR")
