"""The programs. Importing any of them keeps TensorFlow and MLflow silent; starting them is left to those that need them."""

import gc
import os
import signal
import sys


def _end(signum: int, frame: object) -> None:
    # an exception would get lost in some places of an import, or come out of it as another one
    os.write(2, b"interrupted\n")
    os._exit(130)


if sys.argv[:1] == ["-m"]:  # while Python looks for the program that it is to run; `report_user_errors` comes later
    signal.signal(signal.SIGINT, _end)

import logging  # noqa: E402 (what takes longer comes after that)

# with Python's own settings, importing TensorFlow and MLflow takes half a second longer
gc.set_threshold(10_000, 10, 10)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
for chatty in ("mlflow", "alembic", "absl", "matplotlib", "faiss"):
    logging.getLogger(chatty).setLevel(logging.ERROR)
