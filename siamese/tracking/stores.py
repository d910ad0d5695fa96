"""Tracking stores. A new store is created by one process at a time."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import mlflow
import sqlalchemy
from mlflow.exceptions import MlflowException

from siamese.data.locks import exclusive
from siamese.tracking import local_store, outages, silence
from siamese.tracking.child_runs import end_dead_runs
from siamese.tracking.views import save_missing_views

SQLITE = "sqlite:///"
WAIT_SECONDS = 60  # for another process that makes the store
SCHEME = re.compile(
    r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://|https?://|databricks(://|$)"
)  # that MLflow has a store for
FIRST_USE = 5_154_103  # the key of an advisory lock in PostgreSQL: any number that nothing else in the database uses


def connect(uri: str, experiment: str, artifacts: str | None = None) -> None:
    """Use a tracking store; create it and the experiment, with its views, if they do not exist.

    Args:
        uri: of the store, in MLflow's notation: sqlite:///mlflow.db, postgresql://user@host/database, http://….
        experiment: that runs belong to.
        artifacts: the folder, or URI, under which a new experiment keeps its artifacts, seen by all processes; by default
            MLflow chooses.

    Raises:
        ValueError: the experiment was made with other artifacts, no server answers, a SQLite file cannot be made, or the URI
            is that of no store.
    """
    _check_scheme(uri)
    if local_store.goes_on_without(uri):
        return
    outages.prepare(uri, experiment)
    file = _file_of(uri)
    if file is not None:
        there = next(each for each in file.parents if each.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise ValueError(
                f"cannot make {file}: {there} is no folder that can be written to; give another tracking.uri"
            )
    place = artifacts if artifacts is None or ":/" in artifacts else str(Path(artifacts).expanduser().absolute())
    mlflow.set_tracking_uri(uri)
    outages.patiently(partial(_use, uri, experiment, place))


def _use(uri: str, experiment: str, place: str | None) -> None:
    with _first_use(uri):
        found = mlflow.get_experiment_by_name(experiment)
        if found is None and place:
            mlflow.create_experiment(experiment, artifact_location=place)
        elif found and place and found.artifact_location.removeprefix("file://") != place:
            raise ValueError(
                f"the experiment {experiment} keeps its artifacts in {found.artifact_location}, not in {place}; "
                "name that place, or choose another tracking.experiment"
            )
        mlflow.set_experiment(experiment)
        if found is None:
            save_missing_views(experiment)
        else:
            end_dead_runs()


def open_store(uri: str, experiment: str) -> None:
    """Use a tracking store that exists, to read it: nothing is made.

    Raises:
        ValueError: there is no such store.
    """
    _check_scheme(uri)
    file = _file_of(uri)
    if file is not None and not file.is_file():
        raise ValueError(
            f"there is no tracking store {file.absolute()}; train first (make train), or give its tracking.uri"
        )
    outages.prepare(uri, experiment)
    mlflow.set_tracking_uri(uri)
    try:
        found = mlflow.get_experiment_by_name(experiment)
    except MlflowException as problem:
        raise ValueError(f"cannot read the tracking store {silence.shown(uri)}: {silence.reason(problem)}") from None
    if found is not None:
        mlflow.set_experiment(experiment)


def _check_scheme(uri: str) -> None:
    """Refuse what MLflow would refuse too late, or with the advice to use a folder, which tracks no models here."""
    if not SCHEME.match(str(uri)):
        raise ValueError(
            "tracking.uri must name a SQLite file, a database or a server: sqlite:///mlflow.db, postgresql://user@host/database "
            f"or http://host:5000; got {str(uri).rpartition('@')[2]}"
        )


def _file_of(uri: str) -> Path | None:
    """The file of a SQLite store."""
    return Path(uri.removeprefix(SQLITE)).expanduser().absolute() if uri.startswith(SQLITE) else None


@contextmanager
def _first_use(uri: str) -> Iterator[None]:
    """Lock out other processes while a store is created.

    A SQLite store that several processes create at once stays broken; on PostgreSQL all but one fail.
    """
    file = _file_of(uri)
    if file is not None:
        with exclusive(file, WAIT_SECONDS, silence.tell):
            yield
    elif uri.startswith("postgresql"):
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
        try:
            connection = engine.connect()
        except sqlalchemy.exc.OperationalError as problem:
            if uri in outages.answered:
                raise
            shown = engine.url.render_as_string(hide_password=True)
            raise ValueError(f"cannot open the tracking store {shown}: {problem.orig}") from None
        outages.answered.add(uri)
        with connection:  # the lock lasts as long as the connection, for processes on all hosts
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": FIRST_USE})
            yield
    else:
        yield
