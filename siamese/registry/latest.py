"""Latest: the champion and the detector that was trained last, of a SQLite store, without MLflow, which takes seconds to start.

The registry's aliases are read from the store itself. `mlflow.db.newest.json` beside `mlflow.db` names the detector of the
plain training that finished last on this machine. A run deleted in the MLflow UI stays the latest until the next training,
or until its files are gone.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from siamese.data.folders import atomic_file

SQLITE = "sqlite:///"
CHAMPION = """
    SELECT version.run_id, logged.artifact_location
    FROM registered_model_aliases AS alias
    JOIN model_versions AS version ON version.name = alias.name AND version.version = alias.version
    JOIN logged_models AS logged ON 'models:/' || logged.model_id = version.source
    WHERE alias.name = ? AND alias.alias = 'champion'
"""


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


def champion(uri: str, model: str) -> tuple[str, Path] | None:
    """Run id and folder of the champion of a registered model; None if the store is no SQLite file, or has none.

    None, too, if the tables are not those of MLflow 3: then MLflow itself is asked.
    """
    file = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as store:
            found = store.execute(CHAMPION, (model,)).fetchone()
    except sqlite3.Error:
        return None
    return (found[0], moved(found[1], uri)) if found else None


def moved(location: str, uri: str) -> Path:
    """The folder of artifacts that a store names; that beside the store, if both were moved together.

    Artifacts lie in the folder mlruns beside a SQLite store unless its user chose another one.
    """
    folder = Path(location.removeprefix("file://"))
    if folder.is_dir() or not uri.startswith(SQLITE) or "mlruns" not in folder.parts:
        return folder
    within = folder.parts[len(folder.parts) - folder.parts[::-1].index("mlruns") :]
    beside = Path(uri.removeprefix(SQLITE)).parent.joinpath("mlruns", *within)
    return beside if beside.is_dir() else folder


def _file(uri: str) -> Path | None:
    return Path(uri.removeprefix(SQLITE) + ".newest.json") if uri.startswith(SQLITE) else None
