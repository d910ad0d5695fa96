"""Old models: what an earlier version registered in MLflow still loads and serves."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from siamese.serving.protocol import ROUTE
from tests.old_store import (
    ANSWERS,
    CHAMPION,
    PATIENCE,
    ROOT,
    assert_same_answers,
    environment,
    other_pairs,
    restored,
    run,
)


@pytest.fixture
def store(tmp_path):
    return restored(tmp_path)


LOAD = f"""
import sys, mlflow, pandas
model = mlflow.pyfunc.load_model("{CHAMPION}")
answers = model.predict(pandas.read_csv("other_pairs.csv")[["question1", "question2"]])
answers.to_csv("scored.csv", index=False)
print(*(module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "siamese"), sep="\\n")
"""


@pytest.mark.slow
def test_the_registered_model_runs_its_own_old_code_in_mlflow(store):
    (store / "load.py").write_text(LOAD, encoding="utf-8")
    used = run(store, "load").splitlines()
    # MLflow copies no local file; PYTHONPATH names the project, whose code must not get in
    assert used
    assert all(Path(file).is_relative_to(store) and "/artifacts/code/siamese/" in file for file in used), used
    with (store / "scored.csv").open(encoding="utf-8", newline="") as file:
        assert_same_answers(list(csv.DictReader(file)), ANSWERS["champion"])


@pytest.mark.slow
def test_the_registered_model_loads_in_a_process_that_has_imported_the_project(store):
    # its served_model.py then meets the project's modules in place of its own: names that it imports must stay
    (store / "load.py").write_text(f"import siamese.detector\n{LOAD}", encoding="utf-8")
    used = run(store, "load").splitlines()
    assert str(ROOT / "siamese" / "detector.py") in used
    with (store / "scored.csv").open(encoding="utf-8", newline="") as file:
        assert_same_answers(list(csv.DictReader(file)), ANSWERS["champion"])


@pytest.mark.slow
def test_mlflow_serves_the_registered_model(store):
    words = ["mlflow", "models", "serve", "--model-uri", CHAMPION, "--env-manager", "local", "--port", "{port}"]
    assert_same_answers(asked(store, words, project=""), ANSWERS["champion"])  # the model has all that it needs


def asked(folder: Path, words: list[str], project: str) -> list[dict]:
    """What a server that `python -m …` starts answers for the other pairs."""
    body = json.dumps({"dataframe_records": other_pairs(folder)}).encode()
    with served(folder, words, project) as address:
        request = urllib.request.Request(f"{address}{ROUTE}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["predictions"]


@contextmanager
def served(folder: Path, words: list[str], project: str) -> Iterator[str]:
    """Start a server, on a free port, wait until it answers, and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", folder / "server.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", *(word.format(port=port) for word in words)],
            cwd=folder,
            env={**environment(project), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},  # of uvicorn
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        ends = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
