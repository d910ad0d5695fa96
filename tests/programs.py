"""Programs: starts them in processes of their own, as a user does. Tests get at it by fixtures."""

import atexit
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEED_TENSORFLOW = ("train", "study", "sweep", "evaluate", "distill")
PATIENCE = 180  # seconds; MLflow's server takes 6 on an idle machine
STAGE = re.compile(r"[A-Za-z0-9, ]+ \([\d.]+ s\)")  # a line of experiments/stages.py, which come on a slow machine
LIMIT = 300  # seconds that a program may take; ten times what the longest takes on an idle machine
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
        start_new_session=True,
    )


class Forked:
    """A program that `tests.warm_python` forked, with the part of `subprocess.Popen` that tests use."""

    # As `start_python`, each is a session of its own, so that nothing that it started outlives it and keeps its pipes open.

    def __init__(self, words: Sequence[str], folder: Path | None, environment: Mapping[str, str], stdin: int | None):
        self.args, self.returncode = words, None
        (read_in, write_in), (read_out, write_out), (read_err, write_err), (told, tells) = (os.pipe() for _ in range(4))
        request = {"words": words, "folder": str(folder or Path.cwd()), "environment": dict(environment)}
        theirs = [read_in, write_out, write_err, tells]
        socket.send_fds(_warm_python(), [json.dumps(request).encode()], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin, self.stdout, self.stderr = os.fdopen(write_in, "w"), os.fdopen(read_out), os.fdopen(read_err)
        if stdin is None:
            self.stdin.close()
        self._told = os.fdopen(told)
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """The return code, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The return code, when it has ended; TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._told.readline())
        return self.returncode

    def communicate(self, stdin: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """All that it prints until it ends; TimeoutExpired after `timeout` seconds, and then it is killed."""
        with ThreadPoolExecutor(2) as readers:
            out, err = (readers.submit(stream.read) for stream in (self.stdout, self.stderr))
            with suppress(BrokenPipeError):
                if stdin:
                    self.stdin.write(stdin)
                self.stdin.close()
            try:
                self.wait(timeout)
            except BaseException:
                end(self)
                raise
        return out.result(), err.result()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr, self._told):
            with suppress(BrokenPipeError):
                stream.close()


@cache
def _warm_python() -> socket.socket:
    """The socket of the one that this process started; it ends when the socket closes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.warm_python", str(theirs.fileno())]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()], **quiet)
    theirs.close()
    atexit.register(process.wait)  # the exits are called in reverse order
    atexit.register(ours.close)
    return ours


def start_forked(
    *words: str | Path, folder: Path | None = None, stdin: int | None = None, **environment: str
) -> Forked:
    """As `start_python`, from a Python that has imported TensorFlow and MLflow already: seconds earlier.

    The state of a fresh Python, as the seed of its hashes and what it prints while it starts, is not that of a user's.
    """
    return Forked([*map(str, words)], folder, {**os.environ, "PYTHONPATH": str(ROOT), **environment}, stdin)


def end(process: subprocess.Popen | Forked) -> None:
    """Kill a program, if it still runs, and all that it has started."""
    with suppress(ProcessLookupError):  # a forked one is not yet a session in its first moments
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def command(name: str, watched: Iterable[str] = ()) -> tuple[str, str]:
    """Arguments of Python that run `experiments.NAME`.

    If there are packages to watch, the program prints "imported:" and those that it imported when it ends.
    """
    program = f"experiments.{name}"
    return ("-c", WATCHED.format(program=program, watched=set(watched))) if watched else ("-m", program)


def start_program(
    name: str, *arguments: str | Path, watched: Iterable[str] = (), fresh: bool = False, **options
) -> subprocess.Popen | Forked:
    """`python -m experiments.NAME ARGUMENTS`.

    Args:
        name, arguments: of the program and its command line.
        watched: packages; the program prints "imported:" and those that it imported when it ends.
        fresh: whether a program that needs TensorFlow starts in a fresh Python, too, instead of a forked one.
        options: of `start_python`.
    """
    words = (*command(name, watched), *arguments)
    if name in NEED_TENSORFLOW and not watched and not fresh:
        return start_forked(*words, **options)
    return start_python(*words, **options)


def ended(
    process: subprocess.Popen | Forked, stdin: str | None = None, limit: float = LIMIT
) -> subprocess.CompletedProcess:
    """The process when it has read `stdin` and ended; after `limit` seconds it is killed and TimeoutExpired raised."""
    try:
        out, err = process.communicate(stdin, timeout=limit)
    finally:
        end(process)
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
