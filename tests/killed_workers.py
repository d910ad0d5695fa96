"""Workers of which one dies: its process is killed from within, the first time that it is at a block."""

import os
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from siamese.inference.workers import Arrays, Block, Prepare, Workers


class KilledWorkers:
    """Other workers, with a death in each computation.

    Args:
        workers: processes other than this one.
        folder: where each attempt at a block leaves a file, "COMPUTATION-BLOCK-…".
        block: at which the worker dies, counted from 0.
    """

    def __init__(self, workers: Workers, folder: Path, block: int = 1):
        self._workers, self._folder, self._block = workers, folder, block
        self.computations = 0

    def map(self, prepare: Prepare, items: Iterable[Any]) -> Iterator[Arrays]:
        self.computations += 1
        folder = self._folder / f"{self.computations}"
        folder.mkdir()
        return self._workers.map(partial(_mortal, prepare, folder, self._block), enumerate(items))

    def attempts(self, computation: int) -> list[int]:
        """The blocks that were begun, ascending; one that was begun twice comes twice."""
        return sorted(int(file.name.partition("-")[0]) for file in (self._folder / str(computation)).iterdir())


def _mortal(prepare: Prepare, folder: Path, victim: int) -> Block:
    block = prepare()

    def mortal(item: tuple[int, Any]) -> Arrays:
        number, own = item
        is_first = not list(folder.glob(f"{number}-*"))
        (folder / f"{number}-{os.getpid()}").touch()
        if number == victim and is_first:
            os.kill(os.getpid(), signal.SIGKILL)
        return block(own)

    return mortal
