"""Crowds: trainings, a sweep and a study at once on one PostgreSQL that is restarted; nothing is lost, nothing is twice."""

import time
from collections import Counter
from pathlib import Path

import mlflow
import optuna
import pytest
from mlflow.entities import Run
from optuna.trial import TrialState

from tests.programs import TINY, ended

TRAININGS, EPOCHS, TRIALS, WORKERS = 8, 10, 12, 4
SEEDS = ("0", "1", "2", "3")  # of the study's cells
# runs begun, of 26, when it is stopped, how, and seconds until it is started; by the first, all programs are at work
RESTARTS = ((12, "immediate", 0.0), (16, "fast", 5.0), (20, "immediate", 2.0))
LIMIT = 2400  # seconds that all programs together may take on two slow cores
SMALL = [*TINY, "tower=dense", f"training.epochs={EPOCHS}", "training.patience=null"]


@pytest.mark.stress
@pytest.mark.timeout(LIMIT + 600)
def test_a_crowd_on_a_database_that_is_restarted(postgres, tmp_path, start_program, run_program):
    uri, trials_uri = postgres.new_database("crowd"), postgres.new_database("trials")  # each names its version alike
    mlflow.set_tracking_uri(uri)
    store = [*SMALL, f"tracking.uri={uri}", f"tracking.artifacts={tmp_path}/artifacts"]
    trials = [
        f"sweep.trials={TRIALS}",
        f"sweep.workers={WORKERS}",
        f"sweep.storage={trials_uri}",
        "sweep.retrain_seeds=[]",
    ]
    space = "+sweep.space={tower.dropout: 'interval(0.1, 0.2)'}"
    programs = {
        **{f"training {seed}": ("train", f"seed={100 + seed}") for seed in range(TRAININGS)},
        "sweep": ("sweep", "sweep=dense", *trials, space),
        "study": ("study", "name=towers", f"seed={','.join(SEEDS)}", "similarity=cosine"),
    }
    started = {name: start_program(*words, *store, folder=folder(tmp_path, name)) for name, words in programs.items()}
    ends = time.monotonic() + LIMIT
    for begun, mode, down in RESTARTS:
        while time.monotonic() < ends and len(list(tmp_path.glob("artifacts/*/artifacts"))) < begun:
            time.sleep(0.2)
        postgres.restart(mode, down)
    for name, process in started.items():
        done = ended(process, limit=ends - time.monotonic())
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        assert not list((tmp_path / name).glob("outputs/unfinished/*")), name
    runs = mlflow.search_runs(search_all_experiments=True, max_results=1000, output_format="list")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert_models(runs)
    assert_trials(runs, trials_uri)


def folder(parent: Path, name: str) -> Path:
    """A working directory."""
    made = parent / name
    made.mkdir()
    return made


def assert_models(runs: list[Run]) -> None:
    """Each training and each cell is there once, with each epoch once, one model, and all metrics."""
    models = [run for run in runs if run.data.tags["kind"] == "model"]
    seeds = Counter(run.data.params["seed"] for run in models)
    assert seeds == Counter([str(100 + seed) for seed in range(TRAININGS)] + list(SEEDS))
    [study] = [run.info.run_id for run in runs if run.data.tags["kind"] == "study"]
    client = mlflow.MlflowClient()
    for run in models:
        parent = study if run.data.params["seed"] in SEEDS else None
        assert run.data.tags.get("mlflow.parentRunId") == parent
        assert_each_epoch_once(run, EPOCHS)
        assert {"dev/roc_auc", "test/roc_auc", "data/dev_pairs"} <= run.data.metrics.keys()
        found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        assert [(each.name, str(each.status)) for each in found] == [("model", "READY")]
        assert [each.model_id for each in run.outputs.model_outputs] == [found[0].model_id]


def assert_each_epoch_once(run: Run, epochs: int) -> None:
    """Every metric of epochs has every step once."""
    for name in run.data.metrics:
        if name.startswith("epoch/"):
            history = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
            assert sorted(each.step for each in history) == list(range(1, epochs + 1)), (run.info.run_name, name)


def assert_trials(runs: list[Run], uri: str) -> None:
    """Each trial is over once, for Optuna as for MLflow."""
    [sweep] = [run for run in runs if run.data.tags["kind"] == "sweep"]
    tracked = [run for run in runs if run.data.tags["kind"] == "trial"]
    assert {run.data.tags["mlflow.parentRunId"] for run in tracked} == {sweep.info.run_id}
    assert sorted(int(run.data.tags["trial"]) for run in tracked) == list(range(TRIALS))
    found = optuna.load_study(study_name="dense", storage=uri).get_trials()
    over = [each for each in found if each.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert sorted(each.user_attrs["ordinal"] for each in over) == list(range(TRIALS))
    assert all("error" not in each.user_attrs for each in found)
    assert not [each for each in found if each.state in (TrialState.RUNNING, TrialState.WAITING)]
    for trial in over:
        [run] = [each for each in tracked if int(each.data.tags["trial"]) == trial.user_attrs["ordinal"]]
        assert_each_epoch_once(run, EPOCHS if trial.state == TrialState.COMPLETE else trial.last_step)
