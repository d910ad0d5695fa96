"""Start: where a training gets its word pieces, their rows and its tower from."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from siamese.data.folders import files_digest
from siamese.pretrained import piece_table
from siamese.registry.locate import locate
from siamese.saved_detector import detector_folder

RUN = "run:"
SHOWN = 3  # runs that a message names


@dataclass(frozen=True)
class Start:
    """A table or a detector to start from: its folder, and the SHA-256 of what a training reads of it."""

    folder: Path
    digest: str


def find_start(start: str, uri: str, experiment: str) -> Start | None:
    """What a training starts from, or None for a table that ships with the project.

    Args:
        start: shipped, or the language of a shipped table; the folder of a table or of a detector; or run:ID, the run of a
            distillation or of a former training.
        uri, experiment: of the tracking store, which is asked for a run only.

    Raises:
        ValueError: there is no such start.
    """
    if start in ("shipped", *piece_table.shipped_languages()):
        return None
    if start.startswith(RUN):
        folder = _folder_of_run(start.removeprefix(RUN), uri, experiment)
    else:
        folder = detector_folder(Path(start).expanduser())
        if not folder.is_dir():
            raise ValueError(f"{_choices(start)}; there is no folder {start}")
    files = piece_table.files_of(folder)
    return Start(folder, files_digest(folder, files))


@lru_cache(maxsize=8)  # a run does not change
def _folder_of_run(run: str, uri: str, experiment: str) -> Path:
    """The folder of the table or of the detector that a run left."""
    from siamese.tracking.queries import artifact_folder, find_runs, tracked  # MLflow takes seconds to start
    from siamese.tracking.stores import open_store

    open_store(uri, experiment)
    try:
        found = tracked(run)
    except ValueError:
        kind = "no run"
    else:
        kind = f"of kind {found.tags.get('kind')} and {found.status}"
        if found.status == "FINISHED" and found.tags.get("kind") == "model":
            return locate(run, uri, experiment).folder
        if found.status == "FINISHED" and found.tags.get("kind") == "table":
            return artifact_folder(run, "table")
    tables = [each.id for each in find_runs("attributes.status = 'FINISHED' and tags.kind = 'table'")[:SHOWN]]
    raise ValueError(
        f"{_choices(RUN + run)}; in {uri} {run} is {kind}, and the newest tables are of "
        + (", ".join(f"run:{each}" for each in tables) or "no run: make one with experiments.distill")
    )


def _choices(start: str) -> str:
    languages = ", ".join(piece_table.shipped_languages())
    return (
        f"start={start}: it must be shipped, {languages}, the folder of a table or a detector, or run:ID of a finished "
        "distillation or training"
    )
