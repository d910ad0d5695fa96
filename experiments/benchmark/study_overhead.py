"""Study overhead: what of a study's time is no training, from a few of its cells, run as a user runs them."""

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from experiments.benchmark.fresh_process import PROJECT, environment
from experiments.benchmark.result import Line, by_quantity
from siamese import tracking
from siamese.commands.config_files import CONF
from siamese.evaluation.timing import seconds_of
from siamese.tracking.queries import find_runs


def start() -> float:
    """Seconds in which a fresh process imports what a training needs, and ends."""
    return seconds_of(lambda: _run("-c", "import experiments.training_run", folder=PROJECT))


def measure(words: Sequence[str], repeats: int) -> tuple[Line, str]:
    """Run cells of a study, three or more, in a store of their own: its line of the table, and a note on it.

    Args:
        words: of the command line of experiments.study; they choose the cells.
        repeats: of the measurement.
    """
    found = [_measure(words) for _ in range(repeats)]
    cells = _cells(words)
    note = (
        f"Study: the cells of {' '.join(words)}. Outside: what the second cell does that is no training; once: what else "
        f"there is (imports, baselines, the first cell's own, the comparison). The share is that of all {cells} cells."
    )
    return Line("study", by_quantity(found)), note


def _measure(words: Sequence[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        program = ("-m", "experiments.study", *words, f"tracking.uri={uri}", "tracking.experiment=study")
        began = time.perf_counter()
        _run(*program, folder=Path(folder))
        wall = time.perf_counter() - began
        tracking.open_store(uri, "study")
        runs = find_runs("tags.kind = 'model'")[::-1]
        training = [run.metrics["training/seconds"] for run in runs]
        begun = [tracking.metric_history(run.id, "data/train_pairs")[0].seconds for run in runs]
    outside = begun[2] - begun[1] - training[1]
    once = wall - sum(training) - len(runs) * outside
    cells = _cells(words)
    beside = once + cells * outside
    return {
        "study s": wall,
        "training s": sum(training),
        "outside of a cell s": outside,
        "once s": once,
        "share of all": beside / (beside + cells / len(runs) * sum(training)),
    }


def _cells(words: Sequence[str]) -> int:
    """The number of cells that the study's file has."""
    [name] = [word.removeprefix("name=") for word in words if word.startswith("name=")]
    params = OmegaConf.load(CONF / "study" / f"{name}.yaml").hydra.sweeper.params
    return math.prod(len(str(values).split(",")) for values in params.values())


def _run(*arguments: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
