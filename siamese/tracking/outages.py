"""Outages: a store that stops answering costs nothing. Its runs go on in a local store and are sent to it when it is back.

Each run that is under way has a continuation in the local store, whose tag `continues` names it.
"""

import json
import logging
import os
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import mlflow
import sqlalchemy
from mlflow.exceptions import MlflowException

from siamese.tracking.interrupts import defer_interrupts
from siamese.tracking.provenance import process, process_is_dead
from siamese.tracking.sending import CONTINUES, SOURCE, STORE, send
from siamese.tracking.silence import SilentError, is_silence, reason, shown, tell

UNFINISHED = Path("outputs/unfinished")  # in the working directory: what interrupted runs and silent stores leave
UNSENT = "unsent-"  # starts the names of its folders with a local store
ANSWER_SECONDS = 4  # that a server may take before it is asked a second time, and then is silent
PATIENCE_SECONDS = 30  # that a read, the start of a run and its end wait for a store that has answered before
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
answered: set[str] = set()  # URIs of the stores that this process has used


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
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith("http") and uri not in answered:
        if not _server_answers(uri):
            raise ValueError(
                f"no tracking server answers at {uri}; start it (make server), or give another tracking.uri, such as "
                "sqlite:///mlflow.db"
            )
        answered.add(uri)


def writing(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that writes to runs: it is not interrupted, and repeated in a local store if theirs is silent.

    Where no run is under way it is repeated as a patient one is.

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
                if not is_silence(problem):
                    raise
                if mlflow.active_run() is None:
                    return patiently(partial(function, *arguments, **options))
                _begin(problem)
            return function(*arguments, **options)

    return write


def patient(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that reads runs, or writes to one that has ended: it is repeated while their store is silent.

    Raises:
        SilentError: it stays silent.
    """

    @wraps(function)
    def repeat(*arguments: P.args, **options: P.kwargs) -> T:
        def attempt() -> T:
            if _outage is not None and not _look():
                raise sqlalchemy.exc.TimeoutError("it is not back yet")
            with defer_interrupts():
                return function(*arguments, **options)

        return patiently(attempt)

    return repeat


def patiently(attempt: Callable[[], T], store: str = "") -> T:
    """The result of an attempt that is repeated while a store is silent.

    Args:
        attempt: does no harm when it is repeated, whether or not the store has done what it did not confirm.
        store: URI of the store of a sweep's trials, if it is that.

    Raises:
        SilentError: it stays silent.
    """
    ends = None  # counted from the first silence, because an attempt itself may wait, as for a lock
    while True:
        try:
            return attempt()
        except Exception as problem:
            if not is_silence(problem):
                raise
            kind, uri = (
                ("trial", store) if store else ("tracking", _outage.uri if _outage else mlflow.get_tracking_uri())
            )
            what = f"the {kind} store {shown(uri)} does not answer ({reason(problem)})"
            if uri.startswith("sqlite") or (ends is not None and time.monotonic() > ends):
                raise SilentError(f"{what}; start this again when it is back") from None
        if ends is None:
            ends = time.monotonic() + PATIENCE_SECONDS
            tell(f"{what}; waiting up to {PATIENCE_SECONDS} s for it")
        time.sleep(0.5)


def goes_on_without(uri: str) -> bool:
    """Whether runs of this process go on in a local store because the store `uri` is silent, now again."""
    return _outage is not None and _outage.uri == uri and not _look()


def experiment_id() -> str:
    """The id of this process' experiment in the current store."""
    return mlflow.set_experiment(_experiment).experiment_id


def continuation(run: str) -> str:
    """The run that is written to in place of a run of the store: itself, unless the store is silent."""
    if _outage is None or run in _outage.continuations.values():
        return run
    if run not in _outage.continuations:
        made = mlflow.MlflowClient().create_run(experiment_id(), tags={CONTINUES: run})
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
    waits = wait and mlflow.active_run() is None
    ends = time.monotonic() + (PATIENCE_SECONDS if waits else 0)
    while not _look() and time.monotonic() < ends:
        if waits:
            tell(f"the run has ended; waiting up to {PATIENCE_SECONDS} s for its store")
        waits = False
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
        if not is_silence(problem):
            raise
        raise OSError(f"what waits in {folder} could not be sent: {reason(problem)}") from None
    shutil.rmtree(folder)
    return sent


def _begin(problem: Exception) -> None:
    """Go on with the runs of this process in a local store."""
    global _outage
    silent = mlflow.get_tracking_uri()
    if _outage is not None:
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
        if not is_silence(problem):
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
