"""Saved views of the MLflow UI: columns, order and charts of a set of runs.

MLflow's runs page shows no metric until someone selects columns. A selection can be saved as a tag of the experiment,
for all users of the store; the menu "Views" lists it, and a link opens it. This module writes the same tags.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import Run

from siamese.tracking.provenance import CHOSEN
from siamese.tracking.runs import defer_interrupts

TAG = "mlflow.sharedViewState."
OBJECTIVE = "dev/roc_auc"  # chosen by dev, never by test
METRICS = (OBJECTIVE, "dev/accuracy", "test/roc_auc", "training/seconds")
PARENTS = ("study", "sweep")  # kinds of runs that have a view of their own
CHOICES = ("tower", "similarity", "loss", "seed")
RUN_NAME = "attributes.`Run Name`"
SECTION = "comparison"  # of charts


@dataclass(frozen=True)
class View:
    """A saved view: its name in the menu "Views", and the link that follows the address of the UI."""

    name: str
    link: str


@defer_interrupts()
def save_view_of(parent: str) -> View:
    """Save a view of the runs of a study or a sweep: best on dev first, with the parameters that differ."""
    client = mlflow.MlflowClient()
    run = client.get_run(parent)
    condition = f"tags.`mlflow.parentRunId` = '{parent}'"
    children = client.search_runs([run.info.experiment_id], condition, max_results=10_000)
    choices = differing([child.data.params for child in children]) or CHOICES
    several = len({child.data.tags.get("data") for child in children}) > 1
    return _save(run.info.experiment_id, parent, _name(run), run.info.start_time, condition, choices, several)


@defer_interrupts()
def save_missing_views(experiment: str) -> list[View]:
    """Save a view of all networks of an experiment, and one of each study and sweep that has none.

    Returns:
        All of them: first the view of all networks, then the others, the newest first.
    """
    client = mlflow.MlflowClient()
    found = mlflow.set_experiment(experiment)
    views = [
        _save(found.experiment_id, "networks", "all networks", 0, "tags.kind = 'model'", CHOICES, several_data=True)
    ]
    parents = [run for kind in PARENTS for run in client.search_runs([found.experiment_id], f"tags.kind = '{kind}'")]
    for run in sorted(parents, key=lambda run: -run.info.start_time):
        key = run.info.run_id
        saved = View(_name(run), _link(found.experiment_id, key))
        views.append(saved if TAG + key in found.tags else save_view_of(key))
    return views


def differing(params: Sequence[dict[str, str]]) -> list[str]:
    """The parameters that all runs have and in which some differ, the seed last; what follows from others does not count.

    >>> differing([{"tower": "dense", "text": "word"}, {"tower": "conv1d", "text": "word", "tower.filters": "[200]"}])
    ['tower']
    """
    shared = set.intersection(*map(set, params)) if params else set()
    varied = [name for name in shared if not name.startswith(CHOSEN) and len({each[name] for each in params}) > 1]
    return sorted(varied, key=lambda name: (name == "seed", name))


def _name(parent: Run) -> str:
    return f"{parent.data.tags['kind']} {parent.info.run_name}"


def _save(
    experiment_id: str,
    key: str,
    name: str,
    created: int,
    condition: str,
    choices: Sequence[str],
    several_data: bool,
) -> View:
    columns = [f"metrics.`{metric}`" for metric in METRICS] + [f"params.`{choice}`" for choice in choices]
    columns = (["tags.`data`"] if several_data else []) + columns  # figures of different data cannot be compared
    state = {
        "searchFilter": condition,
        "orderByKey": f"metrics.`{OBJECTIVE}`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": [RUN_NAME, *columns],
        "columnWidths": dict.fromkeys(columns, 110) | {RUN_NAME: 290},  # pixels
        "compareRunCharts": _charts(choices),
        "compareRunSections": [{"uuid": SECTION, "name": SECTION, "display": True, "columns": 2, "cardHeight": 300}],
        "isAccordionReordered": True,  # keeps this section above those that MLflow adds
        "runsHiddenMode": "SHOW_ALL",  # not the first ten alone
    }
    # MLflow's own format: the state is text within the text
    saved = {"name": name, "createdAt": created, "updatedAt": created, "state": json.dumps(state)}
    mlflow.MlflowClient().set_experiment_tag(experiment_id, TAG + key, json.dumps(saved))
    return View(name, _link(experiment_id, key))


def _charts(choices: Sequence[str]) -> list[dict[str, Any]]:
    """Charts that compare runs: quality, learning curves, cost, and choices."""
    cost = {"key": "training/seconds", "type": "METRIC"}
    quality = {"key": OBJECTIVE, "type": "METRIC"}
    charts: list[dict[str, Any]] = [
        {"type": "BAR", "metricKey": OBJECTIVE},
        {"type": "LINE", "metricKey": "epoch/dev_roc_auc", "lineSmoothness": 0, "useGlobalLineSmoothing": False},
        {"type": "SCATTER", "xaxis": cost, "yaxis": quality},
        {"type": "PARALLEL", "selectedParams": list(choices), "selectedMetrics": [OBJECTIVE], "showAllRuns": True},
    ]
    own = {"metricSectionId": SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return [{"uuid": f"chart-{number}", **own, **chart} for number, chart in enumerate(charts)]


def _link(experiment_id: str, key: str) -> str:
    # without the last part the UI opens in its GenAI mode
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={key}&workflowType=machine_learning"
