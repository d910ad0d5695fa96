"""Importance: which choice matters most over the runs of a study or sweep."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from siamese.comparison.options import varied
from siamese.tracking.queries import TrackedRun

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

FEWEST_RUNS = 8  # fewer tell nothing about several choices
FEW_VALUES = 5  # a number with more values than these is one a sweep drew from a range
LOG_RANGE = 30  # from this ratio of largest to smallest on, such a number counts on a log scale
SEED = "seed"


def importances(runs: Sequence[TrackedRun], metric: str) -> dict[str, float]:
    """The share of the metric's variance over the runs that each choice alone explains, largest first; the sum is 1.

    The seed stands among the choices: one that explains no more than the seed does may well explain nothing. Choices
    that always changed together are one, "a, b". Nothing if the runs, all measured alike, are too few or alike.
    """
    import optuna  # takes a fifth of a second

    columns = _columns(runs)
    if set(columns) <= {SEED}:
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: _distribution(column) for name, column in columns.items()}
    study = optuna.create_study(direction="maximize")
    for place, run in enumerate(runs):
        params = {name: column[place] for name, column in columns.items()}
        study.add_trial(optuna.create_trial(value=run.metrics[metric], params=params, distributions=distributions))
    return fanova(study)


def fanova(study: "optuna.Study") -> dict[str, float]:
    """The share of a study's variance that each parameter alone explains, largest first; the sum is 1.

    Functional ANOVA (Hutter et al. 2014) by Optuna; nothing if the complete trials are too few or alike.
    """
    import optuna

    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < FEWEST_RUNS or len({trial.values[0] for trial in complete}) == 1:
        return {}
    # shallow trees tell the same: with Optuna's own choice 1,000 runs take 10 s, with these half a second
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, max_depth=6, seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in shares.items()}


def _columns(runs: Sequence[TrackedRun]) -> dict[str, list]:
    """Values of each choice that varies, run by run; choices that part the runs alike are one column."""
    seeds = [run.tags.get("seed", "") for run in runs]
    alike: dict[tuple[int, ...], list[str]] = {}
    for name in varied(runs):
        if all(name in run.params for run in runs):  # what only some towers have comes with the choice of the tower
            values = pd.Series([run.params[name] for run in runs], dtype=object)
            alike.setdefault(tuple(pd.factorize(values)[0]), []).append(name)  # equal values, whatever they are
    columns = {_title(names): _numbers([run.params[names[0]] for run in runs]) for names in alike.values()}
    return columns | ({SEED: seeds} if len(set(seeds)) > 1 else {})


def _title(names: list[str]) -> str:
    """Choices that changed together; settings of an option go without saying where the option changed.

    >>> _title(["tower", "tower.pooling", "loss"])
    'tower, loss'
    """
    return ", ".join(name for name in names if not any(name.startswith(f"{other}.") for other in names))


def _numbers(values: list[str]) -> list:
    """Numbers as numbers, if all are and there are many."""
    try:
        return [float(value) for value in values] if len(set(values)) > FEW_VALUES else values
    except ValueError:
        return values


def _distribution(values: list) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values[0], str):
        return CategoricalDistribution(sorted(set(values)))
    low, high = min(values), max(values)
    return FloatDistribution(low, high, log=low > 0 and high / low >= LOG_RANGE)
