"""Serving: starts a command of the Makefile that serves, and ends it with all that it started."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE = 180  # seconds; MLflow's server takes 6 on an idle machine

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@dataclass(frozen=True)
class Served:
    """A server that answers.

    Attributes:
        address: such as "http://127.0.0.1:5000/".
        told: what it printed before it answered.
    """

    address: str
    told: str

    @property
    def links(self) -> dict[str, str]:
        """The name of a view -> its link."""
        return dict(line.strip().rsplit(maxsplit=1) for line in self.told.splitlines() if "#/" in line)


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
            told = output.read()
            assert answered, told
            yield Served(address, told)
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
