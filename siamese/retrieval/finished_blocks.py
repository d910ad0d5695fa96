"""Finished blocks: results of parts of a long computation in files, so that an interrupted one goes on where it was."""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from siamese.data.folders import naming_full_disk
from siamese.data.locks import try_lock
from siamese.inference.workers import THIS_PROCESS, Prepare, Workers

INPUTS = "inputs"  # the file that says what the blocks belong to
DIVISION = 2  # counted up when a search divides its work otherwise
Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])


class FinishedBlocks:
    """Blocks in a folder, a file each; without a folder each is computed when it is asked for.

    >>> FinishedBlocks().block("ones", lambda: (np.ones(2),))
    (array([1., 1.]),)
    """

    def __init__(self, folder: Path | None = None, workers: Workers = THIS_PROCESS):
        self._folder = folder
        self.workers = workers  # that compute several blocks

    def block(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays of a block, from its file if there is one, else computed here and written.

        Raises:
            OSError: the file cannot be written.
        """
        kept = self._kept(name)
        return self._keep(name, compute()) if kept is None else cast(Arrays, kept)

    def blocks(self, items: Mapping[str, Any], prepare: Prepare) -> Iterator[tuple[np.ndarray, ...]]:
        """The arrays of several blocks, in order, from their files or else from the workers, and written as they come.

        Args:
            items: what `Workers.map` takes, by the name of its block.
            prepare: see `siamese.inference.workers`.

        Raises:
            OSError: a file cannot be written.
        """
        missing = {name: item for name, item in items.items() if self._kept(name) is None}
        computed = self.workers.map(prepare, missing.values())
        for name in items:
            if name in missing:
                yield self._keep(name, next(computed))
            else:
                kept = self._kept(name)
                if kept is None:
                    raise OSError(f"{self._folder} was changed by another program meanwhile; repeat the command")
                yield kept

    def hold(self, names: Iterable[str]) -> bool:
        """Whether none of these blocks has to be computed."""
        return all(self._kept(name) is not None for name in names)

    def _kept(self, name: str) -> tuple[np.ndarray, ...] | None:
        """The arrays of a block's file; None without a whole one."""
        if self._folder is None:
            return None
        try:
            with np.load(self._folder / f"{name}.npz") as arrays:
                return tuple(arrays[f"arr_{number}"] for number in range(len(arrays)))
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
            return None  # or cut short by a crash of the machine: computed again

    def _keep(self, name: str, found: Arrays) -> Arrays:
        """Write the file of a block, if there is a folder."""
        if self._folder is None:
            return found
        file = self._folder / f"{name}.npz"
        part = file.with_suffix(".part")
        with naming_full_disk(file), part.open("wb") as to:
            np.savez(to, *found)
        part.replace(file)
        return found


@contextmanager
def kept_beside(output: str | Path, inputs: str, workers: Workers = THIS_PROCESS) -> Iterator[FinishedBlocks]:
    """Blocks in the folder `.NAME.blocks` beside an output, which is removed when the program block ends without error.

    While another process has the folder, blocks are not kept.

    Args:
        output: the file that the computation writes.
        inputs: a digest of all that the blocks depend on.
        workers: that compute them.

    Raises:
        ValueError: the folder holds blocks of other inputs.
    """
    output, inputs = Path(output).expanduser(), f"{DIVISION} {inputs}"
    folder = output.with_name(f".{output.name}.blocks")
    folder.mkdir(exist_ok=True)
    lock = try_lock(folder, os.O_DIRECTORY)
    if lock is None:
        yield FinishedBlocks(workers=workers)
        return
    try:
        named = folder / INPUTS
        if named.exists() and named.read_text() != inputs:
            raise ValueError(
                f"{folder} holds what an interrupted search among other questions, or with other settings, has found; "
                "repeat that command to go on with it, remove the folder, or name another output"
            )
        if not named.exists():
            named.write_text(inputs)
        yield FinishedBlocks(folder, workers)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
