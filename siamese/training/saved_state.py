"""Saved state: what a training needs to go on after its process was killed."""

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from siamese.data.folders import atomic_path

FILE = "epoch.npz"
HEAD, VARIABLE, BEST = "head", "variable", "best"


@dataclass(frozen=True)
class State:
    """The variables after the last epoch, the weights of the best one, and the history, as JSON."""

    variables: list[np.ndarray]
    best: list[np.ndarray]
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class SavedState:
    """A folder with the state of one training.

    Attributes:
        folder: made when it is first written to.
        key: identifies the training: the state of another one is not gone on from.
        run_id: of the tracked run.
    """

    folder: Path
    key: str
    run_id: str

    def load(self, variables: int, weights: int) -> State | None:
        """The state of this training with so many variables and weights; None if there is none."""
        head, arrays = _read(self.folder / FILE)
        if head.get("key") != self.key or head.get("counts") != [variables, weights]:
            return None
        return State(
            [arrays[f"{VARIABLE}{at}"] for at in range(variables)],
            [arrays[f"{BEST}{at}"] for at in range(weights)],
            head["history"],
        )

    def save(self, variables: list[np.ndarray], best: list[np.ndarray], history: list[dict[str, Any]]) -> None:
        """Write the state, whole or not at all, in place of that of an earlier epoch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        head = {"key": self.key, "run": self.run_id, "counts": [len(variables), len(best)], "history": history}
        arrays = {
            f"{part}{at}": each for part, all_ in ((VARIABLE, variables), (BEST, best)) for at, each in enumerate(all_)
        }
        with atomic_path(self.folder / FILE) as new:
            np.savez(new, allow_pickle=False, **{HEAD: np.array(json.dumps(head))}, **arrays)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def run_of(folder: Path, key: str) -> str | None:
    """The run of the training with this key whose state a folder holds; None if it holds none."""
    head, _ = _read(folder / FILE)
    return head.get("run") if head.get("key") == key else None


def _read(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Head and arrays of a file; empty if it is not there, or damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return json.loads(str(arrays[HEAD])), {name: arrays[name] for name in arrays.files if name != HEAD}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}, {}
