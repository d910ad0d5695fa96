"""Comparing: how long `python -m experiments.compare` takes over very many tracked runs."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from functools import partial
from pathlib import Path

import numpy as np
from hydra import compose
from tqdm import tqdm

from experiments.benchmark.fresh_process import environment
from experiments.benchmark.result import Line, Result
from experiments.cli import hydra_over, plain
from siamese import tracking
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import report
from siamese.evaluation.timing import in_turn, seconds_of
from siamese.tracking.logs import log_to_run

EPOCHS, SEEDS = 5, 3
WIDTHS, TOWERS = (64, 128, 256, 512), ("dense", "conv1d", "bilstm")
ENDS = {"low": -0.02, "high": 0.02}  # of an interval, relative to the value
COMMAND = [sys.executable, "-m", "experiments.compare"]


def measure(runs: int, pairs: int, repeats: int) -> Result:
    """Track made runs in a store of their own, and compare them all in fresh processes.

    Each option has three runs. They have as many parameters and metrics as those of a training.
    """
    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # MLflow keeps a SQLite store's artifacts here
        tracking.connect(f"sqlite:///{folder}/mlflow.db", "duplicate-questions")
        _track(runs, pairs)
        compare = partial(subprocess.run, COMMAND, env=environment(), stdout=subprocess.DEVNULL, check=True)
        figures = in_turn({"compare": lambda: seconds_of(compare)}, repeats, "compare")
    note = f"{pairs:,} dev and {pairs:,} test pairs; a new process reads the runs, tests 12 options, draws and tracks."
    return Result([Line(f"{runs} runs", {"s": figures["compare"]})], [note])


def _track(runs: int, pairs: int) -> None:
    """Track runs whose quality depends on the tower most of all, then on the learning rate and the width."""
    generator = np.random.default_rng(0)
    splits = {}
    for split in ("dev", "test"):
        left, right = ([f"{split} {side} question {number}?" for number in range(pairs)] for side in ("left", "right"))
        splits[split] = QuestionPairs.from_texts(left, right, generator.random(pairs) < 0.4)
    easy = {split: generator.normal(size=pairs) for split in splits}  # the same pairs are easy for every network
    digests = {f"data_digest.{part}": part for part in ("train", "dev", "test", "drawn_from")}
    configs = tqdm(_configs(runs, generator), total=runs, desc="runs", disable=not sys.stderr.isatty())
    for config, quality in configs:
        option = f"{config['tower']['_target_']} {config['tower']['units']} {config['optimizer']['learning_rate']}"
        tags = {"data": "made", "evaluation_code": "made", "seed": str(config["seed"]), "option": option, **digests}
        with tempfile.TemporaryDirectory() as folder:
            with tracking.tracked_run(option, "model", tags=tags | {"config_digest": option}) as run:
                tracking.log_config(config, "")
                for split, made in splits.items():
                    logit = quality * (made.label - 0.5) + easy[split] + 0.5 * generator.normal(size=pairs)
                    found = report(made, 1 / (1 + np.exp(-logit)), Calibration(0.5, 1.0, 0.0), 0, 0)
                    found.predictions.to_csv(Path(folder) / f"{split}.csv", index=False)
                    around = {f"{name}_{end}": x + by for name, x in found.metrics.items() for end, by in ENDS.items()}
                    tracking.log_metrics(found.metrics | around, split)
                    tracking.log_metrics({f"{split}_pairs": pairs}, "data")
                for epoch in range(1, EPOCHS + 1):
                    tracking.log_metrics({f"dev_{name}": x for name, x in found.metrics.items()}, "epoch", epoch)
                tracking.log_metrics({"seconds": 10 + quality}, "training")
                tracking.log_metrics({"parameters": 1e6, "bytes": 4e6, "questions_per_second": 1e5}, "model")
            log_to_run(run, Path(folder), "predictions", "")


def _configs(runs: int, generator: np.random.Generator) -> Iterator[tuple[dict, float]]:
    """Composed configs, and the quality of each: how far it separates the logits of the two classes."""
    with hydra_over(None):
        base = plain(compose("config"))
    for number in range(runs):
        option, seed = divmod(number, SEEDS)
        tower, width = option % len(TOWERS), option % len(WIDTHS)
        if seed == 0:
            rate = float(10 ** generator.uniform(-4, -2))
        changes = {
            "seed": seed,
            "tower": base["tower"] | {"_target_": f"siamese.model.towers.{TOWERS[tower]}", "units": [WIDTHS[width]]},
            "optimizer": base["optimizer"] | {"learning_rate": rate},
        }
        yield base | changes, 2 + 0.3 * tower + 0.1 * width - 0.3 * abs(np.log10(rate) + 3)
