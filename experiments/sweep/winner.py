"""Winner: the best trial and the default, trained again on seeds that chose neither, and read on test.

The best of many trials owes part of its dev value to luck with the one seed that all trials share. What it is worth
shows on other seeds, beside the default on the very same ones.
"""

from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial

from experiments.sweep.plan import Plan
from experiments.sweep.space import as_overrides
from experiments.sweep.trials import Train
from siamese.tracking import child_runs


@dataclass(frozen=True)
class Retrained:
    """The results of trainings with one config and several seeds."""

    run_ids: list[str]  # one for each seed
    metrics: dict[str, np.ndarray]  # the objective on dev and, if there is one, test: "split/name" -> float64[seeds]


def retrain(plan: Plan, parent: str, winner: FrozenTrial, train: Train) -> dict[str, Retrained]:
    """Train the best trial and the default with each of the sweep's seeds; what an earlier process finished is kept.

    Where the best trial is the default there is nothing to compare: the result is empty.
    """
    ordinal = str(winner.user_attrs["ordinal"])
    for child in child_runs.children(parent, {"option": "winner"}):
        if child.tags["trial"] != ordinal:  # it won until the sweep was given more trials
            child_runs.retag(child.id, "option", "former winner")
    if winner.params == plan.default:
        return {}
    contestants = {"winner": as_overrides(winner.params), "default": []}
    return {option: _retrain(plan, parent, option, own, ordinal, train) for option, own in contestants.items()}


def gains(retrained: dict[str, Retrained], metric: str) -> np.ndarray:
    """`float64[seeds]`: the winner's value of a metric, minus the default's with the same seed."""
    return retrained["winner"].metrics[metric] - retrained["default"].metrics[metric]


def _retrain(plan: Plan, parent: str, option: str, overrides: list[str], ordinal: str, train: Train) -> Retrained:
    tags = {"sweep": plan.settings.name, "option": option} | ({"trial": ordinal} if option == "winner" else {})
    compared = [f"dev/{plan.metric}", f"test/{plan.metric}"]
    runs, measured = [], []
    for seed in plan.settings.retrain_seeds:
        before = child_runs.children(parent, {**tags, "seed": str(seed)})
        done = [child for child in before if child.status == "FINISHED"]
        for child in before:
            if child.status == "RUNNING":
                child_runs.end_as_killed(child.id)
        if done:
            run, values = done[0].id, done[0].metrics
        else:
            own = [*overrides, f"seed={seed}", "baselines=none"]  # the winner is compared with the default only
            run, values = train(own, f"{option}, seed {seed}", parent, tags)
        compared = [name for name in compared if name in values]
        print(f"{option}, seed {seed}: {', '.join(f'{name} {values[name]:.4f}' for name in compared)}", flush=True)
        runs.append(run)
        measured.append(values)
    return Retrained(runs, {name: np.array([each[name] for each in measured]) for name in compared})
