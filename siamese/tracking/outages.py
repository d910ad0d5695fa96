"""Outages: a store that stops answering costs nothing. Its runs go on in a local store and are sent to it when it is back.

Each run that is under way has a continuation in the local store, whose tag `continues` names it.
"""

import json
import logging
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import mlflow
import sqlalchemy
from mlflow.exceptions import MlflowException

from siamese.tracking.interrupts import defer_interrupts
from siamese.tracking.provenance import process, process_is_dead
from siamese.tracking.sending import CONTINUES, SOURCE, STORE, send

UNFINISHED = Path("outputs/unfinished")  # in the working directory: what interrupted runs and silent stores leave
UNSENT = "unsent-"  # starts the names of its folders with a local store
SILENT = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE")  # MLflow's codes of errors by which a store does not answer
ANSWER_SECONDS = 4  # that a server may take before it is asked a second time, and then is silent
RETURN_SECONDS = 10  # that a run which has ended waits for its store
LOOK_SECONDS = 60  # between two looks whether it is back
P = ParamSpec("P")
T = TypeVar("T")


class UnsentError(ValueError):
    """A run has ended, and its store is still silent."""


@dataclass
class _Outage:
    uri: str
    experiment: str
    folder: Path
    looked: float
    continuations: dict[str, str] = field(default_factory=dict)  # run of the store -> run of the local one


_outage: _Outage | None = None
_experiment = ""


def prepare(uri: str, experiment: str) -> None:
    """Let nothing wait long for a store that this process uses from now on, nor MLflow report of it by tracebacks.

    Raises:
        ValueError: no server answers.
    """
    global _experiment
    _experiment = experiment
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(ANSWER_SECONDS))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(2 * ANSWER_SECONDS))
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith("http") and not _server_answers(uri):
        raise ValueError(
            f"no tracking server answers at {uri}; start it (make server), or give another tracking.uri, such as "
            "sqlite:///mlflow.db"
        )


def writing(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that writes to runs: it is not interrupted, and repeated in a local store if theirs is silent.

    Raises:
        OSError: neither can be written to.
    """

    @wraps(function)
    def write(*arguments: P.args, **options: P.kwargs) -> T:
        with defer_interrupts():
            if _outage is not None and time.monotonic() - _outage.looked > LOOK_SECONDS:
                _look()
            try:
                return function(*arguments, **options)
            except Exception as problem:
                if not _is_silence(problem):
                    raise
                _begin(problem)
            return function(*arguments, **options)

    return write


def continuation(run: str) -> str:
    """The run that is written to in place of a run of the store: itself, unless the store is silent."""
    if _outage is None or run in _outage.continuations.values():
        return run
    if run not in _outage.continuations:
        experiment = mlflow.set_experiment(_outage.experiment)
        made = mlflow.MlflowClient().create_run(experiment.experiment_id, tags={CONTINUES: run})
        _outage.continuations[run] = made.info.run_id
    return _outage.continuations[run]


def settle(wait: bool) -> str:
    """Send what waits, after a run has ended; if its store is still silent, a sentence that says so, else "".

    Args:
        wait: for a store that is still silent, some seconds.
    """
    global _outage
    if _outage is None:
        return ""
    ends = time.monotonic() + (RETURN_SECONDS if wait and mlflow.active_run() is None else 0)
    while not _look() and time.monotonic() < ends:
        time.sleep(0.5)
    if _outage is None or mlflow.active_run() is not None:
        return ""
    left, _outage = _outage, None
    mlflow.set_tracking_uri(left.uri)
    return (
        f"the tracking store {shown(left.uri)} does not answer; what was logged waits in {left.folder}: when it is back, send "
        "it with: python -m experiments.recover"
    )


def waiting(folder: Path) -> list[Path]:
    """The folders in a folder with a local store whose process has ended."""
    found = sorted(file.parent for file in folder.glob(f"{UNSENT}*/{STORE}"))
    return [
        each for each in found if process_is_dead(json.loads((each / STORE).read_text(encoding="utf-8"))["process"])
    ]


def recover(folder: Path) -> list[str]:
    """Send the runs of a folder with a local store, and delete it; their ids in the store that they belong to.

    Raises:
        OSError: the store does not answer.
    """
    try:
        sent = send(folder)
    except Exception as problem:
        if not _is_silence(problem):
            raise
        raise OSError(f"what waits in {folder} could not be sent: {reason(problem)}") from None
    shutil.rmtree(folder)
    return sent


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


def _is_silence(problem: Exception) -> bool:
    if isinstance(problem, MlflowException):
        return problem.error_code in SILENT
    package = type(problem).__module__.partition(".")[0]
    return package in ("requests", "urllib3", "sqlalchemy", "sqlite3")


def _begin(problem: Exception) -> None:
    """Go on with the runs of this process in a local store."""
    global _outage
    silent = mlflow.get_tracking_uri()
    if _outage is not None or mlflow.active_run() is None:
        raise OSError(f"cannot write to the tracking store {shown(silent)}: {reason(problem)}") from None
    folder = UNFINISHED / f"{UNSENT}{uuid.uuid4().hex[:8]}"
    tell(
        f"the tracking store {shown(silent)} does not answer ({reason(problem)}); the run goes on, and what it logs waits in "
        f"{folder}"
    )
    try:
        folder.mkdir(parents=True)
        source = {SOURCE: silent, "experiment": _experiment, "process": process()}
        with os.fdopen(os.open(folder / STORE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(source, file)  # which only the user may read: the URI may hold a password
        mlflow.set_tracking_uri(f"sqlite:///{folder.absolute()}/mlflow.db")
        mlflow.create_experiment(_experiment, artifact_location=str(folder.absolute() / "artifacts"))
        mlflow.set_experiment(_experiment)
    except Exception as second:  # of a full disk, mostly
        mlflow.set_tracking_uri(silent)
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(
            f"cannot write to the tracking store {shown(silent)} ({reason(problem)}), nor to {folder} "
            f"({reason(second)})"
        ) from None
    _outage = _Outage(silent, _experiment, folder, time.monotonic())
    _move({})


def _look() -> bool:
    """Whether the store is back and has got what waits; then the runs under way go on in it."""
    global _outage
    assert _outage is not None
    _outage.looked = time.monotonic()
    if _outage.uri.startswith("http") and not _server_answers(_outage.uri):
        return False
    try:
        send(_outage.folder)
    except Exception as problem:
        if not _is_silence(problem):
            raise
        return False
    back, _outage = _outage, None
    mlflow.set_tracking_uri(back.uri)
    mlflow.set_experiment(back.experiment)
    _move({local: run for run, local in back.continuations.items()})
    shutil.rmtree(back.folder)
    tell(f"the tracking store {shown(back.uri)} is back and has what waited for it")
    return True


def _move(known: dict[str, str]) -> None:
    """Make the runs under way those of the current store: its own that are known, or continuations."""
    active = []
    while run := mlflow.active_run():
        active.append(run)
        with suppress(MlflowException):  # the store, which is the new one already, does not know the run
            mlflow.end_run()
    for run in reversed(active):
        own, nested = run.info.run_id, run is not active[-1]
        if own in known:
            mlflow.start_run(run_id=known[own], nested=nested)
        else:
            made = mlflow.start_run(run_name=run.info.run_name, nested=nested, tags={CONTINUES: own})
            assert _outage is not None
            _outage.continuations[own] = made.info.run_id


def _server_answers(uri: str) -> bool:
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it wants to know who asks
    except OSError:
        return False
    return True
