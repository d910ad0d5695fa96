"""Tracking stores. A new store is created by one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import sqlalchemy
from filelock import FileLock

from siamese.tracking import outages
from siamese.tracking.views import save_missing_views

FIRST_USE = 5_154_103  # the key of an advisory lock in PostgreSQL: any number that nothing else in the database uses


def connect(uri: str, experiment: str, artifacts: str | None = None) -> None:
    """Use a tracking store; create it and the experiment, with its views, if they do not exist.

    Args:
        uri: of the store, in MLflow's notation: sqlite:///mlflow.db, postgresql://user@host/database, http://….
        experiment: that runs belong to.
        artifacts: the folder, or URI, under which a new experiment keeps its artifacts, seen by all processes; by default
            MLflow chooses. ValueError if the experiment was made with another one, or no server answers.
    """
    outages.prepare(uri, experiment)
    place = artifacts if artifacts is None or ":/" in artifacts else str(Path(artifacts).expanduser().absolute())
    mlflow.set_tracking_uri(uri)
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


@contextmanager
def _first_use(uri: str) -> Iterator[None]:
    """Lock out other processes while a store is created.

    A SQLite store that several processes create at once stays broken; on PostgreSQL all but one fail.
    """
    if uri.startswith("sqlite:///"):
        with FileLock(uri.removeprefix("sqlite:///") + ".lock"):  # the file stays: another process may wait for it
            yield
    elif uri.startswith("postgresql"):
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
        try:
            connection = engine.connect()
        except sqlalchemy.exc.OperationalError as problem:
            shown = engine.url.render_as_string(hide_password=True)
            raise ValueError(f"cannot open the tracking store {shown}: {problem.orig}") from None
        with connection:  # the lock lasts as long as the connection, for processes on all hosts
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": FIRST_USE})
            yield
    else:
        yield
