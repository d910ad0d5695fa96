"""Run a sweep: plan, trials, winner, report."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import io
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial

import optuna
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments import train_logging, training_run
from experiments.cli import plain
from experiments.hydra_words import as_words
from experiments.sweep import report, trial_store, trials
from experiments.sweep.plan import Plan, Settings, make_plan
from experiments.sweep.winner import gains, retrain
from siamese import tracking
from siamese.comparison.importance import fanova
from siamese.training.loop import Epoch


def run(cfg: DictConfig) -> str:
    """From a search space to a winner, with a config from conf/sweep.yaml; returns the id of the sweep's run in MLflow."""
    overrides = HydraConfig.get().overrides.task  # which the helpers and the report repeat
    plan = make_plan(cfg, Settings(**instantiate(cfg.sweep, _convert_="all")), overrides)
    tracking.connect(**plain(cfg)["tracking"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lock, train_quietly = trial_store.lock_of(plan, "trials"), partial(_train, plan)
    with lock:
        study = trial_store.open_study(plan)
        parent = trials.sweep_run(study, plan)
    if plan.settings.workers == 0:
        trials.work(study, plan, parent, lock, train_quietly)
        return parent
    print(f"sweep {plan.settings.name}: {plan.settings.trials} trials of {', '.join(plan.space)}", flush=True)
    with tracking.tracked_run(plan.settings.name, "sweep", resume=parent):
        tracking.log_config(plan.identity, OmegaConf.to_yaml(cfg, resolve=True))
        tracking.log_environment(cfg.seed)
        with _helpers(plan.settings.workers - 1, overrides):
            trials.work(study, plan, parent, lock, train_quietly)
        with trial_store.lock_of(plan, "report"):
            _conclude(study, plan, parent, overrides, train_quietly)
    print(f"run {parent} in {cfg.tracking.uri}; look at it with: make ui")
    return parent


@contextmanager
def _helpers(count: int, overrides: Sequence[str]) -> Iterator[None]:
    """More processes that run trials; they end when none is left, or with this one."""
    command = [sys.executable, "-m", "experiments.sweep", *as_words(overrides), "sweep.workers=0"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.wait()


def _train(
    plan: Plan,
    overrides: list[str],
    name: str,
    parent: str,
    tags: dict[str, str],
    after_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[str, dict[str, float]]:
    """One run of `experiments.train` without its output: its id and metrics, "split/metric" -> value.

    Args:
        plan, overrides: the settings: of all trials, and of this run.
        name, parent, tags: of the run.
        after_epoch: for a trial, which evaluates on dev only and keeps no model; it may raise to end the training.
    """
    cfg = plan.config(overrides)
    words, is_trial = as_words([*plan.overrides, *overrides]), after_epoch is not None
    job = training_run.Job(words, name, parent, tags, is_trial, resume=True)

    def before_the_last(epoch: Epoch) -> None:  # a training that is over need not be stopped
        if after_epoch and epoch.number < cfg.training.epochs:
            after_epoch(epoch)

    with redirect_stdout(io.StringIO()):
        trained = training_run.run(cfg, job, before_the_last)
    return trained.run_id, train_logging.all_metrics(trained.reports)


def _conclude(
    study: optuna.Study, plan: Plan, parent: str, overrides: Sequence[str], train_quietly: trials.Train
) -> None:
    """Train the winner and the default again, and write the report."""
    over = trial_store.finished(study)
    best = trial_store.best(study, over)
    if best is None:
        raise ValueError(
            f"none of the {len(over)} trials of {plan.settings.name} is complete; trial 0 "
            f"{trials.outcome(over[0], plan)}. Correct that, and start it again with another sweep.name"
        )
    retrained = retrain(plan, parent, best, train_quietly) if plan.settings.retrain_seeds else {}
    importance = fanova(study)
    tracking.log_metrics(importance, "importance")
    found = {"trials": len(over), "best_trial": best.user_attrs["ordinal"], "best": best.values[0]}
    tracking.log_metrics(found, "sweep")
    tracking.log_metrics({plan.metric: best.values[0]}, "dev")
    for option, each in retrained.items():
        tracking.log_metrics({name.replace("/", "_"): value.mean() for name, value in each.metrics.items()}, option)
    if retrained:
        names = retrained["winner"].metrics
        tracking.log_metrics({name.replace("/", "_"): gains(retrained, name).mean() for name in names}, "gain")
    for name, figure in report.figures(study, plan, importance).items():
        tracking.log_figure(figure, name)
    page = report.page(study, plan, importance, retrained, overrides)
    tracking.log_page(page, "sweep.md")
    print(f"\n{page}")
