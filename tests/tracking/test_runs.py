"""Runs: each ends as what it was, and an interruption never breaks a write."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import mlflow
import pytest

from siamese import tracking


def status_of(run_id: str) -> str:
    return mlflow.get_run(run_id).info.status


@pytest.mark.slow
def test_a_run_that_ends_is_finished(store):
    with tracking.tracked_run("a name", "baseline", "a description") as run_id:
        assert status_of(run_id) == "RUNNING"
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "a name"
    assert run.data.tags["kind"] == "baseline"
    assert run.data.tags["mlflow.note.content"] == "a description"
    assert mlflow.active_run() is None


def divide_by_zero() -> None:
    raise ZeroDivisionError("division by zero")


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)  # the signal ends it at once


def run_that_ends_in(action: Callable[[], None]) -> None:
    """A run that logs its config and then does this."""
    with tracking.tracked_run("ends early", "model"):
        tracking.log_config({"tower": {"_target_": "siamese.model.towers.dense", "units": [6]}}, "tower: …\n")
        action()


@pytest.mark.parametrize(
    ("action", "error", "status"),
    [
        (divide_by_zero, ZeroDivisionError, "FAILED"),
        (press_ctrl_c, KeyboardInterrupt, "KILLED"),
        (be_terminated, KeyboardInterrupt, "KILLED"),
    ],
)
def test_a_run_that_ends_early_says_so_and_keeps_its_parameters(store, action, error, status):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(error):
        run_that_ends_in(action)
    run = mlflow.last_active_run()
    assert run.info.status == status
    assert run.data.params == {"tower": "dense", "tower.units": "[6]"}
    assert run.data.tags.get("error") == ("ZeroDivisionError: division by zero" if status == "FAILED" else None)
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/config.yaml") == "tower: …\n"
    assert mlflow.active_run() is None
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_while_a_run_begins_ends_it_as_killed(store, monkeypatch):
    """The run is there before the signal is obeyed, and must not end as if it had finished."""
    begin = mlflow.start_run

    def begin_and_be_terminated(**options):
        os.kill(os.getpid(), signal.SIGTERM)
        return begin(**options)

    monkeypatch.setattr(mlflow, "start_run", begin_and_be_terminated)
    with pytest.raises(KeyboardInterrupt), tracking.tracked_run("hardly begun", "model"):
        pytest.fail("the signal came first")
    assert mlflow.last_active_run().info.status == "KILLED"
    assert mlflow.active_run() is None


def test_runs_of_dead_processes_are_killed_at_the_next_start(store):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        of_a_dead_process = tracking.process(child.pid)
    client, tags = mlflow.MlflowClient(), {"dead": of_a_dead_process, "alive": tracking.process()}
    experiment = mlflow.get_experiment_by_name("tests").experiment_id
    runs = {name: client.create_run(experiment, tags={"process": tag}).info.run_id for name, tag in tags.items()}
    tracking.connect(mlflow.get_tracking_uri(), "tests")
    assert {name: status_of(run) for name, run in runs.items()} == {"dead": "KILLED", "alive": "RUNNING"}
    client.set_terminated(runs["alive"])


def test_a_resumed_run_logs_no_step_twice(store):
    with tracking.tracked_run("first", "model") as run_id:
        tracking.log_metrics({"loss": 0.5}, "epoch", 1)
        tracking.log_metrics({"parameters": 3}, "model")
    with tracking.tracked_run("first", "model", resume=run_id) as resumed:
        for step in (1, 2):
            tracking.log_metrics({"loss": 0.5 / step}, "epoch", step)
        tracking.log_metrics({"parameters": 3}, "model")
        with tracking.tracked_run("inner", "baseline", parent=run_id) as inner:
            tracking.log_metrics({"loss": 0.1}, "epoch", 1)
    assert resumed == run_id
    history = {name: tracking.metric_history(run_id, name) for name in ("epoch/loss", "model/parameters")}
    assert {name: [each.value for each in found] for name, found in history.items()} == {
        "epoch/loss": [0.5, 0.25],
        "model/parameters": [3.0],
    }
    assert mlflow.get_run(inner).data.metrics == {"epoch/loss": 0.1}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_until_a_write_is_whole(signum, store):
    order = []

    def interrupted_while_writing() -> None:
        with tracking.defer_interrupts():
            with tracking.defer_interrupts():
                os.kill(os.getpid(), signum)
                order.append("inner")
            order.append("outer")
        order.append("never reached")

    with pytest.raises(KeyboardInterrupt), tracking.tracked_run("interrupted", "model"):
        interrupted_while_writing()
    assert order == ["inner", "outer"]
    assert mlflow.last_active_run().info.status == "KILLED"


def test_a_child_names_its_parent(store):
    with tracking.tracked_run("parent", "model") as parent:
        pass
    with tracking.tracked_run("child", "evaluation", parent=parent) as child:
        pass
    assert mlflow.get_run(child).data.tags["mlflow.parentRunId"] == parent
