"""Saved index: a question index on disk, as a folder of plain files, without code.

collection.json     format version, the digest of the detector, the next number, and the SHA-256 of each file
questions.parquet   number (kept for good), question, and the other columns
embeddings.npy      float32[questions, dimension]
nearest.faiss       the approximate index, if there is one
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from siamese.data.checked_folder import HEAD_OF_COLLECTION, CheckedFolder, seal
from siamese.data.folders import atomic_folder
from siamese.retrieval.approximate_index import ApproximateIndex

FORMAT_VERSION = 2
WITHOUT_CHECKSUMS = 1
SETTINGS = {"detector": str, "following": int, "approximate": bool}  # in the head
HEAD, TABLE, EMBEDDINGS, INDEX = HEAD_OF_COLLECTION, "questions.parquet", "embeddings.npy", "nearest.faiss"


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
        seal(new, head, HEAD)


def read(folder: Path, detector: str, dimension: int) -> Saved:
    """Read a folder that `write` wrote, embeddings memory-mapped, all of it from before or after another process replaces it.

    Args:
        folder: its name.
        detector: the digest of the detector that is to search.
        dimension: of the embeddings.

    Raises:
        ValueError: it is another or no detector's index, or a file of it is not whole.
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
    head, checked = _head(folder)
    if head["detector"] != detector:
        raise ValueError(
            f"{folder} was made by another detector (digest {head['detector'][:12]}, this one has {detector[:12]}); their "
            "embeddings are not comparable. Name the detector that made it with run=, or build the index anew"
        )
    embeddings = _embeddings(checked, whole=not head["approximate"])
    table = _table(checked, len(embeddings))
    index = ApproximateIndex.load(checked.verify(INDEX)) if head["approximate"] else None
    expected = len(table), dimension
    if embeddings.shape != expected or (index is not None and (len(index), index.dimension) != expected):
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


def _head(folder: Path) -> tuple[dict[str, Any], CheckedFolder]:
    """What `collection.json` says, and the folder with its checksums; warns of a format without them.

    Raises:
        ValueError: there is no collection of this format, or the file is not whole.
    """
    if not CheckedFolder(folder).has(HEAD):
        raise ValueError(f"{folder} is no collection: it has no {HEAD}")
    checked = CheckedFolder.of(folder, HEAD)
    said = checked.json(HEAD)
    version = said.pop("format_version", None)
    if type(version) is not int:
        raise ValueError(f"{folder / HEAD} describes no collection: it has no format version; build it anew")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{folder} has format {version}, this program reads up to {FORMAT_VERSION}; use a newer version of the project"
        )
    wrong = [name for name, kind in SETTINGS.items() if type(said.get(name)) is not kind]
    if wrong or (version > WITHOUT_CHECKSUMS and checked.sha256 is None):
        raise ValueError(f"{folder / HEAD} lacks {', '.join(wrong) or 'its checksums'}; build the collection anew")
    if checked.sha256 is None:
        warnings.warn(f"{folder} was saved without checksums, by an older version; build it anew", stacklevel=5)
    return said, checked


def _embeddings(checked: CheckedFolder, whole: bool) -> np.ndarray:
    """The embeddings `float32[questions, dimension]`, mapped into memory.

    Args:
        checked: the folder.
        whole: whether a search reads all of them, so that all are compared with their checksum, and must be finite. With an
            approximate index a search reads a few of millions, and looks at these.

    Raises:
        ValueError: they are no such numbers.
    """
    checked.size(EMBEDDINGS)
    file = checked.verify(EMBEDDINGS) if whole else checked.path / EMBEDDINGS
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as problem:  # of NumPy's reader of headers, or of the mapping
        raise ValueError(f"{file} cannot be read: {problem}; build the collection anew") from None
    if found.ndim != 2 or found.dtype != np.float32 or (whole and not np.isfinite(found).all()):
        raise ValueError(
            f"{file} must be float32[questions, dimension] of finite numbers, got {found.dtype}{list(found.shape)}; "
            "build the collection anew"
        )
    return found


def _table(checked: CheckedFolder, rows: int) -> pa.Table:
    """The questions: numbers that ascend, and columns of texts; ValueError if it holds others, or not as many `rows`."""
    file = checked.verify(TABLE)
    try:
        parquet = pq.ParquetFile(file)
        if parquet.metadata.num_rows != rows:  # before memory is taken for them
            raise ValueError(f"it has {parquet.metadata.num_rows} questions, and there are {rows} embeddings")
        found = parquet.read()  # pq.read_table would import pandas
        kinds = dict(zip(found.column_names, found.schema.types, strict=True))
        numbers = np.concatenate([[-1], *map(np.from_dlpack, found["number"].chunks)])  # `to_numpy` would import pandas
        if kinds.pop("number") != pa.int64() or "question" not in kinds or (np.diff(numbers) <= 0).any():
            raise ValueError("its numbers do not ascend, or there is no column question")
        if other := [name for name, kind in kinds.items() if kind not in (pa.string(), pa.large_string())]:
            raise ValueError(f"{', '.join(other)} holds no texts")
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as problem:
        raise ValueError(f"{file} cannot be read: {problem}; build the collection anew") from None
    return found
