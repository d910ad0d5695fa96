"""Overhead: what is no training step, of a tracked run beside a bare loop over the same steps, and of a study."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import contextlib
import io
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hydra import compose
from hydra.utils import instantiate
from omegaconf import DictConfig

from experiments import learning, training_run
from experiments.benchmark import study_overhead
from experiments.benchmark.pairs import write_file
from experiments.benchmark.result import Line, Result
from experiments.cli import hydra_over, plain
from siamese import tracking
from siamese.evaluation.timing import in_turn, ratios
from siamese.training.loop import Passes


def measure(
    towers: Sequence[str],
    pairs_file: str | None,
    pairs: int,
    vocabulary: int,
    overrides: Sequence[str],
    seconds: float,
    of_seconds: float | None,
    study: Sequence[str],
    repeats: int,
) -> Result:
    """Train each tower as a user would, tracked, and by a bare loop, in turn; then run a few cells of a study."""
    pairs_file = pairs_file and str(Path(pairs_file).expanduser().resolve())
    starts = [study_overhead.start() for _ in range(repeats if towers else 0)]
    lines, notes = [], [f"Settings: {' '.join(overrides) or 'the defaults'}."] if towers else []
    for tower in towers:
        # in a folder of its own, since MLflow keeps artifacts in the working directory
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            file = pairs_file or str(Path(folder) / "pairs.tsv")
            if pairs_file is None:
                write_file(Path(file), pairs, vocabulary, seed=0)
            composed = partial(_compose, [f"data.train={file}", f"tower={tower}", *overrides], Path(folder))
            tracking.connect(**plain(composed(2))["tracking"])  # a user's store is made once, not by each run
            epochs = max(2, round(seconds / _bare(composed(2)).epochs[1]))  # the first one compiles
            cfg = composed(epochs)
            runs = in_turn({"bare": partial(_bare, cfg), "tracked": partial(_tracked, cfg)}, repeats, tower)
        lines.append(Line(tower, _figures(runs["bare"], runs["tracked"], starts, of_seconds)))
        notes.append(f"{tower}: {epochs} epochs of about {np.median([each.epochs[1] for each in runs['bare']]):.1f} s.")
    whose = "the run itself"
    if of_seconds is not None:
        whose = f"a run that trains {of_seconds:.0f} s, computed from the fixed cost and that of each epoch"
    if towers:
        notes += [
            f"The shares are those of {whose}.",
            "Fixed: what the tracked run does outside of training and the evaluations after each epoch (tracking of data, "
            "reports, figures, the detector), less what the bare loop does there too (reading, vocabulary, building).",
            "Share of all: also what the bare loop does there, and the start of Python with its imports.",
            "Steps over bare: training time of the epochs after the first, beside which the epoch before is written.",
        ]
    if study:
        cells, note = study_overhead.measure(study, repeats)
        lines, notes = [*lines, cells], [*notes, note]
    return Result(lines, notes)


def _figures(
    bare: Sequence["_Run"], tracked: Sequence["_Run"], starts: Sequence[float], of_seconds: float | None
) -> dict[str, list[float]]:
    epochs = len(bare[0].epochs)
    walls, bare_walls = ([run.wall for run in runs] for runs in (tracked, bare))
    evaluation = np.array([np.mean(run.between) for run in tracked])
    training = np.array([sum(run.epochs) for run in tracked])
    rest = np.array([run.wall - sum(run.epochs) for run in bare])
    fixed = walls - training - epochs * evaluation - rest
    length = training if of_seconds is None else of_seconds
    share = (fixed + evaluation * epochs * length / training) / length
    return {
        "tracked s": walls,
        "bare loop s": bare_walls,
        "tracked over bare": ratios(walls, bare_walls),
        "steps over bare": ratios(*([sum(run.epochs[1:]) for run in runs] for runs in (tracked, bare))),
        "evaluation of an epoch s": evaluation.tolist(),
        "fixed s": fixed.tolist(),
        "overhead share": share.tolist(),
        "start s": list(starts),
        "share of all": (share + (rest + np.array(starts)) / length).tolist(),
    }


class _Run(NamedTuple):
    """Seconds of a run: wall time in all, training of each epoch, and evaluation between epochs."""

    wall: float
    epochs: list[float]
    between: list[float]


def _compose(overrides: Sequence[str], folder: Path, epochs: int) -> DictConfig:
    """The experiment as the command line would compose it, in a tracking store of its own, all epochs run."""
    store = f"tracking.uri=sqlite:///{folder}/mlflow.db"
    own = ["data=pairs_file", "baselines=none", store, f"training.epochs={epochs}", "training.patience=null"]
    with hydra_over(None):
        return compose("config", overrides=[*own, *overrides])


def _tracked(cfg: DictConfig) -> _Run:
    """The program as the user runs it; the store has the time of each epoch's end, and how long it trained."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        run_id = training_run.run(cfg).run_id
    wall = time.perf_counter() - started
    [pairs] = tracking.metric_history(run_id, "data/train_pairs")
    speed = tracking.metric_history(run_id, "epoch/pairs_per_second")
    epochs = [pairs.value / each.value for each in speed]
    return _Run(wall, epochs, (np.diff([each.seconds for each in speed]) - epochs[1:]).tolist())


def _bare(cfg: DictConfig) -> _Run:
    """The same data, network, batches and steps, and nothing else."""
    started = time.perf_counter()
    build = partial(instantiate, _convert_="all")
    pairs = build(cfg.data)().train
    built = learning.build_network(cfg, pairs.questions)
    optimizer, weight = partial(build(cfg.optimizer), build(cfg.schedule)), build(cfg.weighting)(pairs)
    settings = (cfg.seed, cfg.training.epochs, cfg.training.batch_size, cfg.training.word_dropout)
    token_ids = built.vectorizer.encode(pairs.questions)
    passes = Passes(built.network, build(cfg.loss), optimizer, pairs, token_ids, weight, *settings)
    seconds = [passes.epoch(number).seconds for number in range(1, cfg.training.epochs + 1)]
    return _Run(time.perf_counter() - started, seconds, [])
