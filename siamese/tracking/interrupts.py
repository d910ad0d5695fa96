"""Interrupts: Ctrl-C and SIGTERM end a run, but never within a write to its store."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_writes: list[None] = []  # one entry for each `defer_interrupts` that is under way
_interruptions: list[int] = []  # signals that arrived meanwhile


@contextmanager
def interrupts_raised() -> Iterator[None]:
    """Let both signals raise KeyboardInterrupt within the block."""
    previous = {each: signal.signal(each, _interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
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


def _interrupt(signum: int, frame: object) -> None:
    if _writes:
        _interruptions.append(signum)
    else:
        raise KeyboardInterrupt
