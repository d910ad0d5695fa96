"""Resuming: a training that was killed ends as if it had not been, to the bit, and in the same run."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from mlflow.entities import Run

from experiments import training_run
from experiments.cli import tree_of
from experiments.hydra_words import as_overrides
from siamese.commands.config_files import CONF
from siamese.detector import Detector
from siamese.registry.model_uri import download
from siamese.tracking import queries
from siamese.tracking.local_store import UNFINISHED
from tests.programs import TINY

EPOCHS = 4
WORDS = [*TINY, "tower=dense", "tower.dropout=0.3", f"training.epochs={EPOCHS}", "training.patience=null"]
TIMED = ("seconds", "per_second")  # metrics that differ from run to run
KILLS = 20  # of the long test
pytestmark = pytest.mark.slow


def train(folder: Path, words: list[str], monkeypatch, resume: bool = False, **options) -> str:
    """Train in this process, in a folder; the id of the run."""
    monkeypatch.chdir(folder)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", as_overrides(words, tree_of("config", words, None), several=False))
    cfg.tracking.uri = f"sqlite:///{folder}/mlflow.db"
    return training_run.run(cfg, training_run.Job(words, resume=resume), **options).run_id


def history_of(run: Run) -> dict[str, list[tuple[int, float]]]:
    """The values of all metrics of a run that has ended, but for times: each epoch once."""
    assert run.info.status == "FINISHED"
    client = mlflow.MlflowClient()
    history = {
        name: sorted((each.step, each.value) for each in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
        if not name.endswith(TIMED)
    }
    assert [step for step, _ in history["epoch/loss"]] == list(range(1, EPOCHS + 1))
    return history


def weights_of(run: Run) -> dict[str, np.ndarray]:
    with np.load(download(run.info.run_id)[0] / "artifacts" / "detector" / "light.npz") as weights:
        return {name: weights[name] for name in weights.files}


def outcome(folder: Path) -> tuple[dict, dict[str, np.ndarray], list[str]]:
    """All values of all metrics, the weights, and the kept predictions of the one run of a folder."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    [run] = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert len(client.search_logged_models([run.info.experiment_id])) == 1
    return (
        history_of(run),
        weights_of(run),
        [queries.predictions(run.info.run_id, split).to_csv() for split in ("dev", "test")],
    )


