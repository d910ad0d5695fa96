"""Folder: an export on disk. It is there whole or not at all, and holds the digest of each of its files."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HEAD = "export.json"
FORMAT_VERSION = 1


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that takes its name when the block is over; after an error nothing is left of it.

    Raises:
        ValueError: the name belongs to something else than an older export, which would be replaced.
    """
    if folder.exists() and not (folder.is_dir() and (_is_export(folder) or not any(folder.iterdir()))):
        raise ValueError(f"output={folder} exists and is no export; name a folder that does not exist")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)


def write_head(folder: Path, head: dict[str, Any]) -> None:
    """Write `export.json`: what is told of the export, and the SHA-256 of each file that is there already."""
    digests = {path.relative_to(folder).as_posix(): _digest(path) for path in _files(folder)}
    head = {"export_version": FORMAT_VERSION, **head, "sha256": digests}
    (folder / HEAD).write_text(json.dumps(head, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in _files(path)) if path.is_dir() else path.stat().st_size


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_export(folder: Path) -> bool:
    try:
        return "export_version" in json.loads((folder / HEAD).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False
