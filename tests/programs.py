"""Programs: starts them in processes of their own, as a user does. Tests get at it by fixtures."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE = 180  # seconds; MLflow's server takes 6 on an idle machine
LIMIT = 600  # seconds that a program may take; twenty times what the longest takes on an idle machine
# settings of a training that takes a moment
TINY = [
    "data.duplicates_per_question=0.3",
    "text=word",
    "vectors=random",
    "vectors.width=8",
    "evaluation.bootstrap_repeats=100",
    "training.epochs=1",
    "baselines=none",
]
WATCHED = """
import runpy, sys
try:
    runpy.run_module({program!r}, run_name="__main__", alter_sys=True)
finally:
    print("imported:", *{watched!r} & set(sys.modules))
"""

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def start_python(
    *arguments: str | Path, folder: Path | None = None, stdin: int | None = None, **environment: str
) -> subprocess.Popen:
    """`python ARGUMENTS` with the project on its path; both outputs are captured as text.

    Args:
        arguments: as "-c" and code.
        folder: working directory; by default that of the test.
        stdin: as for `subprocess.Popen`.
        environment: variables that differ from those of the tests.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script; children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(name: str, watched: Iterable[str] = ()) -> tuple[str, str]:
    """Arguments of Python that run `experiments.NAME`.

    If there are packages to watch, the program prints "imported:" and those that it imported when it ends.
    """
    program = f"experiments.{name}"
    return ("-c", WATCHED.format(program=program, watched=set(watched))) if watched else ("-m", program)


def ended(process: subprocess.Popen, stdin: str | None = None, limit: float = LIMIT) -> subprocess.CompletedProcess:
    """The process when it has read `stdin` and ended; after `limit` seconds it is killed and TimeoutExpired raised."""
    try:
        out, err = process.communicate(stdin, timeout=limit)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_python(*arguments: str | Path, stdin: str = "", limit: float = LIMIT, **options) -> subprocess.CompletedProcess:
    """`start_python`, and wait until it has ended."""
    return ended(start_python(*arguments, stdin=subprocess.PIPE, **options), stdin, limit)


@dataclass(frozen=True)
class Served:
    """A server that answers.

    Attributes:
        address: such as "http://127.0.0.1:5000/".
        printed: what it printed before it answered.
    """

    address: str
    printed: str

    @property
    def links(self) -> dict[str, str]:
        """The name of a view -> its link."""
        return dict(line.strip().rsplit(maxsplit=1) for line in self.printed.splitlines() if "#/" in line)


@contextmanager
def serving(target: str, arguments: str = "", **variables: str) -> Iterator[Served]:
    """`make TARGET VARIABLE=VALUE … ARGS=ARGUMENTS` with the packages of this Python, on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"BIN": str(Path(sys.executable).parent), "ARGS": f"port={port} {arguments}", **variables}
    command = ["make", "--silent", "--old-file=.venv/installed", target]
    command += [f"{name}={value}" for name, value in settings.items()]
    with tempfile.TemporaryFile("w+") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}/"
            answered = _wait_for(f"{address}health", server)
            output.seek(0)
            printed = output.read()
            assert answered, printed
            yield Served(address, printed)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)


def _wait_for(address: str, server: subprocess.Popen) -> bool:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return True
        time.sleep(0.2)
    return False
