"""Silence: which errors mean that a store does not answer, and how they are shown to a user."""

import re
import sys

import sqlalchemy
from mlflow.exceptions import MlflowException

SILENT = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")  # MLflow's codes of errors by which a store does not answer


class SilentError(OSError):
    """A store is still silent when patience ends."""


def shown(uri: str) -> str:
    """A URI without its password."""
    return sqlalchemy.engine.make_url(uri).render_as_string() if "@" in uri else uri


def reason(problem: BaseException) -> str:
    """What an error says, without the Python classes of its causes."""
    found = re.search(r"\[Errno \d+\] ([\w ]+)|(timed out)|\(\w+\.\w+\) ([^\n]+)", str(problem))
    return next(filter(None, found.groups())) if found else str(problem).partition("\n")[0]


def tell(note: str) -> None:
    """Print a note in the middle of a training."""
    print(f"note: {note}", file=sys.stderr, flush=True)


def is_silence(problem: BaseException) -> bool:
    """Whether an error of MLflow, Optuna or a driver says that a store does not answer."""
    if isinstance(problem, MlflowException) and problem.error_code in SILENT:
        return True
    cause = problem.__cause__  # of what MLflow and Optuna call a bad request, as they do all but one kind
    if isinstance(cause, sqlalchemy.exc.DBAPIError) and cause.connection_invalidated:
        return True
    if isinstance(cause, (sqlalchemy.exc.OperationalError, sqlalchemy.exc.PendingRollbackError)):
        return True
    package = type(problem).__module__.partition(".")[0]
    return package in ("requests", "urllib3", "sqlalchemy", "sqlite3")
