"""Saved index: a question index on disk, as a folder of plain files, without code.

collection.json     format version, the digest of the detector, and the next number
questions.parquet   number (kept for good), question, and the other columns
embeddings.npy      float32[questions, dimension]
nearest.faiss       the approximate index, if there is one
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from siamese.data.folders import atomic_folder
from siamese.retrieval.approximate_index import ApproximateIndex

FORMAT_VERSION = 1
HEAD, TABLE, EMBEDDINGS, INDEX = "collection.json", "questions.parquet", "embeddings.npy", "nearest.faiss"


@dataclass(frozen=True)
class Saved:
    """What a folder holds: see `siamese.retrieval.question_index.Collection`."""

    table: pa.Table
    embeddings: np.ndarray
    index: ApproximateIndex | None
    following: int


def write(folder: Path, detector: str, saved: Saved) -> None:
    """Write the folder atomically; an older index there is replaced, anything else raises ValueError.

    Args:
        folder: its name.
        detector: the digest of the detector that made the embeddings.
        saved: what it is to hold.
    """
    with atomic_folder(folder, lambda old: (old / HEAD).is_file()) as new:
        pq.write_table(saved.table, new / TABLE)
        np.save(new / EMBEDDINGS, saved.embeddings)
        if saved.index is not None:
            saved.index.save(new / INDEX)
        head: dict[str, Any] = {"format_version": FORMAT_VERSION, "detector": detector}
        head |= {"following": saved.following, "approximate": saved.index is not None}
        (new / HEAD).write_text(json.dumps(head, indent=2) + "\n", encoding="utf-8")


def read(folder: Path, detector: str, dimension: int) -> Saved:
    """Read a folder that `write` wrote, embeddings memory-mapped, all of it from before or after another process replaces it.

    Args:
        folder: its name.
        detector: the digest of the detector that is to search.
        dimension: of the embeddings.

    Raises:
        ValueError: it is another or no detector's index, or is broken.
    """
    while True:
        before = _identity(folder)
        try:
            saved = _read(folder, detector, dimension)
        except (OSError, ValueError):
            if _identity(folder) == before:
                raise
        else:
            if _identity(folder) == before:
                return saved
        # another process has replaced the folder meanwhile: its files may be some old, some new


def _read(folder: Path, detector: str, dimension: int) -> Saved:
    head = _head(folder)
    if head["detector"] != detector:
        raise ValueError(
            f"{folder} was made by another detector (digest {head['detector'][:12]}, this one has {detector[:12]}); their "
            "embeddings are not comparable. Name the detector that made it with run=, or build the index anew"
        )
    try:
        table = pq.ParquetFile(folder / TABLE).read()  # pq.read_table would import pandas
        embeddings = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, pa.ArrowInvalid) as problem:
        raise ValueError(f"{folder} cannot be read: {problem}; build it anew") from None
    index = ApproximateIndex.load(folder / INDEX) if head["approximate"] else None
    expected = len(table), dimension
    if embeddings.shape != expected or (index is not None and len(index) != len(table)):
        raise ValueError(
            f"the files of {folder} do not belong together: {len(table)} questions, embeddings of shape "
            f"{list(embeddings.shape)}; build it anew"
        )
    return Saved(table, embeddings, index, head["following"])


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from the one that replaces it; None if there is none."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns


def _head(folder: Path) -> dict[str, Any]:
    if not (folder / HEAD).is_file():
        raise ValueError(f"{folder} is no collection: it has no {HEAD}")
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        version, missing = head["format_version"], {"detector", "following", "approximate"} - set(head)
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError(f"{folder / HEAD} describes no collection: {problem!r}; build it anew") from None
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{folder} has format {version}, this program reads up to {FORMAT_VERSION}; use a newer version of the project"
        )
    if missing:
        raise ValueError(f"{folder / HEAD} lacks {', '.join(sorted(missing))}; build the collection anew")
    return head
