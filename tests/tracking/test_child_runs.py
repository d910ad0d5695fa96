"""Child runs: those of one parent are found, oldest first, and end as what they were."""

import mlflow
import pytest

from siamese import tracking
from siamese.tracking.child_runs import children, end_as_killed, end_as_pruned, is_there, retag


@pytest.fixture
def parent(store) -> str:
    with tracking.tracked_run("parent", "study") as run_id:
        pass
    return run_id


def child_of(parent: str, value: float = 0.0, **tags: str) -> str:
    with tracking.tracked_run("child", "model", parent=parent, tags=tags) as run_id:
        tracking.log_metrics({"accuracy": value - 1}, "dev", step=1)
        tracking.log_metrics({"accuracy": value}, "dev", step=2)
    return run_id


@pytest.mark.slow
def test_children_of_one_parent_with_all_tags_come_oldest_first(parent, store):
    first, other, last = (
        child_of(parent, value, seed=seed, cell="a") for value, seed in ((1, "0"), (2, "1"), (3, "0"))
    )
    with tracking.tracked_run("stranger", "study") as stranger:
        pass
    child_of(stranger, seed="0", cell="a")
    found = children(parent, {"seed": "0", "cell": "a"})
    assert [each.id for each in found] == [first, last]
    assert [each.metrics for each in found] == [{"dev/accuracy": 1.0}, {"dev/accuracy": 3.0}]
    assert {each.status for each in found} == {"FINISHED"}
    assert found[0].tags["seed"] == "0"
    assert [each.id for each in children(parent, {})] == [first, other, last]
    assert children(parent, {"seed": "2"}) == []


def test_a_run_that_was_deleted_or_never_was_is_not_there(parent):
    assert is_there(parent)
    mlflow.delete_run(parent)
    assert not is_there(parent)
    assert not is_there("0123456789abcdef0123456789abcdef")


def test_a_run_whose_process_was_killed_ends_as_killed(parent):
    run = mlflow.MlflowClient().create_run(mlflow.get_run(parent).info.experiment_id)
    assert run.info.status == "RUNNING"
    end_as_killed(run.info.run_id)
    assert mlflow.get_run(run.info.run_id).info.status == "KILLED"


def test_a_pruned_run_is_finished_and_its_name_says_that_it_was_pruned(parent):
    with pytest.raises(RuntimeError), tracking.tracked_run("trial 3", "trial", parent=parent) as run_id:
        raise RuntimeError
    end_as_pruned(run_id, "trial 3, pruned")
    run = mlflow.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "trial 3, pruned")
    assert run.data.tags["state"] == "pruned"
    assert "error" not in run.data.tags


def test_a_tag_of_a_run_that_is_over_can_change(parent):
    retag(parent, "option", "former winner")
    assert mlflow.get_run(parent).data.tags["option"] == "former winner"
    assert mlflow.get_run(parent).info.status == "FINISHED"
