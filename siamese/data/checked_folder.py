"""Checked folder: what is read of a saved folder is whole, or refused in a line that names the file.

A folder may come from anywhere, half copied or made to do harm. So only ordinary files are read, none larger than the memory,
each once, and nothing is given out before it has its checksum. What a file claims of itself, such as the shape of an array, is
held against its size before any memory is taken for it.
"""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from siamese.data import archives

HEADS = HEAD, HEAD_OF_COLLECTION = "detector.json", "collection.json"  # files that note checksums
SHA256 = "sha256"  # where in them
NOT_SAVED = "{} is not the file that was saved: {}; copy the folder again, or train again"
LARGEST_JSON = 2**26  # bytes; parsed it takes up to 25 times as much memory
KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


class CheckedFolder:
    """The files of a saved folder.

    Args:
        path: of the folder, which may itself be a link.
        sha256: the checksums of its files by their names, 64 hexadecimal digits each; None where there are none.
    """

    def __init__(self, path: Path, sha256: Mapping[str, str] | None = None):
        self.path, self.sha256 = path, sha256

    @classmethod
    def of(cls, folder: "Path | CheckedFolder", head: str = HEAD) -> "CheckedFolder":
        """The folder itself, or that of a path with the checksums that its head notes, if any.

        Raises:
            ValueError: the head is not whole.
        """
        if isinstance(folder, CheckedFolder):
            return folder
        found = cls(folder)
        noted = found.json(head) if found.has(head) else {}
        if SHA256 not in noted:
            return found
        checksums = noted[SHA256]
        if not isinstance(checksums, dict) or checksums.pop(head, None) != _digest(noted):
            raise ValueError(NOT_SAVED.format(folder / head, "its SHA-256 is not the one that it notes"))
        found.sha256 = checksums
        return found

    def has(self, name: str) -> bool:
        """Whether there is anything of this name."""
        return os.path.lexists(self.path / name)

    def size(self, name: str) -> int:
        """The bytes of a file.

        Raises:
            ValueError: it is not there, no ordinary file or larger than the memory, or a part of the way to it is a link.
        """
        inside = [*reversed(Path(name).parents)][1:]
        for part in inside:
            if (self.path / part).is_symlink():
                raise ValueError(f"{self.path / part} is a link, not a folder; copy what it points to")
        try:
            found = os.lstat(self.path / name)
        except (OSError, ValueError):  # a name with a zero byte
            raise ValueError(f"{self.path} has no {name}") from None
        if not stat.S_ISREG(found.st_mode):
            kind = next((kind for is_kind, kind in KINDS if is_kind(found.st_mode)), "of another kind")
            raise ValueError(f"{self.path / name} is {kind}, not an ordinary file; copy the file itself")
        if found.st_size > _memory():
            raise ValueError(f"{self.path / name} has {found.st_size:,} bytes, more than the memory of this machine")
        return found.st_size

    def check(self, name: str) -> None:
        """Raise ValueError unless all that lies in a folder of this name is ordinary files and folders."""
        for inside in sorted((self.path / name).rglob("*")):
            if not inside.is_dir() or inside.is_symlink():
                self.size(inside.relative_to(self.path).as_posix())

    def read(self, name: str, most: int | None = None) -> bytes:
        """The content of a file.

        Args:
            name: of the file, with "/" where it lies deeper.
            most: bytes that it may have; None for no such limit.

        Raises:
            ValueError: as `size`; it is larger, or has another checksum or none.
        """
        return self._content(name, most).tobytes()

    def _content(self, name: str, most: int | None = None) -> np.ndarray:
        """The same as `uint8[bytes]`: for a large array NumPy asks the system for large pages, which come eight times as fast."""
        file, size = self.path / name, self.size(name)
        if most is not None and size > most:
            raise ValueError(f"{file} has {size:,} bytes; at most {most:,} are read")
        no_waiting = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # for a FIFO that has just taken its place
        content = np.empty(size, np.uint8)
        with os.fdopen(os.open(file, no_waiting), "rb") as opened:
            filled = opened.readinto(content.data)
        if filled != size:
            raise ValueError(f"{file} changes while it is read; try again")
        self._compare(name, hashlib.sha256(content.data).hexdigest)
        return content

    def verify(self, name: str) -> Path:
        """The path of a file that another library reads; errors as in `read`."""
        self.size(name)
        self._compare(name, lambda: _file_digest(self.path / name))
        return self.path / name

    def _compare(self, name: str, sha256: Callable[[], str]) -> None:
        """Raise ValueError where a file has another checksum than the one noted, or none; a head has its own."""
        if self.sha256 is not None and name not in HEADS and self.sha256.get(name) != sha256():
            why = "its SHA-256 is another one" if name in self.sha256 else "no SHA-256 of it is noted"
            raise ValueError(NOT_SAVED.format(self.path / name, why))

    def text(self, name: str) -> str:
        """The content of a JSON file, in UTF-8, for a parser of its own; errors as in `read`."""
        try:
            return self.read(name, LARGEST_JSON).decode("utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(f"{self.path / name} is no UTF-8: {problem}") from None

    def json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file that holds an object.

        Raises:
            ValueError: as `read`, or it holds something else.
        """
        text = self.text(name)
        try:
            return json_object(text)
        except ValueError as problem:
            raise ValueError(f"{self.path / name} is no JSON that can be read: {problem}") from None

    def entries(self, name: str, most: int = 0) -> dict[str, memoryview]:
        """The contents of a ZIP file by their names.

        Args:
            name: of the file.
            most: bytes that they may have together where they are compressed; 0 for a file that is not compressed.

        Raises:
            ValueError: as `read`, or it is no such file.
        """
        content = self._content(name)
        try:
            return archives.entries(content.data, most)
        except Exception as problem:  # of zipfile and zlib; they have no common type
            raise ValueError(f"{self.path / name} is no whole archive: {problem or type(problem).__name__}") from None

    def arrays(self, name: str, most: int = 0) -> dict[str, np.ndarray]:
        """The arrays of an .npz file by their names, read-only; arguments as in `entries`.

        Raises:
            ValueError: as `entries`, or it holds something else than arrays of the types `archives.ARRAYS`, or a number
                that is NaN or beyond ± `archives.LARGEST`.
        """
        arrays = {}
        for entry, content in self.entries(name, most).items():
            try:
                arrays[entry.removesuffix(".npy")] = archives.array(content)
            except Exception as problem:  # of NumPy's reader of headers
                raise ValueError(f"{self.path / name} holds no arrays: {entry} {problem}") from None
        return arrays


def json_object(text: str) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        ValueError: it is no JSON, holds no object, or is too deep.

    >>> json_object("[]")
    Traceback (most recent call last):
    ValueError: an object was expected, got list
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"an object was expected, got {type(found).__name__}")
    return found


def seal(folder: Path, state: dict[str, Any], head: str = HEAD) -> None:
    """Write the head of a folder: what it says, with the SHA-256 of each file that is there, and of what it says itself."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / head)
    sha256 = {file.relative_to(folder).as_posix(): _file_digest(file) for file in files}
    state = state | {SHA256: sha256}
    state |= {SHA256: sha256 | {head: _digest(state)}}
    (folder / head).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def _file_digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _digest(state: dict[str, Any]) -> str:
    """The SHA-256 of all that a head says but this one."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
