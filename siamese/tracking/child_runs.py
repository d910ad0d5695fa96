"""Child runs: find them and correct their final status."""

from collections.abc import Mapping
from dataclasses import dataclass

import mlflow
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from siamese.tracking.runs import defer_interrupts


@dataclass(frozen=True)
class Child:
    """A run that has a parent run.

    Attributes:
        run_id: in the store.
        status: RUNNING, FINISHED, FAILED or KILLED.
        tags: by name.
        metrics: the latest value of each, by name.
    """

    run_id: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]


@defer_interrupts()
def is_there(run: str) -> bool:
    """Whether the current store has a run that is not deleted."""
    try:
        return mlflow.get_run(run).info.lifecycle_stage == LifecycleStage.ACTIVE
    except MlflowException:
        return False


@defer_interrupts()
def children(parent: str, tags: Mapping[str, str]) -> list[Child]:
    """The child runs of `parent` in the current experiment that have all these tags, oldest first."""
    wanted = "".join(f" and tags.`{name}` = '{value}'" for name, value in tags.items())
    found = mlflow.search_runs(
        filter_string=f"tags.`mlflow.parentRunId` = '{parent}'{wanted}",
        order_by=["attributes.start_time ASC"],
        output_format="list",
    )
    return [Child(each.info.run_id, each.info.status, each.data.tags, each.data.metrics) for each in found]


@defer_interrupts()
def end_as_killed(run: str) -> None:
    """Set the status KILLED: the process died, or its result was discarded."""
    mlflow.MlflowClient().set_terminated(run, "KILLED")


@defer_interrupts()
def end_as_pruned(run: str, name: str) -> None:
    """Set the status FINISHED and the tag state=pruned: the run was stopped early because it was not promising.

    MLflow has no status for it and shows KILLED like FAILED, so the name of the run says it, too.
    """
    client = mlflow.MlflowClient()
    client.set_tag(run, "state", "pruned")
    client.delete_tag(run, "error")
    client.update_run(run, name=name)
    client.set_terminated(run, "FINISHED")


@defer_interrupts()
def retag(run: str, name: str, value: str) -> None:
    """Change a tag of a run that has ended."""
    mlflow.MlflowClient().set_tag(run, name, value)
