"""Servers of the same detector: this project's, MLflow's own, and a plain FastAPI app, each in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import siamese
from experiments.benchmark import fresh_process

PATIENCE_S = 120.0  # until a server answers
LOOK_S = 0.2  # between two looks whether it does
FOLDER = "BENCHMARK_DETECTOR"  # variable of the environment: the folder of the detector of `fastapi_app`


def commands(folder: Path, processes: Sequence[int], rivals: int) -> tuple[dict[str, list[str]], list[str]]:
    """By the name of each server the command that starts it, without its port; and what was left out and why.

    Args:
        folder: of a detector; MLflow's model is written beside it.
        processes: of this project's server, for each line of the table.
        rivals: processes of each rival; 0 for no rivals.
    """
    python = [sys.executable, "-m"]
    found = {
        f"processes={count}": [*python, "experiments.serve", f"run={folder}", f"processes={count}", "port="]
        for count in processes
    }
    notes = []
    if rivals:
        model = folder.parent / "mlflow_model"
        fresh_process.call("experiments.benchmark.serving_rivals:save_mlflow_model", detector=folder, model=model)
        served = [
            "mlflow",
            "models",
            "serve",
            "-m",
            str(model),
            "--env-manager=local",
            f"--workers={rivals}",
            "--port=",
        ]
        found["mlflow models serve"] = [*python, *served]
        if find_spec("fastapi"):
            app = ["uvicorn", "experiments.benchmark.fastapi_app:app", f"--workers={rivals}", "--http=httptools"]
            found["FastAPI"] = [*python, *app, "--no-access-log", "--port="]
        else:
            notes.append("FastAPI is left out; pip install fastapi.")
    return found, notes


def save_mlflow_model(detector: Path, model: Path) -> None:
    """The model that training logs, of the detector of a folder."""
    import mlflow

    from siamese.serving.mlflow_table import SIGNATURE

    code = Path(siamese.__file__).parent / "serving" / "mlflow_model.py"
    mlflow.pyfunc.save_model(
        str(model),
        python_model=str(code),
        artifacts={"detector": str(detector)},
        signature=SIGNATURE,
        pip_requirements=[],
    )


@contextmanager
def started(command: Sequence[str], folder: Path, body: bytes) -> Iterator[str]:
    """Start a server, and yield the address for requests once it has answered this body.

    Raises:
        RuntimeError: it ended before, or did not answer in time.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/invocations"
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow starts one of them
    environment = fresh_process.environment() | {FOLDER: str(folder), "PATH": programs}
    with subprocess.Popen(
        [*command[:-1], f"{command[-1]}{port}"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # MLflow's server is a process that its command starts
    ) as server:
        try:
            _wait(server, address, body)
            yield address
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(server.pid, signal.SIGTERM)


def _wait(server: subprocess.Popen, address: str, body: bytes) -> None:
    ends = time.monotonic() + PATIENCE_S
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    while True:
        try:
            urllib.request.urlopen(request, timeout=PATIENCE_S).close()
            return
        except urllib.error.HTTPError as problem:
            raise RuntimeError(f"{address} answered with status {problem.code}: {problem.read()[:500]!r}") from None
        except OSError:
            if server.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"{server.args!r} ended, or did not serve within {PATIENCE_S:g} s") from None
            time.sleep(LOOK_S)
