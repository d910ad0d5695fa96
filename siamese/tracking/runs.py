"""Runs: start them in the current store and end them with the right status."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from siamese.tracking import local_store, outages, silence
from siamese.tracking.interrupts import defer_interrupts, interrupts_raised
from siamese.tracking.outages import writing
from siamese.tracking.provenance import PARAMETER_LIMIT, process
from siamese.tracking.sending import CONTINUES, unconfirmed_run

GROWING = ("study", "sweep")  # kinds of runs whose figures are measured anew each time they go on

# of each resumed run, the names and steps of the metrics that it had, and the names of the parameters, without a step
_logged: dict[str, set[tuple[str, int | None]]] = {}


@contextmanager
def tracked_run(
    name: str,
    kind: str,
    description: str = "",
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    resume: str | None = None,
    reserve: Path | None = None,
) -> Iterator[str]:
    """A run, by its id, that ends FINISHED, or FAILED after an error, or KILLED after Ctrl-C or SIGTERM.

    Within it both signals raise KeyboardInterrupt, but never during a write to the store.

    Args:
        name: shown in the UI's table.
        kind: tag to filter by: "model", "baseline", "evaluation", "study", "sweep", "trial" or "comparison".
        description: Markdown shown on the run's page.
        parent: id of the parent run; without one the run has none, even where another run is under way.
        tags: more tags.
        resume: id of an ended run to resume, instead of a new one; metrics that it has are not logged again, unless it grows
            with each process, as a study does.
        reserve: a file that is deleted when the run fails, so that the status can be written where the disk is full.

    Raises:
        OSError: the store does not answer when the run begins.
        UnsentError: it has not come back when the run ends; what was logged waits for it.
    """
    run_id, status = None, "KILLED"  # by an interrupt that was deferred until the run had begun
    with interrupts_raised():
        try:
            with defer_interrupts():
                run_id = _resume(resume) if resume else _start(name, parent, {"kind": kind, "process": process()})
                _describe(kind, description, tags or {}, bool(parent), resume)
            status = "FAILED"
            yield run_id
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except BaseException as error:
            if reserve is not None:
                reserve.unlink(missing_ok=True)
            if run_id is not None:
                status = "FAILED"
                with suppress(OSError):
                    set_tags({"error": f"{type(error).__name__}: {error}"[:PARAMETER_LIMIT]})
            raise
        finally:
            if run_id is not None:
                _finish(status)


def _start(name: str, parent: str | None, tags: dict[str, str]) -> str:
    began, attempts = int(time.time() * 1000), itertools.count()

    @writing
    def start() -> str:
        nested = mlflow.active_run() is not None or parent is not None
        above = local_store.continuation(parent) if parent else None
        begun = None
        if next(attempts):
            begun = unconfirmed_run(mlflow.MlflowClient(), local_store.experiment_id(), name, tags["process"], began)
        if begun:
            return mlflow.start_run(run_id=begun, nested=nested).info.run_id
        return mlflow.start_run(run_name=name, nested=nested, parent_run_id=above, tags=tags).info.run_id

    return start()


@writing
def _resume(run_id: str) -> str:
    run = mlflow.start_run(run_id=run_id, nested=mlflow.active_run() is not None)
    if "error" in run.data.tags:
        mlflow.delete_tag("error")
    return run_id


@writing
def _describe(kind: str, description: str, tags: Mapping[str, str], is_child: bool, resumed: str | None) -> None:
    run = mlflow.active_run()
    assert run is not None
    own = {"kind": kind, "process": process(), **tags}
    if description:
        own["mlflow.note.content"] = description
    mlflow.set_tags(own)
    if resumed and kind not in GROWING:
        _logged[resumed] = _values_of(resumed)
    elif not resumed and not is_child and "mlflow.parentRunId" in run.data.tags:
        mlflow.delete_tag("mlflow.parentRunId")  # it began inside another


def _values_of(run: str) -> set[tuple[str, int | None]]:
    client = mlflow.MlflowClient()
    data = client.get_run(run).data
    steps = {(name, each.step) for name in data.metrics for each in client.get_metric_history(run, name)}
    return steps | {(name, None) for name in data.params}


def _finish(status: str) -> None:
    with defer_interrupts():
        with suppress(OSError):  # neither the store nor the disk takes it: the next start sees that the process is dead
            _set_status(status)
        with suppress(MlflowException, OSError):  # it has ended already; this only makes it no longer the active one
            mlflow.end_run(status)
    unsent = outages.settle(wait=status != "KILLED")
    if unsent and status == "FINISHED":
        raise outages.UnsentError(unsent)
    if unsent:
        silence.tell(unsent)


@writing
def _set_status(status: str) -> None:
    run = mlflow.active_run()
    if run is not None:
        mlflow.MlflowClient().set_terminated(run.info.run_id, status)


def is_logged(name: str, step: int | None = None) -> bool:
    """Whether the current run is a resumed one that had a metric at this step, or a parameter, when it was resumed."""
    run = mlflow.active_run()
    before = _logged.get(run.data.tags.get(CONTINUES, run.info.run_id)) if run else None
    return before is not None and (name, step) in before


@writing
def set_tags(tags: dict[str, str]) -> None:
    """Tags of the current run."""
    mlflow.set_tags(tags)
