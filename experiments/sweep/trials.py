"""Trials: claim and train one after another until all are over, and report to Optuna and MLflow."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from experiments.sweep import trial_store
from experiments.sweep.plan import Plan
from experiments.sweep.space import as_overrides
from siamese import tracking
from siamese.evaluation.timing import time_left
from siamese.tracking import child_runs

if TYPE_CHECKING:  # it imports TensorFlow
    from siamese.training.loop import Epoch

    AfterEpoch = Callable[[Epoch], None]
Train = Callable[..., tuple[str, dict[str, float]]]  # trains one network as a run, see `_train` in run.py
POLL_SECONDS = 1.0  # between two looks at the trials of other processes


def sweep_run(study: optuna.Study, plan: Plan) -> str:
    """The id of the sweep's run in MLflow, to be resumed; made once. Nobody else may make it at the same time.

    Raises:
        ValueError: the sweep was tracked in another store.
    """
    if "run" not in study.user_attrs:
        with tracking.tracked_run(plan.settings.name, "sweep", tags={"sweep": plan.settings.name}) as run_id:
            trial_store.patiently(plan, partial(study.set_user_attr, "run", run_id))
    run = study.user_attrs["run"]
    if not child_runs.is_there(run):
        raise ValueError(
            f"the sweep {plan.settings.name} in {plan.settings.storage} is tracked as run {run}, which this tracking "
            "store and experiment do not have; give those it was started with (tracking.uri=…), or another sweep.name"
        )
    return run


def work(study: optuna.Study, plan: Plan, parent: str, lock: FileLock, train: Train) -> None:
    """Run trials until none is left, here or in another process; the lock is held while a trial is claimed."""
    waiting = False
    while True:
        with lock:
            trial = trial_store.patiently(plan, partial(trial_store.claim, study, plan))
        if trial is not None:
            _run(study, trial, plan, parent, train)
            print(trial_store.patiently(plan, partial(_progress, study, trial.number, plan)), flush=True)
        elif running := trial_store.patiently(plan, partial(_running, study)):
            if not waiting:
                print(f"waiting for {len(running)} trials of other processes", flush=True)
            waiting = True
            time.sleep(POLL_SECONDS)  # and look again: they might die, and their trials be free
        else:
            return


def _run(study: optuna.Study, trial: optuna.Trial, plan: Plan, parent: str, train: Train) -> None:
    ordinal, overrides = str(trial.user_attrs["ordinal"]), as_overrides(trial.params)
    name, tags = f"trial {ordinal}", {"sweep": plan.settings.name, "trial": ordinal, "option": " ".join(overrides)}
    for earlier in child_runs.children(
        parent, {"trial": ordinal}
    ):  # interrupted, or finished without a record in the study
        child_runs.end_as_killed(earlier.id)

    def report(epoch: "Epoch") -> bool:
        trial_store.heartbeat(trial)
        trial.report(_objective(epoch.dev, plan.metric), epoch.number)
        return trial.should_prune()

    def after_epoch(epoch: "Epoch") -> None:
        if trial_store.patiently(plan, partial(report, epoch)):
            raise optuna.TrialPruned

    try:
        _, measured = train(overrides, name, parent, tags, after_epoch=after_epoch)
        trial_store.patiently(plan, partial(_end, study, trial, _objective(measured, plan.settings.objective)))
    except optuna.TrialPruned:
        child_runs.end_as_pruned(child_runs.children(parent, {"trial": ordinal})[-1].id, f"{name}, pruned")
        trial_store.patiently(plan, partial(_end, study, trial, state=TrialState.PRUNED))
    except (tracking.SilentError, tracking.UnsentError):
        raise  # the trial is free again when this process has ended
    except Exception as error:  # a diverged loss, memory, a choice that cannot be built: the others go on
        told = f"{type(error).__name__}: {error}"
        trial_store.patiently(plan, partial(_end, study, trial, state=TrialState.FAIL, error=told))
    except BaseException:
        with suppress(*trial_store.ERRORS):  # when this process has ended, the trial is free anyway
            study.tell(trial, state=TrialState.FAIL)  # without an error: interrupted, to be run again
        raise


def _end(
    study: optuna.Study,
    trial: optuna.Trial,
    value: float | None = None,
    state: TrialState | None = None,
    error: str = "",
) -> None:
    if error:
        trial.set_user_attr("error", error)
    study.tell(trial, value, state, skip_if_finished=True)  # by an attempt that was not confirmed


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _objective(measured: dict[str, float], name: str) -> float:
    if name not in measured:
        raise ValueError(f"{name} is not measured on these pairs, only {', '.join(sorted(measured))} are")
    if not math.isfinite(measured[name]):
        raise ValueError(f"{name} is {measured[name]}")
    return measured[name]


def _progress(study: optuna.Study, number: int, plan: Plan) -> str:
    over = trial_store.finished(study)
    trial = study.get_trials(deepcopy=False)[number]
    best = trial_store.best(study, over)
    mean = float(np.mean([each.duration.total_seconds() for each in over if each.duration]))
    seconds = mean * (plan.settings.trials - len(over))
    processes = 1 + len(_running(study))
    return (
        f"trial {trial.user_attrs['ordinal']}: {outcome(trial, plan)}"
        + (f"; best {best.values[0]:.4f} of trial {best.user_attrs['ordinal']}" if best else "")
        + f"; {len(over)} of {plan.settings.trials} over, {time_left(seconds / processes)}"
    )


def outcome(trial: FrozenTrial, plan: Plan) -> str:
    """How a trial went, in a few words."""
    match trial.state:
        case TrialState.COMPLETE:
            return f"{plan.settings.objective} {trial.values[0]:.4f}"
        case TrialState.PRUNED:
            return f"pruned after epoch {trial.last_step} at {trial.values[0]:.4f}"
    return f"failed, {trial.user_attrs.get('error', 'interrupted')}"
