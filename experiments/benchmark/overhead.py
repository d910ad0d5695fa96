"""Overhead: what tracking and evaluation add to a bare loop over the same steps."""

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
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from experiments import training_run
from experiments.benchmark.pairs import write_file
from experiments.benchmark.result import Line, Result
from siamese import tracking
from siamese.commands.config_files import CONF
from siamese.evaluation.timing import in_turn, ratios
from siamese.training.loop import passes


def measure(
    pairs_file: str | None,
    pairs: int,
    vocabulary: int,
    overrides: Sequence[str],
    seconds: float,
    of_seconds: float | None,
    repeats: int,
) -> Result:
    """Train as a user would, tracked, and by a bare loop; in turn.

    Args:
        pairs_file: real pairs in Quora's shape instead of made ones.
        pairs: how many are made.
        vocabulary: of the pairs that are made.
        overrides: of the composed experiment, as on the command line of experiments.train.
        seconds: about how long the training of one run takes; settles its epochs, at least 2.
        of_seconds: reckon the overhead of a run that trains so long, from the fixed cost and that of each
            epoch; None for the run as it was.
        repeats: runs of each kind.
    """
    pairs_file = pairs_file and str(Path(pairs_file).expanduser().resolve())
    # in a folder of its own, since MLflow keeps artifacts in the working directory
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        file = pairs_file or str(Path(folder) / "pairs.tsv")
        if pairs_file is None:
            write_file(Path(file), pairs, vocabulary, seed=0)
        composed = partial(_compose, [f"data.train={file}", *overrides], Path(folder))
        epoch = _bare(composed(2)).epochs[1]  # the first one compiles
        epochs = max(2, round(seconds / epoch))
        cfg = composed(epochs)
        bare: list[_Run] = []
        tracked: list[_Run] = []

        def keep(runs: list[_Run], run: _Run) -> float:
            runs.append(run)
            return run.wall

        walls = in_turn(
            {"bare": lambda: keep(bare, _bare(cfg)), "tracked": lambda: keep(tracked, _tracked(cfg))},
            repeats,
            "overhead",
        )
    evaluation = [float(np.mean(run.between)) for run in tracked]
    fixed = [
        (run.wall - sum(run.epochs) - epochs * each) - (plain.wall - sum(plain.epochs))
        for run, plain, each in zip(tracked, bare, evaluation, strict=True)
    ]
    training = [sum(run.epochs) for run in tracked]
    length = training if of_seconds is None else [of_seconds] * len(tracked)
    share = [
        (once + each * epochs * whole / trained) / whole
        for once, each, whole, trained in zip(fixed, evaluation, length, training, strict=True)
    ]
    told = (
        f"a run that trains {of_seconds:.0f} s, reckoned from the fixed cost and that of each epoch"
        if of_seconds is not None
        else "the run as it was"
    )
    figures = {
        "tracked s": walls["tracked"],
        "bare loop s": walls["bare"],
        "tracked over bare": ratios(walls["tracked"], walls["bare"]),
        "evaluation of an epoch s": evaluation,
        "fixed s": fixed,
        "overhead share": share,
    }
    notes = [
        f"Settings: {' '.join(overrides) or 'the defaults'}.",
        f"{epochs} epochs of about {np.median([np.mean(run.epochs) for run in tracked]):.1f} s.",
        f"The overhead share is that of {told}.",
        "Fixed: what the tracked run does outside of training and the evaluations after each epoch (tracking of data, "
        "reports, figures, the detector), less what the bare loop does there too (reading, vocabulary, building).",
    ]
    return Result([Line("tracked run", figures)], notes)


class _Run(NamedTuple):
    """Seconds of a run: wall time in all, training of each epoch, and evaluation between epochs."""

    wall: float
    epochs: list[float]
    between: list[float]


def _compose(overrides: Sequence[str], folder: Path, epochs: int) -> DictConfig:
    """The experiment as the command line would compose it, in a tracking store of its own, all epochs run."""
    own = [
        "data=pairs_file",
        "baselines=none",
        f"tracking.uri=sqlite:///{folder}/mlflow.db",
        f"training.epochs={epochs}",
        "training.patience=null",
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=[*own, *overrides])


def _tracked(cfg: DictConfig) -> _Run:
    """The program as the user runs it. The store tells when each epoch was logged, and how long it trained."""
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
    built = training_run.build_network(cfg, pairs.questions)
    optimizer, weight = partial(build(cfg.optimizer), build(cfg.schedule)), build(cfg.weighting)(pairs)
    settings = (cfg.seed, cfg.training.epochs, cfg.training.batch_size, cfg.training.word_dropout)
    token_ids = built.vectorizer.encode(pairs.questions)
    trained = passes(built.network, build(cfg.loss), optimizer, pairs, token_ids, weight, *settings)
    seconds = [each.seconds for each in trained]
    return _Run(time.perf_counter() - started, seconds, [])
