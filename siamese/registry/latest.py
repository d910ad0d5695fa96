"""Latest: the detector that was trained last, in a small file beside the store.

Reading `mlflow.db.newest.json` beside `mlflow.db` takes milliseconds; MLflow takes seconds to start. The file names the
detector of the run that finished last on this machine. A run deleted in the MLflow UI stays the latest until the next
training, or until its files are gone.
"""

import json
from pathlib import Path

from siamese.data.folders import atomic_file

SQLITE = "sqlite:///"


def note(uri: str, run: str, detector: Path) -> None:
    """Record the folder of a finished run's detector as the latest of a store, if the store is a SQLite file."""
    file = _file(uri)
    if file is None:
        return
    detector = detector.resolve()
    beside = file.parent.resolve()
    # relative if possible, so that store and detectors can be moved together
    folder = detector.relative_to(beside) if detector.is_relative_to(beside) else detector
    with atomic_file(file) as written:
        json.dump({"run": run, "detector": folder.as_posix()}, written)


def find(uri: str) -> tuple[str, Path] | None:
    """Run id and folder of the latest detector of a store; None without a record, or if the folder is gone."""
    file = _file(uri)
    if file is None or not file.is_file():
        return None
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        run, folder = noted["run"], file.parent / noted["detector"]
    except (ValueError, KeyError, TypeError):
        return None  # MLflow knows it, too
    return (run, folder) if folder.is_dir() else None


def _file(uri: str) -> Path | None:
    return Path(uri.removeprefix(SQLITE) + ".newest.json") if uri.startswith(SQLITE) else None
