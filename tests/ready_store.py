"""New SQLite stores of MLflow are copies of one: its migrations take seconds."""

import sqlite3
import tempfile
from functools import cache
from pathlib import Path

import mlflow.store.db.utils as database
import sqlalchemy

_migrate = database._initialize_tables


@cache
def migrated() -> sqlite3.Connection:
    """A database in memory with the tables that MLflow's own migrations make."""
    connection = sqlite3.connect(":memory:")
    with tempfile.TemporaryDirectory() as folder:
        engine = sqlalchemy.create_engine(f"sqlite:///{Path(folder) / 'mlflow.db'}", poolclass=sqlalchemy.NullPool)
        _migrate(engine)
        with sqlite3.connect(Path(folder) / "mlflow.db") as file:
            file.backup(connection)
        file.close()
    return connection


def _copy(engine: sqlalchemy.Engine) -> None:
    if engine.dialect.name != "sqlite":
        return _migrate(engine)
    with sqlite3.connect(str(engine.url.database)) as file:
        migrated().backup(file)
    file.close()


def copy_instead_of_migrating() -> None:
    """Let MLflow make the SQLite stores of this process, and of those forked from it, so."""
    database._initialize_tables = _copy
