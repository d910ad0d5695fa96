"""Outages: a store that stops answering costs nothing. Its runs go on in a local store and are sent to it when it is back."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import mlflow
import sqlalchemy

from siamese.tracking import local_store
from siamese.tracking.interrupts import defer_interrupts
from siamese.tracking.local_store import ANSWER_SECONDS
from siamese.tracking.silence import SilentError, is_silence, reason, shown, tell

PATIENCE_SECONDS = 30  # that a read, the start of a run and its end wait for a store that has answered before
LOOK_SECONDS = 60  # between two looks whether it is back
P = ParamSpec("P")
T = TypeVar("T")


class UnsentError(ValueError):
    """A run has ended, and its store is still silent."""


answered: set[str] = set()  # URIs of the stores that this process has used


def prepare(uri: str, experiment: str) -> None:
    """Let nothing wait long for a store that this process uses from now on, nor MLflow report of it by tracebacks.

    Raises:
        ValueError: no server answers.
    """
    local_store.of_experiment(experiment)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(ANSWER_SECONDS))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(2 * ANSWER_SECONDS))
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith("http") and uri not in answered:
        if not local_store.server_answers(uri):
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
            if local_store.seconds_since_look() > LOOK_SECONDS:
                local_store.look()
            try:
                return function(*arguments, **options)
            except Exception as problem:
                if not is_silence(problem):
                    raise
                if mlflow.active_run() is None:
                    return patiently(partial(function, *arguments, **options))
                local_store.begin(problem)
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
            if local_store.silent_store() and not local_store.look():
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
                ("trial", store) if store else ("tracking", local_store.silent_store() or mlflow.get_tracking_uri())
            )
            what = f"the {kind} store {shown(uri)} does not answer ({reason(problem)})"
            if uri.startswith("sqlite") or (ends is not None and time.monotonic() > ends):
                raise SilentError(f"{what}; start this again when it is back") from None
        if ends is None:
            ends = time.monotonic() + PATIENCE_SECONDS
            tell(f"{what}; waiting up to {PATIENCE_SECONDS} s for it")
        time.sleep(0.5)


def settle(wait: bool) -> str:
    """Send what waits, after a run has ended; if its store is still silent, a sentence that says so, else "".

    Args:
        wait: for a store that is still silent, some seconds.
    """
    if not local_store.silent_store():
        return ""
    waits = wait and mlflow.active_run() is None
    ends = time.monotonic() + (PATIENCE_SECONDS if waits else 0)
    while not local_store.look() and time.monotonic() < ends:
        if waits:
            tell(f"the run has ended; waiting up to {PATIENCE_SECONDS} s for its store")
        waits = False
        time.sleep(0.5)
    if not local_store.silent_store() or mlflow.active_run() is not None:
        return ""
    uri, folder = local_store.leave()
    return (
        f"the tracking store {shown(uri)} does not answer; what was logged waits in {folder}: when it is back, send "
        "it with: python -m experiments.recover"
    )
