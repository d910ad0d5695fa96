"""Finished blocks: results of parts of a long computation in files, so that an interrupted one goes on where it was."""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from siamese.data.folders import naming_full_disk
from siamese.data.locks import try_lock

INPUTS = "inputs"  # the file that says what the blocks belong to
DIVISION = 1  # counted up when a search divides its work otherwise
Arrays = TypeVar("Arrays", bound=tuple[np.ndarray, ...])


class FinishedBlocks:
    """Blocks in a folder, a file each; without a folder each is computed when it is asked for.

    >>> FinishedBlocks().block("ones", lambda: (np.ones(2),))
    (array([1., 1.]),)
    """

    def __init__(self, folder: Path | None = None):
        self._folder = folder

    def block(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays of a block, from its file if there is one, else computed and written.

        Raises:
            OSError: the file cannot be written.
        """
        if self._folder is None:
            return compute()
        file = self._folder / f"{name}.npz"
        if file.exists():
            try:
                with np.load(file) as arrays:
                    return cast(Arrays, tuple(arrays[f"arr_{number}"] for number in range(len(arrays))))
            except (zipfile.BadZipFile, ValueError, KeyError, EOFError):
                pass  # cut short by a crash of the machine: computed again
        found = compute()
        part = file.with_suffix(".part")
        with naming_full_disk(file), part.open("wb") as to:
            np.savez(to, *found)
        part.replace(file)
        return found


@contextmanager
def kept_beside(output: str | Path, inputs: str) -> Iterator[FinishedBlocks]:
    """Blocks in the folder `.NAME.blocks` beside an output, which is removed when the program block ends without error.

    While another process has the folder, blocks are not kept.

    Args:
        output: the file that the computation writes.
        inputs: a digest of all that the blocks depend on.

    Raises:
        ValueError: the folder holds blocks of other inputs.
    """
    output, inputs = Path(output).expanduser(), f"{DIVISION} {inputs}"
    folder = output.with_name(f".{output.name}.blocks")
    folder.mkdir(exist_ok=True)
    lock = try_lock(folder, os.O_DIRECTORY)
    if lock is None:
        yield FinishedBlocks()
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
        yield FinishedBlocks(folder)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
