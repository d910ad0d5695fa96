"""Outages: a store that is really gone for a while has everything once in the end."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from siamese import tracking
from siamese.tracking import local_store, outages
from siamese.tracking.local_store import UNFINISHED
from siamese.tracking.outages import UnsentError
from siamese.tracking.sending import STORE, send
from tests.programs import PATIENCE

ECHO = """import mlflow

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]):
        return model_input

mlflow.models.set_model(Echo())
"""
CONFIG = {"tower": {"_target_": "siamese.model.towers.dense", "units": [6]}}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A working directory with a fresh store, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outages, "PATIENCE_SECONDS", 0)
    before = mlflow.get_tracking_uri()
    tracking.connect(f"sqlite:///{tmp_path}/mlflow.db", "tests")
    yield tmp_path
    mlflow.set_tracking_uri(before)


@contextmanager
def moved_away(folder: Path) -> Iterator[None]:
    """SQLite notices that its file has another name, and refuses to write."""
    file, aside = folder / "mlflow.db", folder / "aside.db"
    file.rename(aside)
    file.mkdir()
    try:
        yield
    finally:
        file.rmdir()
        aside.rename(file)


def log_everything(step: int) -> None:
    tracking.log_metrics({"loss": 1 / step}, "epoch", step)
    tracking.set_tags({f"tag{step}": "set"})
    tracking.log_chosen({f"setting{step}": step})
    tracking.log_page(f"page of step {step}", f"page{step}.md")
    figure, axes = plt.subplots()
    axes.plot([step])
    tracking.log_figure(figure, f"figure{step}")
    plt.close(figure)


def left_behind(folder: Path, *inner: str) -> tuple[str, Path]:
    """The id of a run whose store is back only after it has ended, with child runs, and the folder where it waits."""
    with ExitStack() as until_it_has_ended:
        with pytest.raises(
            UnsentError, match=r"waits in outputs/unfinished/unsent-\w+: .*experiments\.recover"
        ) as raised:
            logged_in_vain(folder, until_it_has_ended, inner)
        assert mlflow.active_run() is None
    [waiting] = (folder / UNFINISHED).iterdir()
    assert waiting.name in str(raised.value)
    [run] = [each for each in mlflow.search_runs(output_format="list") if each.info.run_name == "whole"]
    assert run.info.status == "RUNNING"
    return run.info.run_id, waiting


def logged_in_vain(folder: Path, away: ExitStack, inner: tuple[str, ...]) -> None:
    with tracking.tracked_run("whole", "model") as run_id:
        away.enter_context(moved_away(folder))
        log_everything(1)
        for name in inner:
            with tracking.tracked_run(name, "baseline", parent=run_id):
                log_everything(2)


def assert_whole(run_id: str, steps: tuple[int, ...], status: str = "FINISHED") -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == status
    history = client.get_metric_history(run_id, "epoch/loss")
    assert sorted((each.step, each.value) for each in history) == [(step, 1 / step) for step in steps]
    assert run.data.params == {f"auto.setting{step}": str(step) for step in steps}
    assert {f"tag{step}" for step in steps} <= run.data.tags.keys()
    assert run.data.tags["mlflow.note.content"] == f"page of step {steps[-1]}"
    assert {"continues", "sent"}.isdisjoint(run.data.tags)
    artifacts = {each.path for each in client.list_artifacts(run_id)}
    assert artifacts == {"figures", *(f"page{step}.md" for step in steps)}
    assert {each.path for each in client.list_artifacts(run_id, "figures")} == {f"figures/figure{x}.png" for x in steps}


def test_what_is_logged_meanwhile_is_sent_when_the_run_ends(folder, capsys):
    with tracking.tracked_run("whole", "model") as run_id:
        log_everything(1)
        with moved_away(folder):
            log_everything(2)
            log_everything(3)
            assert mlflow.active_run().info.run_id != run_id
    assert_whole(run_id, (1, 2, 3))
    assert mlflow.get_tracking_uri() == f"sqlite:///{folder}/mlflow.db"
    [away, back] = capsys.readouterr().err.splitlines()
    assert "does not answer (attempt to write a readonly database); the run goes on, and what it logs waits in" in away
    assert back.endswith("is back and has what waited for it")
    assert not list((folder / UNFINISHED).iterdir())


def test_a_store_that_is_back_is_written_to_before_the_run_ends(folder, monkeypatch):
    monkeypatch.setattr(outages, "LOOK_SECONDS", 0)
    with tracking.tracked_run("whole", "model") as run_id:
        with moved_away(folder):
            log_everything(1)
        log_everything(2)
        assert mlflow.active_run().info.run_id == run_id
        assert_whole(run_id, (1, 2), "RUNNING")
    assert_whole(run_id, (1, 2))


def test_a_store_that_stays_away_is_an_error_that_says_how_to_send(folder):
    run_id, waiting = left_behind(folder)
    assert (waiting / STORE).stat().st_mode & 0o077 == 0
    assert local_store.waiting(folder / UNFINISHED) == []  # this process lives
    assert local_store.recover(waiting) == [run_id]
    assert_whole(run_id, (1,))
    assert not waiting.exists()


def interrupted_in_an_outage(folder: Path, error: type[BaseException]) -> None:
    with tracking.tracked_run("ends early", "model"), moved_away(folder):
        log_everything(1)
        raise error


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_failed_run_stays_failed_and_an_interrupted_one_killed(folder, error, status):
    with pytest.raises(error):
        interrupted_in_an_outage(folder, error)
    [run] = mlflow.search_runs(output_format="list")
    assert_whole(run.info.run_id, (1,), status)


def test_runs_within_runs_find_their_places(folder):
    with tracking.tracked_run("study", "study") as study:
        with tracking.tracked_run("cell", "model", parent=study) as cell, moved_away(folder):
            log_everything(1)
            with tracking.tracked_run("baseline", "baseline", parent=cell):
                log_everything(4)
            tracking.set_tags({"after": "the inner run"})
        log_everything(2)
    assert_whole(cell, (1,))
    assert_whole(study, (2,))
    runs = {run.info.run_name: run for run in mlflow.search_runs(output_format="list")}
    assert set(runs) == {"study", "cell", "baseline"}
    assert runs["baseline"].data.tags["mlflow.parentRunId"] == cell
    assert_whole(runs["baseline"].info.run_id, (4,))
    assert runs["cell"].data.tags["after"] == "the inner run"


def test_sending_again_sends_nothing_twice(folder):
    run_id, waiting = left_behind(folder, "baseline")
    half = folder / "half"
    shutil.copytree(waiting, half)
    assert send(half) == send(half)
    client = mlflow.MlflowClient(f"sqlite:///{half}/mlflow.db")
    for run in client.search_runs([each.experiment_id for each in client.search_experiments()]):
        client.delete_tag(run.info.run_id, "sent")  # as if the sending had been killed at its end
    send(half)
    runs = {run.info.run_name: run for run in mlflow.search_runs(output_format="list")}
    assert set(runs) == {"whole", "baseline"}
    assert_whole(run_id, (1,))
    assert_whole(runs["baseline"].info.run_id, (2,))


def test_where_neither_can_be_written_to_one_line_says_so(folder):
    (folder / "outputs").write_text("a file in the way")
    with pytest.raises(OSError, match=r"cannot write to the tracking store .*, nor to outputs/unfinished/unsent-"):
        interrupted_in_an_outage(folder, ZeroDivisionError)
    assert mlflow.active_run() is None


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_run_whose_start_is_not_confirmed_is_not_started_twice(folder, monkeypatch, is_nested):
    """Outside of others it is started again, inside another it goes on in a local store."""
    create, answers = SqlAlchemyStore.create_run, [is_nested, False]

    def create_unconfirmed(*arguments, **options):
        made = create(*arguments, **options)
        if answers and not answers.pop(0):
            raise MlflowException("server closed the connection unexpectedly", TEMPORARILY_UNAVAILABLE)
        return made

    monkeypatch.setattr(SqlAlchemyStore, "create_run", create_unconfirmed)
    with (
        tracking.tracked_run("outer", "study") if is_nested else nullcontext() as outer,
        tracking.tracked_run("whole", "model", parent=outer),
    ):
        log_everything(1)
    assert not list((folder / UNFINISHED).glob("*"))
    runs = {run.info.run_name: run for run in mlflow.search_runs(output_format="list")}
    assert len(mlflow.search_runs()) == len(runs) == 1 + is_nested
    assert_whole(runs["whole"].info.run_id, (1,))
    assert runs["whole"].data.tags.get("mlflow.parentRunId") == outer


def test_an_error_of_the_caller_is_no_outage(folder):
    with tracking.tracked_run("whole", "model"):
        tracking.log_chosen({"epochs": 1})
        with pytest.raises(mlflow.exceptions.MlflowException, match="already logged"):
            tracking.log_chosen({"epochs": 2})
    assert not (folder / UNFINISHED).exists()


@pytest.mark.process
@pytest.mark.slow
def test_a_server_that_falls_silent_and_comes_back(folder, monkeypatch, capsys):
    """It is stopped as by a host that hangs: connections are taken, and nothing comes back."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    with (folder / "server.log").open("w") as log:
        command = [sys.executable, "-m", "mlflow", "server", *words, "--artifacts-destination", str(folder / "there")]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        address, ends = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while time.monotonic() < ends and server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            time.sleep(0.2)
        tracking.connect(address, "through the server")
        with tracking.tracked_run("whole", "model") as run_id:
            log_everything(1)
            os.killpg(server.pid, signal.SIGSTOP)
            began = time.monotonic()
            log_everything(2)
            seconds = time.monotonic() - began
            os.killpg(server.pid, signal.SIGCONT)
            log_everything(3)
            monkeypatch.setattr(outages, "PATIENCE_SECONDS", 60)
        assert_whole(run_id, (1, 2, 3))
        assert "does not answer (timed out)" in capsys.readouterr().err
        assert seconds < 60  # MLflow itself tries for a quarter of an hour
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)


