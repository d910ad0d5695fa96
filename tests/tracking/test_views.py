"""Views: the tags that MLflow's UI opens as saved views."""

import base64
import json
import zlib

import mlflow
import pytest

from siamese.tracking import log_metrics, tracked_run
from siamese.tracking.stores import connect
from siamese.tracking.views import View, browser_defaults, differing, save_missing_views, save_view_of

MODE = "workflowType=machine_learning"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    before = mlflow.get_tracking_uri()
    yield f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    mlflow.set_tracking_uri(before)


@pytest.fixture
def store(uri, tmp_path):
    """An experiment of its own."""
    connect(uri, tmp_path.name, str(tmp_path))
    return mlflow.get_experiment_by_name(tmp_path.name)


def run_study(name: str, towers: list[str]) -> str:
    """A study whose runs differ in the tower and the seed; its id."""
    with tracked_run(name, "study") as parent:
        pass
    for seed, tower in enumerate(towers):
        with tracked_run(f"tower={tower}", "model", parent=parent):
            mlflow.log_params({"seed": seed, "tower": tower, "text": "word", f"tower.{tower}": 3})
            log_metrics({"roc_auc": 0.5 + seed / 10, "accuracy": 0.5}, "dev")
            log_metrics({"dev_roc_auc": 0.5}, "epoch", step=1)
    return parent


def saved_state(store, key: str) -> dict:
    """What the UI reads: a state within the text of a tag."""
    tag = mlflow.get_experiment(store.experiment_id).tags[f"mlflow.sharedViewState.{key}"]
    head, _, state = json.loads(tag)["state"].partition(";")
    assert head == "deflate"
    return json.loads(zlib.decompress(base64.b64decode(state)))


@pytest.mark.slow
def test_the_view_of_a_study_shows_its_differences_best_on_dev_first(store):
    parent = run_study("towers", ["dense", "conv1d"])
    assert save_view_of(parent) == View(
        "study towers", f"#/experiments/{store.experiment_id}/runs?viewStateShareKey={parent}&{MODE}"
    )
    state = saved_state(store, parent)
    assert state["searchFilter"] == f"tags.`mlflow.parentRunId` = '{parent}'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`dev/roc_auc`", False)
    assert state["selectedColumns"] == [
        "metrics.`dev/roc_auc`",
        "metrics.`dev/accuracy`",
        "metrics.`test/roc_auc`",
        "metrics.`training/seconds`",
        "params.`tower`",
        "params.`seed`",
    ]
    shown = [chart for chart in state["compareRunCharts"] if not chart["deleted"]]
    assert [chart["type"] for chart in shown] == ["BAR", "LINE", "SCATTER", "PARALLEL", "DIFFERENCE"]
    assert shown[3]["selectedParams"] == ["tower", "seed"]
    assert shown[4]["showDifferencesOnly"]
    # MLflow draws a chart of each metric that has none: one without epochs has a deleted one
    assert [chart["metricKey"] for chart in state["compareRunCharts"] if chart["deleted"]] == ["dev/accuracy"]
    assert "groupBy" not in state
    seeds = saved_state(store, f"{parent}-seeds")
    assert seeds.pop("groupBy") == {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "data"}, {"mode": "tag", "groupByData": "option"}],
    }
    assert seeds.pop("columnWidths").keys() == state.pop("columnWidths").keys()
    assert seeds == state
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == {
        section["uuid"] for section in state["compareRunSections"]
    }


def test_the_filter_of_a_view_finds_the_runs_of_its_study_alone(store):
    parent, _ = run_study("towers", ["dense", "conv1d"]), run_study("losses", ["bilstm"])
    save_view_of(parent)
    found = mlflow.search_runs([store.experiment_id], saved_state(store, parent)["searchFilter"], output_format="list")
    assert {run.info.run_name for run in found} == {"tower=dense", "tower=conv1d"}


def test_missing_views_are_saved_and_others_kept(store):
    first = run_study("towers", ["dense", "conv1d"])
    save_view_of(first)
    saved_by_hand = mlflow.get_experiment(store.experiment_id).tags[f"mlflow.sharedViewState.{first}"]
    with tracked_run("bilstm", "sweep") as second:
        pass
    with tracked_run("another run", "model"):
        pass
    views = save_missing_views(store.name)
    assert [view.name for view in views] == ["all networks", "sweep bilstm", "study towers"]
    assert [view.link.split("viewStateShareKey=")[1] for view in views] == [
        f"networks&{MODE}",
        f"{second}&{MODE}",
        f"{first}&{MODE}",
    ]
    assert mlflow.get_experiment(store.experiment_id).tags[f"mlflow.sharedViewState.{first}"] == saved_by_hand
    assert saved_state(store, "networks")["searchFilter"] == "tags.kind = 'model'"
    # a study that has no runs yet shows the usual choices
    assert saved_state(store, second)["selectedColumns"][4:] == [
        f"params.`{name}`" for name in ("tower", "similarity", "loss", "seed")
    ]


def test_the_description_of_an_experiment_links_its_views_unless_somebody_wrote_another(store):
    def description() -> str:
        return mlflow.get_experiment(store.experiment_id).tags["mlflow.note.content"]

    base = f"(#/experiments/{store.experiment_id}/runs?viewStateShareKey="
    head = f"Runs with their metrics, the best on dev first: [all networks]{base}networks&{MODE})"
    assert description().startswith(head)  # from the beginning
    parent = run_study("towers", ["dense"])
    save_view_of(parent)
    assert description().startswith(head)
    assert f" · [study towers]{base}{parent}&{MODE})" in description()
    mlflow.set_experiment_tag("mlflow.note.content", "our own words")
    save_missing_views(store.name)
    assert description() == "our own words"


def test_a_new_browser_shows_all_runs_with_metrics_below_their_parents(store):
    kept = browser_defaults(store.name)
    state = json.loads(kept.pop(f'MLflowLocalStorage-1.1-ExperimentPage-["{store.experiment_id}"]-ReactComponentState'))
    networks = saved_state(store, "networks")
    assert "metrics.`dev/roc_auc`" in state["selectedColumns"]
    assert state == networks | {"searchFilter": "", "orderByKey": "attributes.start_time"}
    assert kept == {"mlflow.workflowType_v1": '"machine_learning"'}


def test_runs_without_parameters_in_common_differ_in_none():
    assert differing([]) == []
    assert differing([{"tower": "dense"}]) == []
    assert differing([{"a": "1"}, {"b": "1"}]) == []
