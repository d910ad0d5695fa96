"""A sweep whose trainings take a moment: what test_sweep.py starts in other processes, kills, and starts again.

It imports no TensorFlow, so that such a process is there at once.
"""

import os
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import optuna
from optuna.pruners import MedianPruner

from experiments.sweep import samplers, space, trial_store, trials
from experiments.sweep.plan import Plan, Settings
from siamese import tracking

EPOCHS = 3


def plan(trials: int = 6, **changes) -> Plan:
    """A plan over two made-up parameters, stored in the working directory."""
    settings = {
        "name": "made_up",
        "objective": "dev/roc_auc",
        "trials": trials,
        "seed": 0,
        "workers": 1,
        "storage": "sqlite:///sweeps.db",
        "heartbeat_timeout_s": 60.0,
        "retrain_seeds": [1, 2],
        "space": {"rate": "tag(log, interval(1e-4, 1e-2))", "units": "choice([8], [16], [32])"},
        "sampler": partial(samplers.tpe, n_startup_trials=3),
        "pruner": MedianPruner(n_startup_trials=2, n_warmup_steps=0),
    } | changes
    made = Settings(**settings)
    return Plan(made, "roc_auc", space.parse(made.space), [], {"seed": str(made.seed)}, "maximize", {}, is_grid=False)


def value_of(overrides: list[str]) -> float:
    """What a made-up training measures in the end; best at a rate of 0.002 with 16 units."""
    given = dict(each.split("=") for each in overrides)
    return 0.9 - abs(float(given["rate"]) - 0.002) * 50 - (0.1 if given["units"] != "[16]" else 0.0)


def train(overrides, name, parent, tags, after_epoch=None):
    """A made-up training, tracked as a real one is."""
    with tracking.tracked_run(name, "trial" if after_epoch else "model", parent=parent, tags=tags) as run_id:
        for epoch in range(1, EPOCHS + 1):
            time.sleep(0.01)
            reached = value_of(overrides) * epoch / EPOCHS
            tracking.log_metrics({"dev_roc_auc": reached}, "epoch", epoch)
            after_epoch(SimpleNamespace(number=epoch, dev={"roc_auc": reached}))
        tracking.log_metrics({"roc_auc": value_of(overrides)}, "dev")
    return run_id, {"dev/roc_auc": value_of(overrides)}


def opened(plan: Plan) -> tuple[optuna.Study, str]:
    """The study and its run in the working directory's stores."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tracking.connect(f"sqlite:///{Path.cwd()}/mlflow.db", "sweeps")
    with trial_store.lock_of(plan, "trials"):
        own = trial_store.open_study(plan)
        return own, trials.sweep_run(own, plan)


def sweep(folder: str, count: int, started=None, together=None) -> None:
    """Work on a sweep in `folder` until none of `count` trials is left.

    `started`, an event, is set when the work begins; at `together`, a barrier, the first training waits for others.
    """
    os.chdir(folder)
    own = plan(count)
    storage, parent = opened(own)
    if started is not None:
        started.set()
    meetings = [] if together is None else [together]

    def train_together(*arguments, **options):
        if meetings:
            meetings.pop().wait(60)
        return train(*arguments, **options)

    with Path("screen.txt").open("a") as screen, redirect_stdout(screen):
        trials.work(storage, own, parent, trial_store.lock_of(own, "trials"), train_together)