def test_a_server_that_is_not_there_is_told_at_once(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ValueError, match=rf"no tracking server answers at http://127\.0\.0\.1:{port}; start it"):
        tracking.connect(f"http://127.0.0.1:{port}", "tests")


def test_the_folder_says_where_its_runs_belong(folder):
    _, waiting = left_behind(folder)
    about = json.loads((waiting / STORE).read_text())
    assert about == {"uri": f"sqlite:///{folder}/mlflow.db", "experiment": "tests", "process": tracking.process()}


@pytest.mark.parametrize("unconfirmed", ["create_logged_model", "log_outputs", "finalize_logged_model"])
def test_a_model_whose_keeping_is_not_confirmed_is_there_once_and_loads(folder, monkeypatch, unconfirmed):
    method, answers = getattr(SqlAlchemyStore, unconfirmed), [False]

    def without_answer(*arguments, **options):
        made = method(*arguments, **options)
        if answers and not answers.pop():
            raise MlflowException("server closed the connection unexpectedly", TEMPORARILY_UNAVAILABLE)
        return made

    monkeypatch.setattr(SqlAlchemyStore, unconfirmed, without_answer)
    (folder / "echo.py").write_text(ECHO, encoding="utf-8")
    with tracking.tracked_run("whole", "model") as run_id:
        outages.writing(mlflow.pyfunc.log_model)(name="model", python_model="echo.py", pip_requirements=[])
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    [model] = client.search_logged_models([run.info.experiment_id])
    assert (model.source_run_id, str(model.status)) == (run_id, "READY")
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
    assert mlflow.pyfunc.load_model(model.model_uri).predict(["a"]) == ["a"]
