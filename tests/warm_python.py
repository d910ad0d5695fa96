"""A Python that has imported the large packages: it forks a process for each program that it is asked for.

TensorFlow and MLflow take seconds to import, and the tests start some fifty programs that need them. `tests.programs` starts
this file once in a process of pytest, with one end of a socket.
"""

import contextlib
import gc
import io
import json
import os
import runpy
import signal
import socket
import sys
from importlib import import_module

from tests.ready_store import copy_instead_of_migrating, migrated

PRELOADED = (
    "tensorflow",
    "keras",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "hydra",
    "pandas",
    "sklearn.linear_model",
    "matplotlib.pyplot",
    "optuna",
)


def _fork_programs(requests: socket.socket) -> list[str] | None:
    """Serve until the socket closes: None. In each forked process: the words of its program."""
    while True:
        message, descriptors, *_ = socket.recv_fds(requests, 2**20, 4)
        if not message:
            return None
        if os.fork() == 0:
            requests.close()
            words = _fork_program(json.loads(message), descriptors)
            if words is None:  # the program has ended
                os._exit(0)
            return words
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):  # those that have ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _fork_program(request: dict, descriptors: list[int]) -> list[str] | None:
    """In the process of the program: its words. In the one that waits for it, None, when it has told the return code."""
    *streams, told = descriptors
    program = os.fork()
    if program:
        os.write(told, f"{program}\n".encode())
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
        os.write(told, f"{code}\n".encode())
        return None
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:] = [request["folder"], *os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path[1:]]
    unbuffered = "PYTHONUNBUFFERED" in os.environ
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), write_through=unbuffered)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), errors="backslashreplace", line_buffering=True
    )
    return request["words"]


def _prepare() -> None:
    """What each program would do again: imports, MLflow's table of installed packages, its tables in a new store."""
    for package in PRELOADED:
        import_module(package)
    import_module("mlflow.utils.requirements_utils")._init_modules_to_packages_map()
    copy_instead_of_migrating()
    migrated()
    gc.collect()
    gc.freeze()  # the forked ones need not look through all that again


def _main() -> None:
    _prepare()
    words = _fork_programs(socket.socket(fileno=int(sys.argv[1])))
    if words is None:
        return
    _, module, *arguments = words
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
