"""A function called in a fresh Python process, so that no measurement warms or fills another's memory."""

import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

PROJECT = Path(__file__).parents[2]


def call(function: str, /, **arguments: Any) -> Any:
    """What `function`, "package.module:name", gives for `arguments` in a new process; its exceptions are raised here."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _end_when_terminated) as pool:
        try:
            return pool.submit(_call, function, arguments).result()
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def environment() -> dict[str, str]:
    """This process's environment, in which a new Python finds the project from any directory.

    Python keeps the bytecode of modules, as that of installed packages is kept, even where this process does not.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def _call(function: str, arguments: dict[str, Any]) -> Any:
    try:
        return resolve_name(function)(**arguments)
    except SystemExit:  # of SIGTERM; the pool would keep it as a result, and the process waiting for more work
        os._exit(1)


def _end_when_terminated() -> None:
    """Let SIGTERM end the processes that this one started, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
