"""Locks: one process at a time changes a file or folder; the others wait, and say for whom.

The system frees the lock of a process that ends, however it ends.
"""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EVERY = 0.1  # seconds between two tries
SHORT = 2.0  # seconds of waiting that are not worth a message


@contextmanager
def exclusive(path: Path, timeout_s: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Let no other process, and no other thread, into a block with the same path.

    Args:
        path: what the block changes; it need not exist. `.NAME.lock` beside it is there while the block runs.
        timeout_s: seconds to wait at most.
        tell: takes a message that names the process that is waited for, if that takes long.

    Raises:
        TimeoutError: another process was in the block all the time.
    """
    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    began, told = time.monotonic(), False
    while (descriptor := try_lock(file, os.O_RDWR | os.O_CREAT)) is None:
        with suppress(FileNotFoundError):
            holder = file.read_text(encoding="utf-8") or "another process"
            waited = time.monotonic() - began
            if waited >= timeout_s:
                raise TimeoutError(f"{path} is still being changed by {holder} after {timeout_s:g} s; try again later")
            if not told and waited >= min(SHORT, timeout_s / 2):
                tell(f"waiting for {holder}, which changes {path}")
                told = True
        time.sleep(EVERY)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} of {socket.gethostname()} (since {time.ctime()})".encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def try_lock(path: Path, flags: int) -> int | None:
    """Lock a file or folder until its descriptor is closed or the process ends.

    Args:
        path: of the file or folder.
        flags: to open it with.

    Returns:
        The descriptor; None if another one has the lock, or if what was locked no longer has this path.

    Raises:
        OSError: it cannot be opened, or its file system has no locks.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
    except BlockingIOError:
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
