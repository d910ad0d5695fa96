"""The programs. Importing any of them keeps TensorFlow and MLflow silent; starting them is left to those that need them."""

import siamese.commands  # noqa: F401, I001 (first, so that Ctrl-C is one line from here on)
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
for chatty in ("mlflow", "alembic", "absl", "matplotlib"):
    logging.getLogger(chatty).setLevel(logging.ERROR)
