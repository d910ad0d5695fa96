"""Child runs: find them, and correct the final status of runs."""

from collections.abc import Mapping

import mlflow
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from siamese.tracking.outages import patient
from siamese.tracking.provenance import process_is_dead
from siamese.tracking.queries import TrackedRun, find_runs


@patient
def is_there(run: str) -> bool:
    """Whether the current store has a run that is not deleted."""
    try:
        return mlflow.get_run(run).info.lifecycle_stage == LifecycleStage.ACTIVE
    except MlflowException as problem:
        if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def children(parent: str, tags: Mapping[str, str]) -> list[TrackedRun]:
    """The child runs of `parent` in the current experiment that have all these tags, oldest first."""
    wanted = {"mlflow.parentRunId": parent, **tags}
    return find_runs(" and ".join(f"tags.`{name}` = '{value}'" for name, value in wanted.items()))[::-1]


@patient
def end_as_killed(run: str) -> None:
    """Set the status KILLED: the process died, or its result was discarded."""
    mlflow.MlflowClient().set_terminated(run, "KILLED")


def end_dead_runs() -> None:
    """Set the status KILLED of runs of the current experiment whose process died on this host."""
    for run in find_runs("attributes.status = 'RUNNING'"):
        if "process" in run.tags and process_is_dead(run.tags["process"]):
            end_as_killed(run.id)


@patient
def end_as_pruned(run: str, name: str) -> None:
    """Set the status FINISHED and the tag state=pruned: the run was stopped early because it was not promising.

    MLflow has no status for it and shows KILLED like FAILED, so the name of the run says it, too.
    """
    client = mlflow.MlflowClient()
    client.set_tag(run, "state", "pruned")
    if "error" in client.get_run(run).data.tags:
        client.delete_tag(run, "error")
    client.update_run(run, name=name)
    client.set_terminated(run, "FINISHED")


@patient
def retag(run: str, name: str, value: str) -> None:
    """Set a tag of a run, ended or not."""
    mlflow.MlflowClient().set_tag(run, name, value)
