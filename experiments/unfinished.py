"""Unfinished trainings: what each leaves in outputs/unfinished/ until it ends, so that it can be resumed."""

import hashlib
import json
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from siamese import tracking
from siamese.data.pairs import PairSplits
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import Report
from siamese.inference.runtime import Runtime
from siamese.pretrained.joined import AnyVectorizer
from siamese.tracking.local_store import UNFINISHED
from siamese.tracking.outages import UnsentError
from siamese.tracking.queries import tracked
from siamese.training.saved_state import FILE, SavedState, run_of

KEY_DIGITS = 16  # of the key, in the name of a folder
COMMAND = "command.txt"
DETECTOR = "detector"  # of the best epoch
RESERVE = "reserve"  # a file that only takes space: on a full disk, the last words of a run get it
RESERVE_BYTES = 2**20


@dataclass(frozen=True)
class Interrupted:
    """A training that can be resumed: its folder, the id of its run, and the epochs that it has finished."""

    folder: Path
    run_id: str
    epochs: int


@contextmanager
def folder_of(
    key: str, resumed: Interrupted | None, words: Sequence[str], is_trial: bool, tells: bool
) -> Iterator[Path]:
    """The folder of a training, which is there while the block runs, and afterwards if there is something to resume.

    Args:
        key: from `key_of`.
        resumed: the training that is resumed, if one is.
        words: of the command line that started it.
        is_trial: whether an error ends the training for good.
        tells: whether to print on stderr what is left.

    Raises:
        ValueError: as within, with the place of the detector if the tracking store has not come back.
    """
    folder = resumed.folder if resumed else UNFINISHED / f"{key[:KEY_DIGITS]}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "-m", "experiments.train", *words, "resume=true"])
    (folder / COMMAND).write_text(command + "\n", encoding="utf-8")
    (folder / RESERVE).write_bytes(b"\0" * RESERVE_BYTES)
    try:
        yield folder
    except UnsentError as problem:
        if is_trial:
            _remove(folder)
            raise
        for name in (FILE, COMMAND, RESERVE):
            (folder / name).unlink(missing_ok=True)
        raise ValueError(f"{problem}; the detector is in {folder / DETECTOR}") from None
    except BaseException as problem:
        (folder / RESERVE).unlink(missing_ok=True)
        if not (folder / FILE).exists() or (is_trial and isinstance(problem, Exception)):
            _remove(folder)
        elif tells:
            print(f"note: {folder} keeps what was whole; go on from it with resume=true", file=sys.stderr)
        raise
    _remove(folder)


def _remove(folder: Path) -> None:
    """Delete a folder, and those around it that it leaves empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        for each in (UNFINISHED, UNFINISHED.parent):
            each.rmdir()


def keep(folder: Path, vectorizer: AnyVectorizer, network: Runtime, calibration: Calibration, dev: Report) -> None:
    """Keep the detector of the best epoch so far."""
    Detector(network, vectorizer, calibration, dev.scores()).save(folder / DETECTOR)


def key_of(config: dict, splits: PairSplits) -> str:
    """A digest of all that the weights of a training depend on."""
    digests = {name: pairs.digest() for name, pairs in splits.parts().items()}
    about = [tracking.config_digest(config), config["seed"], digests]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def interrupted(key: str, wanted: str | bool) -> Interrupted | None:
    """The training of a key that was interrupted last; None if there is none, or it is still under way.

    Args:
        key: from `key_of`.
        wanted: the id of its run, or true for any.

    Raises:
        ValueError: the run that is wanted is not there to be resumed.
    """
    folders = sorted(UNFINISHED.glob(f"{key[:KEY_DIGITS]}-*"), key=lambda folder: -folder.stat().st_mtime)
    for folder in folders:
        run_id = run_of(folder, key)
        if run_id is None or wanted not in (True, run_id):
            continue
        try:
            run = tracked(run_id)
        except ValueError:  # it belongs to another store
            continue
        if run.status in ("KILLED", "FAILED") or tracking.process_is_dead(run.tags["process"]):
            return Interrupted(folder, run_id, len(SavedState(folder, key, run_id).epochs()))
        if wanted is not True:
            raise ValueError(
                f"resume: process {run.tags['process']} (host, pid, start) is at run {run_id}; wait for it"
            )
    if wanted is not True:
        raise ValueError(
            f"resume: {UNFINISHED} holds nothing of a run {wanted} with this config, seed and data; give the command that it "
            "was started with, in the same folder, and resume=true"
        )
    return None


def commands(folder: Path) -> Mapping[Path, str]:
    """The folder of each training in a folder -> the command that resumes it."""
    return {file.parent: file.read_text(encoding="utf-8").strip() for file in sorted(folder.glob(f"*/{COMMAND}"))}
