"""Saved views of the MLflow UI: columns, order and charts of a set of runs.

MLflow's runs page shows no metric until someone selects columns, and draws a chart of every metric. A selection can be saved
as a tag of the experiment, for all users of the store; the menu "Views" lists it, and a link opens it. This module writes
the same tags, and links to them at the head of the runs page: the experiment's description.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities import Run

from siamese.tracking.outages import patient
from siamese.tracking.provenance import CHOSEN

TAG = "mlflow.sharedViewState."
OBJECTIVE = "dev/roc_auc"  # chosen by dev, never by test
METRICS = (OBJECTIVE, "dev/accuracy", "test/roc_auc", "training/seconds")
CURVES = "epoch/"  # starts the names of metrics with a value for each epoch
NETWORKS = "networks"  # key of the view of all networks
NOTE, NOTE_HEAD = "mlflow.note.content", "Runs with their metrics, the best on dev first: "
LINKED = 12  # views in the description
SAMPLE = 100  # newest runs whose metrics are looked up
PARENTS = ("study", "sweep")  # kinds of runs that have views of their own
CHOICES = ("tower", "similarity", "loss", "seed")
RUN_NAME = "attributes.`Run Name`"
SECTION = "comparison"  # of charts
COMPRESSED = "deflate;"  # starts a state in MLflow's compressed format
BROWSER_DEFAULTS = "SIAMESE_BROWSER_DEFAULTS"  # variable of the environment, read by the start page


@dataclass(frozen=True)
class View:
    """A saved view: its name in the menu "Views", and the link that follows the address of the UI."""

    name: str
    link: str


@patient
def save_view_of(parent: str) -> View:
    """Save two views of the runs of a study or a sweep, best on dev first, with the parameters that differ.

    Returns:
        The view of single runs; the other one averages over seeds.
    """
    client = mlflow.MlflowClient()
    run = client.get_run(parent)
    condition = f"tags.`mlflow.parentRunId` = '{parent}'"
    children = client.search_runs([run.info.experiment_id], condition, max_results=10_000)
    choices = differing([child.data.params for child in children]) or CHOICES
    several = len({child.data.tags.get("data") for child in children}) > 1
    own = run.info.experiment_id, parent, _name(run), run.info.start_time
    view = _save(*own, condition, choices, several, ("data", "option"), children)
    _link_views(run.info.experiment_id)
    return view


@patient
def save_missing_views(experiment: str) -> list[View]:
    """Save views of all networks of an experiment, and of each study and sweep that has none.

    Returns:
        Those of single runs: first that of all networks, then the others, the newest first.
    """
    client = mlflow.MlflowClient()
    found = mlflow.set_experiment(experiment)
    condition, same = "tags.kind = 'model'", ("data", "network", "config_digest")
    newest = client.search_runs([found.experiment_id], condition, max_results=SAMPLE)
    views = [_save(found.experiment_id, NETWORKS, "all networks", 0, condition, CHOICES, True, same, newest)]
    parents = [run for kind in PARENTS for run in client.search_runs([found.experiment_id], f"tags.kind = '{kind}'")]
    for run in sorted(parents, key=lambda run: -run.info.start_time):
        key = run.info.run_id
        saved = View(_name(run), _link(found.experiment_id, key))
        views.append(saved if TAG + key in found.tags else save_view_of(key))
    _link_views(found.experiment_id)
    return views


def browser_defaults(experiment: str) -> dict[str, str]:
    """What the UI keeps in a browser, key → value: an experiment with the columns and charts of the view of all networks.

    All runs are shown by date, since the UI puts runs below their parents only then.
    """
    found = mlflow.set_experiment(experiment)
    view = json.loads(found.tags[TAG + NETWORKS])["state"].removeprefix(COMPRESSED)
    state = json.loads(zlib.decompress(base64.b64decode(view)))
    page = f'MLflowLocalStorage-1.1-ExperimentPage-["{found.experiment_id}"]-ReactComponentState'
    return {
        page: json.dumps(state | {"searchFilter": "", "orderByKey": "attributes.start_time"}),
        "mlflow.workflowType_v1": '"machine_learning"',  # not traces
    }


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
    same_but_seed: Sequence[str],
    runs: Iterable[Run],
) -> View:
    """Save a view of single runs and one that averages those with the same tags but for the seed; `runs` are examples."""
    columns = [f"metrics.`{metric}`" for metric in METRICS] + [f"params.`{choice}`" for choice in choices]
    columns = (["tags.`data`"] if several_data else []) + columns  # figures of different data cannot be compared
    state = {
        "searchFilter": condition,
        "orderByKey": f"metrics.`{OBJECTIVE}`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": [RUN_NAME, *columns],
        "columnWidths": dict.fromkeys(columns, 110) | {RUN_NAME: 290},  # pixels
        "compareRunCharts": _charts(choices, runs),
        "compareRunSections": [{"uuid": SECTION, "name": SECTION, "display": True, "columns": 2, "cardHeight": 300}],
        "isAccordionReordered": True,  # keeps this section above those that MLflow adds
        "runsHiddenMode": "SHOW_ALL",  # not the first ten alone
    }
    tags = [{"mode": "tag", "groupByData": tag} for tag in same_but_seed]
    averaged = state | {"groupBy": {"aggregateFunction": "average", "groupByKeys": tags}}
    averaged["columnWidths"] = dict.fromkeys(columns, 110) | {RUN_NAME: 450}  # the name of a group holds its tags
    for own, shown, suffix in ((key, state, ""), (f"{key}-seeds", averaged, ", mean over seeds")):
        # MLflow's own format: the state is text within the text, compressed where it is long
        text = COMPRESSED + base64.b64encode(zlib.compress(json.dumps(shown).encode())).decode()
        saved = {"name": name + suffix, "createdAt": created, "updatedAt": created, "state": text}
        mlflow.MlflowClient().set_experiment_tag(experiment_id, TAG + own, json.dumps(saved))
    return View(name, _link(experiment_id, key))


def _charts(choices: Sequence[str], runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Charts that compare runs: quality, learning curves, cost, choices, and the parameters that differ.

    MLflow would add one of each metric of the runs; those that have no epochs are marked as deleted.
    """
    cost = {"key": "training/seconds", "type": "METRIC"}
    quality = {"key": OBJECTIVE, "type": "METRIC"}
    charts: list[dict[str, Any]] = [
        {"type": "BAR", "metricKey": OBJECTIVE},
        {"type": "LINE", "metricKey": f"{CURVES}dev_roc_auc", "lineSmoothness": 0, "useGlobalLineSmoothing": False},
        {"type": "SCATTER", "xaxis": cost, "yaxis": quality},
        {"type": "PARALLEL", "selectedParams": list(choices), "selectedMetrics": [OBJECTIVE], "showAllRuns": True},
        {
            "type": "DIFFERENCE",
            "chartName": "Parameters that differ",
            "compareGroups": ["Parameters"],
            "showDifferencesOnly": True,
            "showChangeFromBaseline": False,
            "baselineColumnUuid": "",
        },
    ]
    names = sorted({name for run in runs for name in run.data.metrics} - {OBJECTIVE})
    single = [{"type": "BAR", "metricKey": name, "deleted": True} for name in names if not name.startswith(CURVES)]
    own = {"metricSectionId": SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return [{"uuid": f"chart-{number}", **own, **chart} for number, chart in enumerate([*charts, *single])]


def _link(experiment_id: str, key: str) -> str:
    # without the last part the UI opens in its GenAI mode
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={key}&workflowType=machine_learning"


def _link_views(experiment_id: str) -> None:
    """Describe the experiment by links to its views, unless somebody has described it otherwise."""
    tags = mlflow.get_experiment(experiment_id).tags
    if not tags.get(NOTE, NOTE_HEAD).startswith(NOTE_HEAD):
        return
    views = {key.removeprefix(TAG): json.loads(value) for key, value in tags.items() if key.startswith(TAG)}
    newest = sorted(views, key=lambda key: (not key.startswith(NETWORKS), -views[key]["createdAt"], key))
    links = [f"[{views[key]['name']}]({_link(experiment_id, key)})" for key in newest[:LINKED]]
    mlflow.MlflowClient().set_experiment_tag(experiment_id, NOTE, NOTE_HEAD + " · ".join(links))
