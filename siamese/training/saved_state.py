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

    def begin(self) -> None:
        """Mark the folder as that of this training before its first epoch is over, where it holds something worth keeping."""
        if not (self.folder / FILE).exists():
            self.save([], [], [])

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def epochs(self) -> list[dict[str, Any]]:
        """The history of the state that is there, without its arrays; empty if there is none."""
        head, _ = _read(self.folder / FILE, arrays=False)
        return head["history"] if head.get("key") == self.key else []


def run_of(folder: Path, key: str) -> str | None:
    """The run of the training with this key whose state a folder holds; None if it holds none."""
    head, _ = _read(folder / FILE, arrays=False)
    return head.get("run") if head.get("key") == key else None


def _read(file: Path, arrays: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Head and, if wanted, arrays of a file; empty if it is not there, or damaged."""
    try:
        with np.load(file, allow_pickle=False) as found:
            names = [name for name in found.files if arrays and name != HEAD]
            return json.loads(str(found[HEAD])), {name: found[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}, {}
