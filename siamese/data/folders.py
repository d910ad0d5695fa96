"""Files and folders that appear on disk whole or not at all, whatever ends the program.

They are written in a scratch folder beside their final name, `.NAME.….part`, and renamed. A process holds a lock on its
scratch folder, so that the next one which writes to the same name can remove what a killed one left.
"""

import errno
import glob
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from siamese.data.locks import try_lock

WHOLE_FILE: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "newline": ""}
SCRATCH, RANDOM = ".part", "?" * 16  # how the names of scratch folders end, and hexadecimal digits before
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SHORT_WRITE = " requested and "  # in NumPy's error on a full disk, which has no number
EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
WORKING_DIRECTORY = -100  # AT_FDCWD of Linux
NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path at which to write a file that takes its name `path` when the block ends without an error.

    Until then, and after an error, whatever had the name before stays as it was. `~` is the home directory; the folder of
    `path` must exist. The new path has the same file name in a folder of its own.

    Raises:
        OSError: the file cannot be written; it names `path`.
    """
    path = Path(path).expanduser()
    with _scratch(path) as scratch:
        new = scratch / path.name
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

    A folder that had the name has it until then: there is no moment without one, if the file system can exchange two names
    at once, as those of Linux and macOS on local disks.

    Args:
        folder: its final name, with `~` for the home directory; missing parents are made.
        may_replace: whether a folder of this name that is not empty may be replaced.

    Raises:
        ValueError: the name is taken by a file, or by a folder that may not be replaced.
        OSError: the folder cannot be written; it names `folder`.
    """
    folder = folder.expanduser().absolute()
    _require_replaceable(folder, may_replace)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(folder) as scratch:
        new = scratch / "new"
        new.mkdir()
        yield new
        _require_replaceable(folder, may_replace)  # another process may have taken the name
        try:
            new.replace(folder)
        except OSError as problem:
            if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _exchange(new, folder)


@contextmanager
def naming_full_disk(name: str | Path) -> Iterator[None]:
    """Let an error that the disk is full name what could not be written.

    Raises:
        OSError: in place of one without a name.
    """
    try:
        yield
    except OSError as problem:
        if problem.filename is None and (problem.errno in FULL or SHORT_WRITE in str(problem)):
            code = problem.errno or errno.ENOSPC
            raise OSError(code, os.strerror(code), str(name)) from problem
        raise


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A folder beside `path` for the time of the block; an error that names something in it names `path` instead."""
    scratch, lock = path.with_name(f".{path.name}.{secrets.token_hex(len(RANDOM) // 2)}{SCRATCH}"), None
    with naming_full_disk(path):
        _remove_abandoned(path)
        try:  # from here on, so that no signal comes between the folder and its removal
            lock = _make_locked(scratch)
            yield scratch
        except OSError as problem:
            if str(problem.filename).startswith(str(scratch)):
                raise OSError(problem.errno, problem.strerror, str(path)) from problem
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _make_locked(scratch: Path) -> int | None:
    """Make a folder, and return its lock; None where the file system has none for folders, as NFS."""
    while True:
        scratch.mkdir(0o700, exist_ok=True)
        try:
            lock = try_lock(scratch, os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        if lock is not None:
            return lock
        # another process has taken it for an abandoned one, and removes it


def _remove_abandoned(path: Path) -> None:
    """Remove the scratch folders for `path` of processes that were killed."""
    for scratch in path.parent.glob(f".{glob.escape(path.name)}.{RANDOM}{SCRATCH}"):
        try:
            lock = try_lock(scratch, os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        if lock is not None:
            if (scratch / "old").exists() and not path.exists():  # see `_exchange`
                (scratch / "old").replace(path)
            shutil.rmtree(scratch, ignore_errors=True)
            os.close(lock)


def _require_replaceable(folder: Path, may_replace: Callable[[Path], bool]) -> None:
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or may_replace(folder))):
        raise ValueError(f"{folder} exists and holds something else; name a folder that does not exist")


def _exchange(new: Path, folder: Path) -> None:
    """Let two folders of a file system exchange their names, at once if it can."""
    if _exchange_at_once(os.fsencode(new), os.fsencode(folder)):
        return
    old = new.with_name("old")  # which `_remove_abandoned` takes back after a kill
    try:
        folder.replace(old)
        new.replace(folder)
    finally:
        if old.exists() and not folder.exists():
            old.replace(folder)


def _exchange_at_once(first: bytes, second: bytes) -> bool:
    """Let two names be exchanged by the system; False if it cannot."""
    import ctypes  # only replacing a folder needs it

    system = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        failed = system.renamex_np(first, second, EXCHANGE)
    elif hasattr(system, "renameat2"):
        failed = system.renameat2(WORKING_DIRECTORY, first, WORKING_DIRECTORY, second, EXCHANGE)
    else:
        return False
    if failed and ctypes.get_errno() not in NO_EXCHANGE:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(second))
    return not failed


def files_digest(folder: Path, names: Iterable[str]) -> str:
    """SHA-256 of some files of a folder with their names, 64 hexadecimal digits."""
    digests = [f"{name} {hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n" for name in sorted(names)]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
