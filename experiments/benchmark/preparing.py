"""Preparing: from a file of pairs to token ids, to the first training step, and to the first verdict."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.benchmark import fresh_process
from experiments.benchmark.machine import peak_memory
from experiments.benchmark.pairs import write_file
from experiments.benchmark.result import Line, Result, by_quantity
from siamese.data.sources import pair_file
from siamese.evaluation.timing import in_turn, seconds_of
from siamese.text.vectorizer import Vectorizer

MEBIBYTE = 2**20
QUESTIONS = ("How do I reset my password?", "I forgot my password, what now?")
# Runs the program as `python -m` does; its exit code tells whether it imported TensorFlow.
WITH_TENSORFLOW = 3
LOADS_TENSORFLOW = f"""
import runpy, sys
runpy.run_module("experiments.predict", run_name="__main__", alter_sys=True)
sys.exit({WITH_TENSORFLOW} if "tensorflow" in sys.modules else 0)
"""


def measure(
    pairs_file: str | None, pairs: int, vocabulary: int, towers: Sequence[str], width: int, repeats: int
) -> Result:
    """Time each stage, every repeat in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(pairs_file or Path(folder) / "pairs.tsv").expanduser()
        if pairs_file is None:
            write_file(file, pairs, vocabulary, seed=0)
        here = partial(fresh_process.call, vocabulary=vocabulary)
        stages = by_quantity([here(f"{__name__}:token_ids", file=str(file)) for _ in range(repeats)])
        reading = {
            "reading and splitting s": stages["read_and_split"],
            "vocabulary s": stages["fit"],
            "token ids s": stages["encode"],
            "in all s": stages["seconds"],
            "peak memory MiB": [peak / MEBIBYTE for peak in stages["peak_bytes"]],
        }
        lines = [Line("file to token ids", reading)]
        for tower in towers:
            step = partial(here, "experiments.benchmark.first_step:measure", tower=tower, width=width)
            lines.append(Line(f"first step of {tower}", by_quantity([step() for _ in range(repeats)])))

        detector = Path(folder) / "detector"
        here("experiments.benchmark.first_step:save_detector", folder=str(detector), tower="dense_mean", width=width)
        lines.append(_cold_start(detector, repeats))
    loads = "" if lines[-1].figures["loads TensorFlow"][0] else "no "
    notes = [
        f"{int(stages['pairs'][0]):,} pairs of a file of {stages['file_bytes'][0] / MEBIBYTE:.0f} MiB; the splitting is by "
        "connected component, 5 % each to dev and test.",
        f"Predict, cold: a process that answers for two questions and ends; it loads {loads}TensorFlow.",
    ]
    return Result(lines, notes)


def token_ids(file: str, vocabulary: int) -> dict[str, float]:
    """Read, split and tokenize a file in Quora's shape.

    Returns:
        Seconds of each stage and in all, peak and token bytes, pairs, and the bytes of the file.
    """
    before = peak_memory()
    started = time.perf_counter()
    splits = pair_file(file, "question1", "question2", "is_duplicate", 0.05, 0.05, "question", "skip", seed=0)
    read = time.perf_counter()
    vectorizer = Vectorizer.fit(splits.train.questions, vocabulary_size=vocabulary, min_frequency=2)
    fitted = time.perf_counter()
    encoded = [vectorizer.encode(pairs.questions) for pairs in (splits.train, splits.dev)]
    ended = time.perf_counter()
    return {
        "read_and_split": read - started,
        "fit": fitted - read,
        "encode": ended - fitted,
        "seconds": ended - started,
        "start_bytes": float(before),
        "peak_bytes": float(peak_memory()),
        "token_bytes": float(sum(ids.values.nbytes + ids.offsets.nbytes for ids in encoded)),
        "pairs": float(sum(map(len, splits.parts().values()))),
        "file_bytes": float(Path(file).stat().st_size),
    }


def _cold_start(detector: Path, repeats: int) -> Line:
    """Wall time of the program, started in a folder of its own, and whether it loads TensorFlow."""

    def run(*command: str) -> int:
        words = [sys.executable, *command, f"run={detector}", *QUESTIONS]
        return subprocess.call(words, cwd=detector.parent, env=fresh_process.environment(), stdout=subprocess.DEVNULL)

    checked = run("-c", LOADS_TENSORFLOW)  # also brings the files into memory: cold is the process, not the disk
    if checked not in (0, WITH_TENSORFLOW):
        raise RuntimeError(f"experiments.predict ended with code {checked}")
    start = in_turn({"predict": lambda: seconds_of(lambda: run("-m", "experiments.predict"))}, repeats, "cold start")
    return Line("predict cold", {"in all s": start["predict"], "loads TensorFlow": [float(checked == WITH_TENSORFLOW)]})
