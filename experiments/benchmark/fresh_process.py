"""A function called in a fresh Python process, so that no measurement warms or fills another's memory."""

import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]


def call(function: str, /, **arguments: Any) -> Any:
    """What `function`, "package.module:name", gives for `arguments` in a new process; its exceptions are raised here."""
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder) / "request", Path(folder) / "answer"
        request.write_bytes(pickle.dumps((function, arguments)))
        command = [sys.executable, "-m", "experiments.benchmark.fresh_process", str(request), str(answer)]
        with subprocess.Popen(command, env=environment()) as process:
            try:
                process.wait()
            except BaseException:
                process.terminate()  # which it hands on to the processes that it started
                raise
        if not answer.exists():
            raise RuntimeError(f"the process of {function} ended with code {process.returncode} before its answer")
        value, error, where = pickle.loads(answer.read_bytes())
    if error is not None:
        error.add_note(f"in the process of {function}:\n{where}")
        raise error
    return value


def environment() -> dict[str, str]:
    """This process's environment, in which a new Python finds the project from any directory."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _answer(request: Path, answer: Path) -> None:
    function, arguments = pickle.loads(request.read_bytes())
    module, _, name = function.partition(":")
    try:
        value, error, where = getattr(importlib.import_module(module), name)(**arguments), None, ""
    except Exception as raised:
        value, error, where = None, raised, traceback.format_exc()
    answer.write_bytes(pickle.dumps((value, error, where)))


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _answer(Path(sys.argv[1]), Path(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
