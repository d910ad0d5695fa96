"""Runs: start them in the current store and end them with the right status."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mlflow

from siamese.tracking.provenance import PARAMETER_LIMIT, process


@contextmanager
def tracked_run(
    name: str,
    kind: str,
    description: str = "",
    parent: str | None = None,
    tags: Mapping[str, str] | None = None,
    resume: str | None = None,
) -> Iterator[str]:
    """A run, by its id, that ends FINISHED, or FAILED after an error, or KILLED after Ctrl-C or SIGTERM.

    Within it both signals raise KeyboardInterrupt, but never during a write to the store.

    Args:
        name: shown in the UI's table.
        kind: tag to filter by: "model", "baseline", "evaluation", "study", "sweep", "trial" or "comparison".
        description: Markdown shown on the run's page.
        parent: id of the parent run; without one the run has none, even where another run is under way.
        tags: more tags.
        resume: id of an ended run to resume, instead of a new one.
    """
    previous = {each: signal.signal(each, _interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with defer_interrupts():
            own = {"kind": kind, "process": process(), **(tags or {})}
            if description:
                own["mlflow.note.content"] = description
            if resume:
                run = mlflow.start_run(run_id=resume)
                if "error" in run.data.tags:
                    mlflow.delete_tag("error")
                mlflow.set_tags(own)
            else:
                inside = mlflow.active_run() is not None
                run = mlflow.start_run(run_name=name, nested=inside or bool(parent), parent_run_id=parent, tags=own)
                if inside and not parent:
                    mlflow.delete_tag("mlflow.parentRunId")
        status = "FAILED"
        try:
            yield run.info.run_id
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except BaseException as error:
            with defer_interrupts():
                mlflow.set_tag("error", f"{type(error).__name__}: {error}"[:PARAMETER_LIMIT])
            raise
        finally:
            with defer_interrupts():
                mlflow.end_run(status)
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Defer interrupts until the end of the block.

    An interrupted transaction would leave the database locked, and the run could no longer be ended.
    """
    _writes.append(None)
    try:
        yield
    finally:
        _writes.pop()
        if not _writes and _interruptions:
            _interruptions.clear()
            raise KeyboardInterrupt


_writes: list[None] = []  # one entry for each `defer_interrupts` that is under way
_interruptions: list[int] = []  # signals that arrived meanwhile


def _interrupt(signum: int, frame: object) -> None:
    if _writes:
        _interruptions.append(signum)
    else:
        raise KeyboardInterrupt


@defer_interrupts()
def set_tags(tags: dict[str, str]) -> None:
    """Tags of the current run."""
    mlflow.set_tags(tags)
