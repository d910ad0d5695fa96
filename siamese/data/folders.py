"""Files and folders that appear on disk whole or not at all."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

WHOLE_FILE: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "newline": ""}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path at which to write a file that takes its name `path` when the block ends without an error.

    Until then, and after an error, whatever had the name before stays as it was. `~` is the home directory; the folder of
    `path` must exist. The new path has the same file name in a folder of its own.
    """
    path = Path(path).expanduser()
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as scratch:
        new = Path(scratch) / path.name
        yield new
        new.replace(path)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[TextIO]:
    """A text file (UTF-8, line ends as written) at an `atomic_path`."""
    with atomic_path(path) as new, new.open("w", **WHOLE_FILE) as file:
        yield file


@contextmanager
def atomic_folder(folder: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """An empty folder that takes the name `folder` when the block ends without an error.

    Args:
        folder: its final name, with `~` for the home directory; missing parents are made.
        may_replace: whether a folder of this name that is not empty may be replaced.

    Raises:
        ValueError: the name is taken by a file, or by a folder that may not be replaced.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or may_replace(folder))):
        raise ValueError(f"{folder} exists and holds something else; name a folder that does not exist")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            folder.replace(old)
        new.replace(folder)


def files_digest(folder: Path, names: Iterable[str]) -> str:
    """SHA-256 of some files of a folder with their names, 64 hexadecimal digits."""
    digests = [f"{name} {hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n" for name in sorted(names)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
