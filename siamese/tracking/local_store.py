"""The local store: where runs go on while the store that they belong to is silent, until it is back and gets what waits.

Each run that is under way has a continuation in the local store, whose tag `continues` names it.
"""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from siamese.tracking.provenance import process, process_is_dead
from siamese.tracking.sending import CONTINUES, SOURCE, STORE, send
from siamese.tracking.silence import is_silence, reason, shown, tell

UNFINISHED = Path("outputs/unfinished")  # in the working directory: what interrupted runs and silent stores leave
UNSENT = "unsent-"  # starts the names of its folders with a local store
ANSWER_SECONDS = 4  # that a server may take before it is asked a second time, and then is silent


@dataclass
class _Outage:
    uri: str
    experiment: str
    folder: Path
    looked: float
    continuations: dict[str, str] = field(default_factory=dict)  # run of the store -> run of the local one


_outage: _Outage | None = None
_experiment = ""


def of_experiment(name: str) -> None:
    """Name the experiment that runs of this process belong to."""
    global _experiment
    _experiment = name


def experiment_id() -> str:
    """The id of this process' experiment in the current store."""
    return mlflow.set_experiment(_experiment).experiment_id


def silent_store() -> str:
    """URI of the store whose runs go on in the local one; "" while none do."""
    return "" if _outage is None else _outage.uri


def seconds_since_look() -> float:
    """How long ago it was looked whether the silent store is back; 0 without one."""
    return 0 if _outage is None else time.monotonic() - _outage.looked


def goes_on_without(uri: str) -> bool:
    """Whether runs of this process go on in a local store because the store `uri` is silent, now again."""
    return _outage is not None and _outage.uri == uri and not look()


def continuation(run: str) -> str:
    """The run that is written to in place of a run of the store: itself, unless the store is silent."""
    if _outage is None or run in _outage.continuations.values():
        return run
    if run not in _outage.continuations:
        made = mlflow.MlflowClient().create_run(experiment_id(), tags={CONTINUES: run})
        _outage.continuations[run] = made.info.run_id
    return _outage.continuations[run]


def leave() -> tuple[str, Path]:
    """Leave the local store as it is; the URI of the silent one, and the folder in which what was logged waits."""
    global _outage
    assert _outage is not None
    left, _outage = _outage, None
    mlflow.set_tracking_uri(left.uri)
    return left.uri, left.folder


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


def begin(problem: Exception) -> None:
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


def look() -> bool:
    """Whether the store is back and has got what waits; then the runs under way go on in it."""
    global _outage
    assert _outage is not None
    _outage.looked = time.monotonic()
    if _outage.uri.startswith("http") and not server_answers(_outage.uri):
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


def server_answers(uri: str) -> bool:
    """Whether a tracking server answers within ANSWER_SECONDS."""
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it wants to know who asks
    except OSError:
        return False
    return True
