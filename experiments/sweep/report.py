"""The report of a sweep: the page of its run, and figures."""

import shlex
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as plots

from experiments.hydra_words import as_words
from experiments.sweep import trial_store
from experiments.sweep.plan import Plan
from experiments.sweep.space import as_overrides
from experiments.sweep.trials import outcome
from experiments.sweep.winner import Retrained, gains
from siamese.comparison import figures as draw
from siamese.comparison.tables import importance_table
from siamese.evaluation.tables import markdown

SHOWN_TRIALS = 10  # of the best
CONTOUR_PARAMETERS = 4  # the most important ones: their pairs are as many figures as a reader compares


def figures(study: optuna.Study, plan: Plan, importance: dict[str, float]) -> dict[str, Figure]:
    """Optuna's plots of the sweep, and the importances; by name."""
    names, goal = list(importance) or list(plan.space), plan.settings.objective
    few = names[:CONTOUR_PARAMETERS]
    with mpl.rc_context({"font.size": 9}), warnings.catch_warnings():  # Optuna changes matplotlib's style for good
        warnings.simplefilter("ignore")  # that these plots are experimental
        parallel = plots.plot_parallel_coordinate(study, names, target_name=goal)
        parallel.figure.subplots_adjust(left=0.05, right=0.93, bottom=0.22)  # the slanted names need room
        found = {
            "history": _figure_of(plots.plot_optimization_history(study, target_name=goal), 9, 5),
            "learning_curves": _figure_of(plots.plot_intermediate_values(study), 9, 5),
            "slices": _figure_of(plots.plot_slice(study, names, target_name=goal), 2 + 2.6 * len(names), 4),
            "contour": _figure_of(plots.plot_contour(study, few, target_name=goal), 2 + 2.8 * len(few), 2.6 * len(few)),
            "parallel_coordinates": _figure_of(parallel, 4 + 1.8 * len(names), 6, layout=None),
        }
    return found | ({"importance": draw.importance(importance, goal)} if importance else {})


def page(
    study: optuna.Study,
    plan: Plan,
    importance: dict[str, float],
    retrained: dict[str, Retrained],
    repeat: Sequence[str],
) -> str:
    """The sweep in Markdown: its best trials, its winner beside the default, and the commands to continue with.

    Args:
        study, plan: of the sweep.
        importance: from `fanova`.
        retrained: from `winner.retrain`.
        repeat: overrides that continue the sweep.
    """
    over = trial_store.finished(study)
    best = trial_store.best(study, over)
    counts = {state: sum(trial.state == state for trial in over) for state in TrialState}
    parts = [
        f"{len(over)} of {plan.settings.trials} trials: {counts[TrialState.COMPLETE]} complete, "
        f"{counts[TrialState.PRUNED]} pruned, {counts[TrialState.FAIL]} failed. "
        f"Objective: {plan.settings.objective}, to {plan.direction}.",
        f"To repeat it, or to continue it (with more `sweep.trials`):\n\n    {_command('sweep', repeat)}",
    ]
    if best is not None:
        parts.append(f"## Best trials\n\n{_table(over, plan)}")
        parts.append(
            f"## The best one, trial {best.user_attrs['ordinal']}\n\n"
            f"    {_command('train', [*plan.overrides, *as_overrides(best.params)])}"
        )
    if best is not None and best.params == plan.default:
        parts.append("**No trial beats the default, which is the best of them: keep it.**")
    if retrained:
        parts.append(_verdict(plan, retrained))
    if importance:
        parts.append(f"## What mattered\n\n{importance_table(importance)}")
    failures = [trial for trial in over if trial.state == TrialState.FAIL]
    if failures:
        failed = [f"- trial {each.user_attrs['ordinal']}: {outcome(each, plan)}" for each in failures]
        parts.append("\n".join(["## Failed\n", *failed]))
    return "\n\n".join(parts) + "\n"


def _table(over: Sequence[FrozenTrial], plan: Plan) -> str:
    complete = [trial for trial in over if trial.state == TrialState.COMPLETE]
    complete.sort(key=lambda each: each.values[0], reverse=plan.direction == "maximize")
    names = list(plan.space)
    rows = []
    for each in complete[:SHOWN_TRIALS]:
        values = [f"{x:.3g}" if isinstance(x, float) else str(x) for x in (each.params[name] for name in names)]
        rows.append([str(each.user_attrs["ordinal"]), f"{each.values[0]:.4f}", *values])
    return markdown([["trial", plan.settings.objective, *names], *rows])


def _verdict(plan: Plan, retrained: dict[str, Retrained]) -> str:
    chosen = retrained["winner"]
    shared = list(chosen.metrics)
    rows = [[option, *(_mean(each.metrics[name]) for name in shared)] for option, each in retrained.items()]
    rows.append(["winner - default, seed by seed", *(_mean(gains(retrained, name), sign=True) for name in shared)])
    table = markdown([["", *shared], *rows])
    seeds = ", ".join(map(str, plan.settings.retrain_seeds))
    values = chosen.metrics[plan.settings.objective]
    run = chosen.run_ids[int(values.argmax() if plan.direction == "maximize" else values.argmin())]
    return (
        f"## The winner and the default\n\n{_in_a_sentence(plan, retrained)}\n\n"
        f"Both trained again with the seeds {seeds}, which chose neither; mean ± sd.\n\n{table}\n\n"
        f"To put the winner's best run on dev into the registry:\n\n    {_command('promote', [f'run={run}'])}"
    )


def _in_a_sentence(plan: Plan, retrained: dict[str, Retrained]) -> str:
    gain = gains(retrained, plan.settings.objective)
    sign = 1 if plan.direction == "maximize" else -1
    if not (sign * gain > 0).all():
        return "**The winner does not beat the default with every seed: keep the default.**"
    test = f"test/{plan.metric}"
    rest = f" and {_mean(gains(retrained, test), sign=True)} on test" if test in retrained["winner"].metrics else ""
    return f"**The winner beats the default with every seed, by {_mean(gain, sign=True)} on dev{rest}.**"


def _mean(values: np.ndarray, sign: bool = False) -> str:
    deviation = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
    return f"{values.mean():{'+' if sign else ''}.4f}{deviation}"


def _command(program: str, overrides: Sequence[str]) -> str:
    return f"python -m experiments.{program} {shlex.join(as_words(overrides))}".rstrip()


def _figure_of(axes: Any, width: float, height: float, layout: str | None = "constrained") -> Figure:
    """The figure of one plot or of an array of them, in a readable size (inches), and forgotten by pyplot."""
    figure = np.atleast_1d(axes).flat[0].figure
    figure.set_size_inches(width, height)
    figure.set_layout_engine(layout)
    pyplot.close(figure)
    return figure
