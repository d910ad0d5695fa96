"""The programs. Importing any of them starts TensorFlow first, and keeps it and MLflow silent."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep what C++ libraries write to stderr from the user, unless the block fails."""
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


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
with _silent_stderr():
    import tensorflow as tf

    tf.constant(0)  # the devices announce themselves at the first operation
tf.get_logger().setLevel("ERROR")
for chatty in ("mlflow", "alembic", "absl", "matplotlib"):
    logging.getLogger(chatty).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=FutureWarning)
