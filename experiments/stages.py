"""Stages: what a program is doing, printed on stderr where it would be silent for seconds."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import UnsupportedOperation
from typing import TextIO

FIRST = 1.0  # seconds from the start of a stage to its first line
EVERY = 2.5  # seconds between its lines until STEADY; then the time doubles with each line
STEADY = 30.0


class _Teller:
    """Prints the stage under way from a thread; the stage is None where something else shows progress."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._changed = threading.Condition()
        self._stage: str | None = None
        self._begun = 0.0
        self._ended = False

    def set(self, stage: str | None) -> None:
        with self._changed:
            self._stage, self._begun = stage, time.monotonic()
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def run(self) -> None:
        with self._changed:
            due = FIRST
            while not self._ended:
                begun = self._begun
                left = begun + due - time.monotonic()
                if self._stage is None or left > 0:
                    self._changed.wait(None if self._stage is None else left)
                if self._begun != begun:
                    due = FIRST
                elif self._stage is not None and not self._ended and time.monotonic() >= begun + due:
                    print(f"{self._stage} ({due:.1f} s)", file=self._file, flush=True)
                    due = due + EVERY if due < STEADY else 2 * due


_teller: _Teller | None = None


@contextmanager
def telling(stage: str) -> Iterator[None]:
    """Print a stage, and those that `doing` names, while the block runs."""
    global _teller
    with _stderr() as file:
        _teller = teller = _Teller(file)
        teller.set(stage)
        thread = threading.Thread(target=teller.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            _teller = None
            teller.end()
            thread.join()


def _stderr() -> AbstractContextManager[TextIO]:
    """Standard error as it is now: while TensorFlow starts, what is written to it is lost."""
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
    except UnsupportedOperation:
        return nullcontext(sys.stderr)


def doing(stage: str | None) -> None:
    """The next stage; None for one that shows its own progress. Without `telling` nothing happens."""
    if _teller is not None:
        _teller.set(stage)
