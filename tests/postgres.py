"""A PostgreSQL of our own, where its programs are installed. Tests get at it by the fixture `postgres`."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]  # where Debian keeps what a user does not call
# PostgreSQL refuses to run as root
AS_ANOTHER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Cluster:
    """A server that only a socket reaches: its folder, and how psql and pg_ctl are called."""

    folder: Path
    psql: str
    control: list[str]

    def new_database(self, name: str) -> str:
        """The URI of a new database."""
        command = [self.psql, "-q", "-h", str(self.folder), "-U", "mlflow", "-d", "postgres"]
        subprocess.run([*command, "-c", f"CREATE DATABASE {name}"], check=True)
        return f"postgresql://mlflow@/{name}?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        subprocess.run([*self.control, "-o", options, "start"], check=True, cwd=self.folder)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: "immediate" as by a crash, "fast" as by an administrator."""
        subprocess.run([*self.control, "-m", mode, "stop"], check=False, cwd=self.folder)

    def restart(self, mode: str = "immediate", down: float = 0.0) -> None:
        """Stop it, and start it some seconds later."""
        self.stop(mode)
        time.sleep(down)
        self.start()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A new server; the test is skipped where it cannot be had."""
    initdb, pg_ctl, psql = _programs()
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # pytest's own folders are closed to other users
    if AS_ANOTHER:
        shutil.chown(folder, "postgres", "postgres")
    own = Cluster(folder, psql, [*AS_ANOTHER, pg_ctl, "-w", "-s", "-D", f"{folder}/data", "-l", f"{folder}/log"])
    try:
        create = [*AS_ANOTHER, initdb, "-D", f"{folder}/data", "-A", "trust", "-U", "mlflow", "--no-sync"]
        subprocess.run(create, check=True, capture_output=True, cwd=folder)
        own.start()
        yield own
    finally:
        own.stop()
        shutil.rmtree(folder)


def _programs() -> list[str]:
    """PostgreSQL's initdb, pg_ctl and psql."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver psycopg is not installed")
    path = os.pathsep.join([os.environ["PATH"], *map(str, BINARIES)])
    found = [shutil.which(name, path=path) for name in ("initdb", "pg_ctl", "psql")]
    if None in found:
        pytest.skip("PostgreSQL is not installed (initdb, pg_ctl and psql)")
    if AS_ANOTHER and (
        not shutil.which("runuser") or subprocess.run([*AS_ANOTHER, "true"], capture_output=True).returncode
    ):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it")
    return [name for name in found if name]
