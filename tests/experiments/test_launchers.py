"""Launchers: wherever the cells of a study run, each runs once, and its figures are those of a serial run to the bit."""

import importlib.util
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from threadpoolctl import threadpool_limits

from experiments import grid, training_run
from experiments.cli import tree_of
from siamese.commands.config_files import CONF
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.report import evaluate
from siamese.tracking import queries
from tests.programs import TINY, ended

GRID = ["name=towers", "tower=dense", "similarity=cosine,euclidean", "seed=1", *TINY]
SIMILARITIES = ("cosine", "euclidean")
MEASURED = ("dev/", "test/", "calibration/", "level/", "epoch/loss", "epoch/dev_")  # all but what takes time
QUEUE = """#!/bin/sh
cp "$1" submitted.sh
echo "no such partition: $PARTITION" >&2
exit 1
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def launch(start_program, tmp_path):
    """A function: settings of the study, changes of the environment -> its process."""
    return partial(start_program, "study", *GRID, folder=tmp_path, PYTHONUNBUFFERED="1")


def outcome(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = ended(process)
    return done.returncode, done.stdout, done.stderr


def find(folder: Path, kind: str) -> list[queries.TrackedRun]:
    """Runs of a folder's store."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("duplicate-questions")
    return queries.find_runs(f"tags.kind = '{kind}'")


def figures(run: queries.TrackedRun) -> tuple:
    """All that a run measured, its predictions for every pair included."""
    metrics = {name: value for name, value in run.metrics.items() if name.startswith(MEASURED)}
    return metrics, *(queries.predictions(run.id, split).to_csv() for split in ("dev", "test"))


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> dict[str, tuple]:
    """The figures of each similarity, trained here one after the other."""
    folder = tmp_path_factory.mktemp("serial")
    with pytest.MonkeyPatch.context() as patch, initialize_config_dir(str(CONF), version_base="1.3"):
        patch.chdir(folder)
        store = f"tracking.uri=sqlite:///{folder}/mlflow.db"  # MLflow remembers a relative one with its first folder
        for similarity in SIMILARITIES:
            training_run.run(compose("config", ["study=towers", f"similarity={similarity}", "seed=1", store, *TINY]))
        return {run.params["similarity"]: figures(run) for run in find(folder, "model")}


def assert_each_once_and_as_serial(folder: Path, serial: dict[str, tuple], monkeypatch) -> None:
    monkeypatch.chdir(folder)  # where the artifacts are
    [parent] = find(folder, "study")
    assert parent.status == "FINISHED"
    cells = find(folder, "model")
    assert {cell.tags["mlflow.parentRunId"] for cell in cells} == {parent.id}
    finished = [cell for cell in cells if cell.status == "FINISHED"]
    assert sorted(cell.params["similarity"] for cell in finished) == sorted(SIMILARITIES)
    assert {cell.tags["process"] for cell in finished}.isdisjoint({parent.tags["process"]})
    for cell in finished:
        assert figures(cell) == serial[cell.params["similarity"]]


def test_a_killed_worker_of_joblib_costs_only_its_launch(launch, tmp_path, serial, monkeypatch):
    first = launch("hydra/launcher=workers", "hydra.launcher.pre_dispatch=1")  # the second cell waits
    assert first.stdout is not None
    first.stdout.readline()  # the store is made
    while not (victims := [run for run in find(tmp_path, "model") if "similarity" in run.params]):
        assert first.poll() is None, outcome(first)
        time.sleep(0.5)
    os.kill(int(victims[0].tags["process"].split()[1]), signal.SIGKILL)
    code, _, err = outcome(first)
    assert code == 1
    assert "the launcher gave up: TerminatedWorkerError" in err
    assert "Traceback" not in err
    # not in the last line: joblib may add what a killed worker left behind
    assert "cells failed (see the tag `error` of each), were killed or did not begin" in err
    assert f"similarity={victims[0].params['similarity']} seed=1" in err

    code, out, err = outcome(launch("hydra/launcher=workers"))
    assert code == 0, err
    assert "all 2 cells of towers are finished" in out
    assert_each_once_and_as_serial(tmp_path, serial, monkeypatch)
    statuses = Counter(cell.status for cell in find(tmp_path, "model"))
    assert set(statuses) == {"FINISHED", "KILLED"}


