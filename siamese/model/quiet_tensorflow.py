"""Imports TensorFlow without its start-up messages. Import this module before any other that imports TensorFlow."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide what C++ libraries write to stderr, unless the block fails."""
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(visible, hidden.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)


with _silent_stderr():
    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:  # several hosts must find each other before the first operation
        tf.constant(0)  # the devices announce themselves at the first operation
tf.get_logger().setLevel("ERROR")
