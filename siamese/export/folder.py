"""Folder: an export on disk, with the SHA-256 of each of its files."""

import hashlib
import json
from pathlib import Path
from typing import Any

HEAD = "export.json"
FORMAT_VERSION = 1


def write_head(folder: Path, head: dict[str, Any]) -> None:
    """Write `export.json`: `head`, and the SHA-256 of each file in the folder."""
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(folder)
    }
    head = {"export_version": FORMAT_VERSION, **head, "sha256": digests}
    (folder / HEAD).write_text(json.dumps(head, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in _files(path)) if path.is_dir() else path.stat().st_size


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export of any version."""
    try:
        return "export_version" in json.loads((folder / HEAD).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
