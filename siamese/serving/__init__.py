"""Serving: the HTTP server, and the model that MLflow loads."""

from typing import Any

OLD_NAMES = ("ANSWERS", "answers")  # which models saved by earlier versions import from here, or from scoring_server


def __getattr__(name: str) -> Any:
    if name not in OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from siamese.serving import mlflow_table  # starts MLflow, which no server needs

    return getattr(mlflow_table, name)