def test_submitit_runs_each_cell_as_a_job(launch, tmp_path, serial, monkeypatch):
    code, _, err = outcome(launch("hydra/launcher=submitit_local", "hydra.launcher.submitit_folder=outputs/jobs"))
    assert code == 0, err
    assert_each_once_and_as_serial(tmp_path, serial, monkeypatch)
    printed = "".join(file.read_text() for file in (tmp_path / "outputs" / "jobs").glob("*.out"))
    assert printed.count("dev ROC AUC") == 2
    assert {each.name.split(".")[0] for each in tmp_path.iterdir()} == {"mlflow", "mlruns", "outputs"}


def test_a_refusing_slurm_queue_is_reported_and_gets_the_resources_of_the_config(launch, tmp_path):
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(QUEUE)
        (tmp_path / name).chmod(0o755)
    process = launch(
        *("hydra/launcher=slurm", "hydra.launcher.partition=night", "hydra.launcher.mem_gb=3"),
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        PARTITION="night",
    )
    code, _, err = outcome(process)
    assert code == 1
    assert "the launcher gave up: FailedJobError" in err
    assert "no such partition: night" in err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("2 of 2 cells failed")
    asked = (tmp_path / "submitted.sh").read_text()
    for flag in ("partition=night", "mem=3GB", "array=0-1%2", "cpus-per-task=2", "time=120", "no-requeue"):
        assert f"#SBATCH --{flag}\n" in asked
    assert f"--output={tmp_path}/outputs/slurm/" in asked


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None,
    reason="Ray is optional: conf/hydra/launcher/ray_cluster.yaml says how to install it",
)
def test_ray_runs_the_cells_on_a_local_cluster_of_two_workers(launch, tmp_path, serial, monkeypatch):
    with tempfile.TemporaryDirectory() as home:  # Ray keeps a token and its sessions; a socket's path must be short
        process = launch(
            *("hydra/launcher=ray_cluster", "hydra.launcher.ray.init.num_cpus=2"),
            HOME=home,
            RAY_TMPDIR=home,
        )
        code, _, err = outcome(process)
    assert code == 0, err
    assert_each_once_and_as_serial(tmp_path, serial, monkeypatch)
    assert len({cell.tags["process"] for cell in find(tmp_path, "model")}) == 2


def test_a_cell_of_another_host_is_busy_until_it_is_retaken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        master, axes = grid._grid("towers", GRID[1:])
        cells = grid._cells(master, axes, tree_of("config", GRID, None))
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("duplicate-questions")
    client = mlflow.MlflowClient()
    digest, seed = cells[0].key
    tags = {"kind": "model", "config_digest": digest, "seed": seed, "process": "node-17 4242 1700000000.00"}
    lost = client.create_run("1", tags={**tags, "mlflow.parentRunId": "study"}).info.run_id
    assert grid._unfinished(cells, "study") == (cells[1:], cells[:1])
    assert client.get_run(lost).info.status == "RUNNING"
    assert grid._unfinished(cells, "study", take_over=True) == (cells, [])
    assert client.get_run(lost).info.status == "KILLED"


def test_the_threads_that_a_launcher_leaves_to_matrix_products_change_no_bit():
    """joblib and Ray give each worker its share of the cores; OpenBLAS adds in another order then."""
    generator = np.random.default_rng(0)
    questions = [f"question {number}" for number in range(902)]
    pairs = QuestionPairs.from_texts(questions[:-1], questions[1:], generator.random(901) < 0.4)
    similarity = (0.3 + 0.1 * generator.random(901)).astype(np.float32)
    outcomes = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            _, reports = evaluate(lambda pairs: similarity, {"dev": pairs}, 0.35, 0, 100)
        outcomes.append((reports["dev"].metrics, reports["dev"].intervals))
    assert outcomes[0] == outcomes[1]
