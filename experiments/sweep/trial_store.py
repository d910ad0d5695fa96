"""Trial store: the trials of a sweep on disk, shared by processes. None is lost, and none is run twice.

A sweep of n trials has the ordinals 0 to n - 1. An attempt at one is a trial of Optuna with the ordinal and the process
as user attributes. An attempt is over when it is complete, pruned, or failed with an error. Failed without an error it
was interrupted: its ordinal is free again and keeps its parameters.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from experiments.sweep.plan import Plan
from siamese import tracking

SQLITE = "sqlite:///"
BUSY_SECONDS = 60  # that SQLite waits for another writer
ERRORS = (StorageInternalError, SQLAlchemyError)  # of a store that does not answer, among others
T = TypeVar("T")


def lock_of(plan: Plan, purpose: str) -> FileLock:
    """A lock that a killed process releases: beside a SQLite file, else in the (shared) working directory."""
    storage = plan.settings.storage
    beside = Path(storage.removeprefix(SQLITE)) if storage.startswith(SQLITE) else Path(plan.settings.name)
    return FileLock(f"{beside}.{purpose}.lock")


def open_study(plan: Plan) -> optuna.Study:
    """Optuna's study of the sweep, created if there is none. The caller holds a lock.

    Raises:
        ValueError: a sweep of this name was started with another plan.
    """
    storage = plan.settings.storage
    sqlite, url = storage.startswith(SQLITE), tracking.shown(storage)
    engine = {"connect_args": {"timeout": BUSY_SECONDS}} if sqlite else {"pool_pre_ping": True}
    try:
        opened = RDBStorage(storage, engine_kwargs=engine)
    except ERRORS as problem:
        raise OSError(
            f"cannot open the trial store {url}: {tracking.reason(problem)}; give another sweep.storage"
        ) from None
    study = optuna.create_study(
        storage=opened,
        study_name=plan.settings.name,
        direction=plan.direction,
        pruner=plan.settings.pruner,
        load_if_exists=True,
    )
    before = study.user_attrs.get("identity")
    if before is None:
        study.set_user_attr("identity", plan.identity)
    elif before != plan.identity:
        both = {name: (before.get(name), plan.identity.get(name)) for name in before | plan.identity}
        changed = [f"{name}: {old} before, {new} now" for name, (old, new) in both.items() if old != new]
        raise ValueError(
            f"the sweep {plan.settings.name} in {url} was started with other settings ({'; '.join(changed)}); "
            "continue with those, or start another one with sweep.name=…"
        )
    return study


def patiently(plan: Plan, attempt: Callable[[], T]) -> T:
    """The result of an attempt that is repeated while the trial store is silent.

    Raises:
        SilentError: it stays silent. The trial under way is free again when this process has ended.
    """
    return tracking.patiently(attempt, plan.settings.storage)


def claim(study: optuna.Study, plan: Plan) -> optuna.Trial | None:
    """Claim the first free ordinal, with its parameters; None if there is none.

    The caller holds a lock. A process killed in here, or a store that does not confirm, leaves a waiting trial, which the
    next claim takes, or a running trial without a process, which the next claim fails.
    """
    for attempt in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(attempt, plan.settings.heartbeat_timeout_s):
            study.tell(attempt.number, state=TrialState.FAIL)
    attempts = study.get_trials(deepcopy=False)
    waiting = [each for each in attempts if each.state == TrialState.WAITING]
    if waiting:
        ordinal = waiting[0].user_attrs["ordinal"]
    else:
        taken = {each.user_attrs["ordinal"] for each in attempts if is_over(each) or each.state == TrialState.RUNNING}
        free = [number for number in range(plan.settings.trials) if number not in taken]
        if not free:
            return None
        ordinal = free[0]
        study.enqueue_trial(_known_parameters(attempts, ordinal, plan), user_attrs={"ordinal": ordinal})
    study.sampler = plan.settings.sampler(space=plan.space, seed=plan.settings.seed, ordinal=ordinal)
    trial = study.ask(plan.space)
    patiently(plan, partial(trial.set_user_attr, "process", tracking.process()))
    return trial


def heartbeat(trial: optuna.Trial) -> None:
    """Record that this process is alive, for other hosts, which cannot see it."""
    trial.set_user_attr("seen", time.time())


def is_over(attempt: FrozenTrial) -> bool:
    """Whether it ended by itself, successfully or not."""
    failed = attempt.state == TrialState.FAIL and "error" in attempt.user_attrs
    return failed or attempt.state in (TrialState.COMPLETE, TrialState.PRUNED)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The attempts that are over, by their ordinals."""
    over = [each for each in study.get_trials(deepcopy=False) if is_over(each)]
    return sorted(over, key=lambda each: each.user_attrs["ordinal"])


def best(study: optuna.Study, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The complete trial with the best value, the earliest of equals; None if none is complete."""
    complete = [each for each in trials if each.state == TrialState.COMPLETE]
    best_of = max if study.direction == StudyDirection.MAXIMIZE else min
    return best_of(complete, key=lambda each: each.values[0], default=None)


def _is_dead(attempt: FrozenTrial, timeout: float) -> bool:
    """Whether its process has ended, or was on another host and has been silent for too many seconds."""
    process = attempt.user_attrs.get("process")
    if process is None or tracking.process_is_dead(process):
        return True
    elsewhere = process.split()[0] != tracking.process().split()[0]
    seen = attempt.user_attrs.get("seen", attempt.datetime_start.timestamp() if attempt.datetime_start else 0.0)
    return elsewhere and time.time() - seen > timeout


def _known_parameters(attempts: Sequence[FrozenTrial], ordinal: int, plan: Plan) -> dict:
    """Those of an attempt that was interrupted, if it had got all of them; a half-chosen set is chosen anew.

    The very first trial has those of the default, so that the search starts from what is known to work.
    """
    for attempt in reversed(attempts):
        if attempt.user_attrs.get("ordinal") == ordinal and attempt.params.keys() == plan.space.keys():
            return attempt.params
    return plan.default if ordinal == 0 and not plan.is_grid else {}