def assert_same(one: tuple, other: tuple) -> None:
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    for name, array in one[1].items():
        np.testing.assert_array_equal(array, other[1][name], err_msg=name)
    assert one[2] == other[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple:
    """The outcome of a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        train(folder, WORDS, patch)
    assert not (folder / "outputs").exists()
    return outcome(folder)


def kill_after(process: subprocess.Popen, epoch: int, seconds: float) -> None:
    """Send SIGKILL some seconds after the process has printed an epoch."""
    for line in process.stdout:
        if line.startswith(f"epoch {epoch}:"):
            break
    time.sleep(seconds)
    process.kill()
    process.wait()


def test_killed_twice_and_resumed_it_ends_as_if_it_had_not_been(whole, tmp_path, start_program, monkeypatch):
    for epoch, seconds, words in ((2, 0.1, []), (EPOCHS, 0.5, ["resume=true"])):
        process = start_program("train", *WORDS, *words, folder=tmp_path, PYTHONUNBUFFERED="1")
        kill_after(process, epoch, seconds)
        assert process.returncode == -signal.SIGKILL
    [folder] = (tmp_path / UNFINISHED).iterdir()
    assert Detector.load(folder / "detector").similarity([("rice", "rice")])[0] == pytest.approx(1)
    train(tmp_path, WORDS, monkeypatch, resume=True)
    assert_same(outcome(tmp_path), whole)
    assert not (tmp_path / "outputs").exists()


def test_whatever_is_resumed_is_named(tmp_path, monkeypatch, capsys):
    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, WORDS, monkeypatch, after_epoch=stop)
    [run] = queries.find_runs()
    assert run.status == "KILLED"
    assert "keeps what was whole; go on from it with resume=true" in capsys.readouterr().err
    told = f"run {run.id} of this training stopped after epoch 1; "
    with pytest.raises(ValueError, match="resume: outputs/unfinished holds nothing of a run abc with this config"):
        train(tmp_path, WORDS, monkeypatch, resume="abc")
    epochs = []
    train(tmp_path, WORDS, monkeypatch, resume=run.id, after_epoch=lambda epoch: epochs.append(epoch.number))
    assert f"{told}this goes on with it" in capsys.readouterr().out
    assert epochs == [1, 2, 3, 4]


def is_finished(folder: Path) -> bool:
    """Whether the store of a folder, if there is one, has a run that ended."""
    if not (folder / "mlflow.db").is_file():
        return False
    store = sqlite3.connect(f"file:{folder}/mlflow.db?mode=ro", uri=True)
    with contextlib.closing(store), contextlib.suppress(sqlite3.OperationalError):  # killed before it had any table
        return bool(store.execute("SELECT 1 FROM runs WHERE status = 'FINISHED'").fetchall())
    return False


@pytest.mark.stress
@pytest.mark.parametrize("tower", ["averaging", "dense", "conv1d", "bilstm"])
def test_killed_at_random_moments_until_it_ends(tower, tmp_path, start_program, monkeypatch):
    """Each start goes on from where the one before was killed; in the end all is as without any kill."""
    words = [*WORDS, f"tower={tower}"] if tower != "averaging" else [word for word in WORDS if "tower" not in word]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    train(tmp_path / "whole", words, monkeypatch)
    dice = random.Random(tower)
    for _ in range(KILLS):
        process = start_program("train", *words, "resume=true", folder=tmp_path / "killed", PYTHONUNBUFFERED="1")
        time.sleep(dice.uniform(0, 12))
        process.kill()
        process.communicate()
        if process.returncode == 0 or is_finished(tmp_path / "killed"):  # or killed while it said good-bye
            break
    else:
        train(tmp_path / "killed", words, monkeypatch, resume=True)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'killed'}/mlflow.db")
    for run in mlflow.search_runs(search_all_experiments=True, output_format="list"):
        if run.info.status != "FINISHED":  # killed before its first epoch had ended
            assert run.info.status == "KILLED"
            mlflow.delete_run(run.info.run_id)
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


def sweep_outcome(folder: Path) -> dict[tuple[str, str], tuple[dict, dict[str, np.ndarray]]]:
    """The values of all metrics of each trial and each trained network of a sweep, and the weights of the latter."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    found = {}
    for run in mlflow.search_runs(search_all_experiments=True, output_format="list"):
        kind = run.data.tags["kind"]
        if run.info.status == "KILLED" or kind == "sweep":
            continue
        key = kind, run.data.tags.get("trial") or run.info.run_name
        assert key not in found
        found[key] = history_of(run), weights_of(run) if kind == "model" else {}
    return found


@pytest.mark.stress
def test_a_sweep_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path, start_program):
    """Within a trial it goes on from the trial's last epoch."""
    words = [
        *WORDS,
        "sweep=dense",
        "sweep.trials=2",
        "sweep.retrain_seeds=[1]",
        "+sweep.space={tower.dropout: '0.1,0.2'}",
    ]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    process = start_program("sweep", *words, folder=tmp_path / "whole")
    _, told = process.communicate()
    assert process.returncode == 0, told
    dice = random.Random("sweep")
    for number in range(KILLS + 1):
        process = start_program("sweep", *words, folder=tmp_path / "killed")
        if number < KILLS:
            time.sleep(dice.uniform(2, 14))
            process.kill()
        _, told = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, told
    whole, killed = sweep_outcome(tmp_path / "whole"), sweep_outcome(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert {kind for kind, _ in whole} == {"trial", "model"}
    for key, (history, weights) in whole.items():
        assert_same((killed[key][0], killed[key][1], []), (history, weights, []))
