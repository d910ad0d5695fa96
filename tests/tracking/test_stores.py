"""Stores: first users and workers at once, of SQLite, PostgreSQL or a server, lose nothing and double nothing."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Barrier

import mlflow
import pytest

from siamese import tracking
from siamese.tracking.stores import connect
from tests.programs import ROOT, needs_make, serving

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]  # where Debian keeps what a user does not call
# PostgreSQL refuses to run as root
AS_ANOTHER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
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


@pytest.fixture(scope="module")
def programs() -> list[str]:
    """PostgreSQL's initdb, pg_ctl and psql; a test that needs them is skipped where they are missing."""
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


@pytest.fixture(scope="module")
def new_database(programs):
    """A function: a name -> the URI of a new database, in a PostgreSQL of our own that only a socket reaches."""
    initdb, pg_ctl, psql = programs
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # pytest's own folders are closed to other users
    if AS_ANOTHER:
        shutil.chown(folder, "postgres", "postgres")
    control = [*AS_ANOTHER, pg_ctl, "-w", "-s", "-D", f"{folder}/data", "-l", f"{folder}/log"]
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"

    def create(name: str) -> str:
        command = [psql, "-q", "-h", str(folder), "-U", "mlflow", "-d", "postgres", "-c", f"CREATE DATABASE {name}"]
        subprocess.run(command, check=True)
        return f"postgresql://mlflow@/{name}?host={folder}"

    before = mlflow.get_tracking_uri()
    try:
        create_cluster = [*AS_ANOTHER, initdb, "-D", f"{folder}/data", "-A", "trust", "-U", "mlflow", "--no-sync"]
        subprocess.run(create_cluster, check=True, capture_output=True, cwd=folder)
        subprocess.run([*control, "-o", options, "start"], check=True, cwd=folder)
        yield create
    finally:
        mlflow.set_tracking_uri(before)
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, cwd=folder)
        shutil.rmtree(folder)


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


def work_at_once(uris: dict[str, str], artifacts: Path, folder: Path, runs: int) -> None:
    """A process for each worker, name -> URI; they use the store at the same moment."""
    context = multiprocessing.get_context("forkserver")  # imports MLflow once for all workers
    context.set_forkserver_preload(["siamese.tracking.stores", "psycopg"])
    barrier = context.Barrier(len(uris))
    workers = []
    for name, uri in uris.items():
        arguments = (uri, str(artifacts), name, runs, tempfile.mkdtemp(dir=folder), barrier)
        workers.append(context.Process(target=work, args=arguments, name=name))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {worker.name: worker.exitcode for worker in workers} == dict.fromkeys(uris, 0)


@pytest.mark.slow
def test_first_users_at_once_make_one_store_together(new_database, tmp_path):
    uri = new_database("fresh")
    artifacts = tmp_path / "artifacts"
    work_at_once({f"worker{number}": uri for number in range(WORKERS)}, artifacts, tmp_path, runs=1)
    client = mlflow.MlflowClient(uri)
    experiments = [each for each in client.search_experiments() if each.name != "Default"]
    assert [(each.name, each.artifact_location) for each in experiments] == [("together", str(artifacts))]
    found = client.search_runs([experiments[0].experiment_id])
    assert sorted(run.info.run_name for run in found) == [f"worker{number} 0" for number in range(WORKERS)]


@pytest.mark.slow
@needs_make
def test_workers_at_once_lose_nothing_and_double_nothing(new_database, tmp_path):
    """Four write to the database, one to the server that `make server` starts; all read the same afterwards."""
    uri = new_database("shared")
    artifacts = tmp_path / "artifacts"
    with serving("server", "tracking.experiment=together", STORE=uri, ARTIFACTS=str(artifacts)) as served:
        uris = {f"direct{number}": uri for number in range(WORKERS)} | {"http": served.address}
        work_at_once(uris, artifacts, tmp_path, RUNS)
        for each in (uri, served.address):
            assert_whole(mlflow.MlflowClient(each), list(uris), artifacts)


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
def test_a_missing_store_is_reported_without_its_password(new_database):
    uri = new_database("other").replace("mlflow@/other", "mlflow:secret@/nothing")
    with pytest.raises(
        ValueError, match=r"cannot open the tracking store .*\*\*\*@/nothing.* does not exist"
    ) as caught:
        connect(uri, "tests")
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_an_experiment_keeps_its_artifacts_in_one_place(new_database, tmp_path):
    uri = new_database("places")
    connect(uri, "tests", str(tmp_path / "first"))
    connect(uri, "tests", str(tmp_path / "first"))
    connect(uri, "tests")
    with pytest.raises(ValueError, match=r"keeps its artifacts in .*/first, not in .*/second"):
        connect(uri, "tests", str(tmp_path / "second"))
