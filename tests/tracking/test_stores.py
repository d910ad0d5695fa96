"""Stores: first users and workers at once, of SQLite, PostgreSQL or a server, lose nothing and double nothing.

Where PostgreSQL is installed (Debian: postgresql, which .ci/run installs), the tests start one of their own.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Barrier

import mlflow
import pytest

from siamese import tracking
from siamese.tracking.local_store import UNFINISHED
from siamese.tracking.stores import connect, open_store
from tests.programs import ROOT, needs_make, serving

WORKERS, RUNS, STEPS = 4, 3, 4  # processes, runs of each, logged values of each
FIRST_USER = """
import sys, time
from pathlib import Path
from siamese import tracking
uri, name, ready, start = sys.argv[1:]
Path(ready).touch()
while not Path(start).exists():
    time.sleep(0.001)
tracking.connect(uri, "together")
for number in range(3):
    with tracking.tracked_run(f"{name} {number}", "baseline"):
        tracking.log_metrics({"number": number}, "test")
"""


@pytest.mark.parametrize("uri", ["mlruns", "./mlflow.db", "file:mlruns", "redis://me:secret@host/1", "5", "", None])
@pytest.mark.parametrize("use", [connect, open_store])
def test_what_is_no_store_is_refused(uri, use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"tracking.uri must name a SQLite file, a database or a server") as caught:
        use(uri, "tests")
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_first_users_of_a_fresh_store_at_once(tmp_path):
    """Processes of their own, both waiting for the same moment; without a lock the database is ruined for good."""
    uri, start = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "start"
    processes = []
    for name in ("one", "two"):
        arguments = [uri, name, str(tmp_path / name), str(start)]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", FIRST_USER, *arguments],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not all((tmp_path / name).exists() for name in ("one", "two")):
        time.sleep(0.01)
    start.touch()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    client = mlflow.MlflowClient(uri)
    [experiment] = [each for each in client.search_experiments() if each.name == "together"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == [
        f"{name} {number}" for name in ("one", "two") for number in range(3)
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}


def work(uri: str, artifacts: str, worker: str, runs: int, folder: str, barrier: Barrier) -> None:
    """What a worker does, in a process of its own."""
    tempfile.tempdir = folder  # as on a machine of its own: the lock that MLflow keeps there does not help
    barrier.wait(60)
    connect(uri, "together", artifacts)
    for run in range(runs):
        with tracking.tracked_run(f"{worker} {run}", "model", tags={"worker": worker}):
            tracking.log_config({"worker": worker, "run": run}, f"{worker}: {run}\n")
            for step in range(1, STEPS + 1):
                tracking.log_metrics({"value": 100 * run + step}, "epoch", step)
            tracking.log_page(f"# {worker} {run}", "page.md")


def work_at_once(
    uris: dict[str, str], artifacts: Path, folder: Path, runs: int, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """A process for each worker, name -> URI; they use the store at the same moment, and something else happens."""
    context = multiprocessing.get_context("forkserver")  # imports MLflow once for all workers
    context.set_forkserver_preload(["siamese.tracking.stores", "psycopg"])
    barrier = context.Barrier(len(uris))
    workers = []
    for name, uri in uris.items():
        arguments = (uri, str(artifacts), name, runs, tempfile.mkdtemp(dir=folder), barrier)
        workers.append(context.Process(target=work, args=arguments, name=name))
    for worker in workers:
        worker.start()
    meanwhile()
    for worker in workers:
        worker.join()
    assert {worker.name: worker.exitcode for worker in workers} == dict.fromkeys(uris, 0)


@pytest.mark.slow
def test_first_users_at_once_make_one_store_together(postgres, tmp_path):
    uri = postgres.new_database("fresh")
    artifacts = tmp_path / "artifacts"
    work_at_once({f"worker{number}": uri for number in range(WORKERS)}, artifacts, tmp_path, runs=1)
    client = mlflow.MlflowClient(uri)
    experiments = [each for each in client.search_experiments() if each.name != "Default"]
    assert [(each.name, each.artifact_location) for each in experiments] == [("together", str(artifacts))]
    found = client.search_runs([experiments[0].experiment_id])
    assert sorted(run.info.run_name for run in found) == [f"worker{number} 0" for number in range(WORKERS)]


@pytest.mark.slow
@needs_make
def test_workers_at_once_lose_nothing_and_double_nothing(postgres, tmp_path, monkeypatch):
    """Four write to the database, one to the server that `make server` starts; all read the same afterwards.

    Meanwhile the database is restarted, once as after a crash, and once for a second.
    """
    monkeypatch.chdir(tmp_path)
    uri = postgres.new_database("shared")
    artifacts = tmp_path / "artifacts"

    def restart() -> None:
        for runs, mode, down in ((3, "immediate", 0.0), (8, "fast", 1.0)):
            ends = time.monotonic() + 60
            while time.monotonic() < ends and len(list(artifacts.glob("*"))) < runs:
                time.sleep(0.01)
            postgres.restart(mode, down)

    with serving("server", "tracking.experiment=together", STORE=uri, ARTIFACTS=str(artifacts)) as served:
        uris = {f"direct{number}": uri for number in range(WORKERS)} | {"http": served.address}
        work_at_once(uris, artifacts, tmp_path, RUNS, restart)
        for each in (uri, served.address):
            assert_whole(mlflow.MlflowClient(each), list(uris), artifacts)
    assert not list(tmp_path.glob(f"{UNFINISHED}/*"))


def assert_whole(client: mlflow.MlflowClient, workers: list[str], artifacts: Path) -> None:
    """Each worker's runs are there once, finished, with each value once, and their files."""
    experiment = client.get_experiment_by_name("together")
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    expected = {f"{worker} {run}": (worker, run) for worker in workers for run in range(RUNS)}
    assert len(client.search_runs([experiment.experiment_id])) == len(expected)
    assert set(found) == set(expected)
    for name, (worker, number) in expected.items():
        run = found[name]
        assert run.info.status == "FINISHED"
        assert run.data.params == {"worker": worker, "run": str(number)}
        assert run.data.metrics == {"epoch/value": 100 * number + STEPS}
        history = client.get_metric_history(run.info.run_id, "epoch/value")
        assert sorted((each.step, each.value) for each in history) == [
            (step, 100 * number + step) for step in range(1, STEPS + 1)
        ]
        folder = artifacts / run.info.run_id / "artifacts"
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            "config.yaml": f"{worker}: {number}\n",
            "page.md": f"# {worker} {number}",
        }
    assert len({run.data.tags["process"] for run in found.values()}) == len(workers)


@pytest.mark.slow
def test_a_missing_store_is_reported_without_its_password(postgres):
    uri = postgres.new_database("other").replace("mlflow@/other", "mlflow:secret@/nothing")
    with pytest.raises(
        ValueError, match=r"cannot open the tracking store .*\*\*\*@/nothing.* does not exist"
    ) as caught:
        connect(uri, "tests")
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_an_experiment_keeps_its_artifacts_in_one_place(postgres, tmp_path):
    uri = postgres.new_database("places")
    connect(uri, "tests", str(tmp_path / "first"))
    connect(uri, "tests", str(tmp_path / "first"))
    connect(uri, "tests")
    with pytest.raises(ValueError, match=r"keeps its artifacts in .*/first, not in .*/second"):
        connect(uri, "tests", str(tmp_path / "second"))
