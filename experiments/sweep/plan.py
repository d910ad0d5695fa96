"""The plan of a sweep, checked before its first trial."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, PartialFixedSampler

from experiments.cli import plain
from experiments.start import identified
from experiments.sweep import space as spaces
from experiments.sweep.overrides import plain_overrides
from experiments.sweep.space import Space
from siamese.evaluation import metrics
from siamese.tracking import config_digest, flatten
from siamese.tracking.provenance import first_name


@dataclass(frozen=True)
class Settings:
    """The node `sweep` of the config, as conf/sweep.yaml explains it."""

    name: str
    objective: str
    trials: int
    seed: int
    workers: int
    storage: str
    heartbeat_timeout_s: float
    retrain_seeds: Sequence[int]
    space: Mapping[str, str]
    sampler: Callable[..., BaseSampler]
    pruner: BasePruner


@dataclass(frozen=True)
class Plan:
    """A sweep that was checked."""

    settings: Settings
    metric: str  # the dev metric that is the objective, without the prefix
    space: Space
    overrides: list[str]  # of conf/config.yaml, shared by all trials
    identity: dict[str, str]  # values that must stay the same when the sweep is continued, by name
    direction: Literal["minimize", "maximize"]
    default: dict[str, Any]  # parameters that the config has by itself; empty if the space does not have them
    is_grid: bool  # whether the trials are those of a grid, which comes to the default by itself

    def config(self, overrides: Sequence[str] = ()) -> DictConfig:
        """The config of one training."""
        return compose("config", overrides=[*self.overrides, *overrides])


def make_plan(cfg: DictConfig, settings: Settings, overrides: Sequence[str]) -> Plan:
    """Check everything that can be checked before the first trial.

    Args:
        cfg, settings: composed from conf/sweep.yaml, and its node `sweep`.
        overrides: from which it was composed; a parameter that they set is left out of the space.

    Raises:
        ValueError: the objective is no dev metric, the space does not fit the config or the sampler, or a number is
            out of range.
    """
    from siamese.training.loop import SMALLER_IS_BETTER  # imports TensorFlow, which reading trials does not need

    for name, least in {"trials": 1, "workers": 0, "seed": 0}.items():
        if getattr(settings, name) < least:
            raise ValueError(f"sweep.{name} must be at least {least}, got {getattr(settings, name)}")
    if cfg.seed in settings.retrain_seeds:
        raise ValueError(
            f"sweep.retrain_seeds must not hold the seed of the trials, {cfg.seed}: on it the best of them was lucky; "
            f"got {settings.retrain_seeds}"
        )
    metric = _dev_metric(settings.objective)
    fixed = {each.key_or_group for each in OverridesParser.create().parse_overrides(list(overrides))}
    notation = {first_name(name): text for name, text in settings.space.items() if name not in fixed}
    space = spaces.parse(notation)
    shared = plain_overrides("sweep", overrides, without="sweep")
    spaces.check(space, shared)
    # the last trial's sampler refuses what it cannot sample
    last = settings.sampler(space=space, seed=settings.seed, ordinal=settings.trials - 1)
    identity: dict[str, Any] = {
        "objective": settings.objective,
        "seed": settings.seed,
        "training_seed": cfg.seed,
        "config_digest": config_digest(identified(plain(compose("config", overrides=shared)))),
        **{f"space.{name}": notation[name] for name in space},
        **flatten({part: OmegaConf.to_container(cfg.sweep[part]) for part in ("sampler", "pruner")}),
    }
    return Plan(
        settings,
        metric,
        space,
        shared,
        {name: str(value) for name, value in identity.items()},
        "minimize" if metric in SMALLER_IS_BETTER else "maximize",
        spaces.default(space, shared),
        isinstance(last, PartialFixedSampler),
    )


def _dev_metric(objective: str) -> str:
    split, _, metric = objective.partition("/")
    if split == "test":
        raise ValueError(
            f"sweep.objective={objective} would choose hyperparameters on the test pairs, and so inflate "
            f"their metrics; use the dev metric: sweep.objective=dev/{metric}"
        )
    one = np.ones(1)
    known = [*metrics.pair_metrics(one, one, one, 0.5), *metrics.graded_metrics(np.arange(2.0), np.arange(2.0))]
    if split != "dev" or metric not in known:
        raise ValueError(
            f"sweep.objective must be one of {', '.join(f'dev/{each}' for each in sorted(known))}; got {objective}"
        )
    return metric
