"""Newest: which detector was trained last, in a small file beside the store.

`mlflow.db` gets `mlflow.db.newest.json`, so that asking the newest detector takes milliseconds; MLflow
alone takes seconds to start. The file names the detector of the run that finished last on this machine,
whatever was done to the run since: a run deleted in the MLflow UI stays the newest until the next
training, or until its files are gone.
"""

import json
import os
import tempfile
from pathlib import Path

SQLITE = "sqlite:///"


def note(uri: str, run: str, detector: Path) -> None:
    """Make a detector the newest of a store; a store that is no SQLite file keeps no note.

    Args:
        uri: of the tracking store.
        run: id of the finished run that left the detector.
        detector: its folder.
    """
    file = _file(uri)
    if file is None:
        return
    detector = detector.resolve()
    beside = file.parent.resolve()
    # relative where it can be, so that store and detectors can be moved together
    folder = detector.relative_to(beside) if detector.is_relative_to(beside) else detector
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=beside, prefix=file.name, delete=False) as written:
        json.dump({"run": run, "detector": folder.as_posix()}, written)
    os.replace(written.name, file)  # at once: nobody ever reads half of it


def find(uri: str) -> tuple[str, Path] | None:
    """Run id and detector folder of the newest detector of a store; None if it has no note, or the folder is gone."""
    file = _file(uri)
    if file is None or not file.is_file():
        return None
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        run, folder = noted["run"], file.parent / noted["detector"]
    except (ValueError, KeyError, TypeError):
        return None  # MLflow knows as well
    return (run, folder) if folder.is_dir() else None


def _file(uri: str) -> Path | None:
    return Path(uri.removeprefix(SQLITE) + ".newest.json") if uri.startswith(SQLITE) else None
