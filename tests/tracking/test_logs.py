"""Logs: what a run logs is there afterwards, whole, and without a password."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from siamese import tracking
from siamese.data.pairs import BadRow, PairSplits
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import report


def artifact(run_id: str, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path))


def test_flatten():
    """Nodes become dotted names, the last word of `_target_` in snake case their value; lists stay whole."""
    config = {
        "tower": {"_target_": "siamese.model.towers.dense", "_partial_": True, "units": [300], "dropout": 0.0},
        "loss": {"_target_": "WeightedSum", "first": {"_target_": "a.b.Ranking", "temperature": 0.05}},
        "run": None,
    }
    assert tracking.flatten(config) == {
        "tower": "dense",
        "tower.units": [300],
        "tower.dropout": 0.0,
        "loss": "weighted_sum",
        "loss.first": "ranking",
        "loss.first.temperature": 0.05,
        "run": None,
    }


@pytest.mark.slow
def test_long_parameters_are_cut_where_mlflow_would_refuse_them(store):
    with tracking.tracked_run("long", "model") as run_id:
        tracking.log_config({"path": "x" * 7000}, "")
    assert mlflow.get_run(run_id).data.params["path"] == "x" * 6000


def test_the_environment(store):
    with tracking.tracked_run("environment", "model") as run_id:
        tracking.log_environment(7)
    tags = mlflow.get_run(run_id).data.tags
    assert tags["seed"] == "7"
    assert len(tags["git_commit"]) in (0, 40)
    versions = artifact(run_id, "versions.txt").read_text().splitlines()
    assert f"mlflow=={mlflow.__version__}" in versions
    assert versions == sorted(versions, key=str.lower)


def test_data_is_logged_with_digests_counts_and_bad_rows(store, pairs):
    bad = (BadRow("a.csv", 3, "label", "maybe", "no number"),)
    splits = PairSplits("mine", pairs, pairs.take(pairs.duplicate), None, bad, ("a.csv has tabs",))
    with tracking.tracked_run("data", "model") as run_id:
        tracking.log_data(splits, {"dev": {"questions": 12, "pairs": 12}})
    run = mlflow.get_run(run_id)
    assert run.data.metrics == {
        "data/train_pairs": 24,
        "data/train_duplicate_share": 0.5,
        "data/dev_pairs": 12,
        "data/dev_duplicate_share": 1.0,
        "data/dev_questions_seen_in_train": 12,
        "data/dev_pairs_seen_in_train": 12,
        "data/bad_rows": 1,
    }
    assert run.data.tags["data_digest.train"] == pairs.digest()
    inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    assert {split: each.name for split, each in inputs.items()} == {"train": "mine train", "dev": "mine dev"}
    assert pairs.digest().startswith(inputs["train"].digest)
    table = json.loads(artifact(run_id, "bad_rows.json").read_text())
    assert table["data"] == [["a.csv", 3, "label", "maybe", "no number"]]
    assert artifact(run_id, "data_notes.txt").read_text() == "a.csv has tabs\n"


def test_undefined_metrics_are_not_logged(store):
    with tracking.tracked_run("undefined", "model") as run_id:
        tracking.log_metrics({"roc_auc": float("nan"), "accuracy": 1.0}, "test")
    assert mlflow.get_run(run_id).data.metrics == {"test/accuracy": 1.0}


def test_a_password_in_the_address_of_the_store_is_not_logged(store):
    uri = "postgresql://me:secret@host/runs"
    with tracking.tracked_run("a password", "model") as run_id:
        tracking.log_config({"tracking": {"uri": uri}}, f"tracking:\n  uri: {uri}\n")
    assert mlflow.get_run(run_id).data.params == {"tracking.uri": "postgresql://me:***@host/runs"}
    assert (
        mlflow.artifacts.load_text(f"runs:/{run_id}/config.yaml").splitlines()[1]
        == "  uri: postgresql://me:***@host/runs"
    )


def test_a_figure_names_its_run(store, monkeypatch):
    figure = Figure()
    figure.suptitle("dev, 6 pairs")
    monkeypatch.setattr("mlflow.log_figure", lambda *given, **options: None)
    with tracking.tracked_run("tower=dense seed=0", "model"):
        tracking.log_figure(figure, "roc")
    assert figure.get_suptitle() == "tower=dense seed=0\ndev, 6 pairs"


@pytest.mark.slow
def test_a_report_is_logged_whole(store, pairs):
    """Metrics and intervals under the split's name, five figures, every prediction, and the mistakes."""
    similarity = np.linspace(0, 1, len(pairs))  # duplicates are first and have low scores: most verdicts are wrong
    calibration = Calibration(0.5, 1.0, 0.0)
    with tracking.tracked_run("report", "model") as run_id:
        tracking.log_calibration(calibration)
        tracking.log_report(report(pairs, similarity, calibration, 0, 100), "dev", calibration)
    metrics = mlflow.get_run(run_id).data.metrics
    assert metrics["dev/accuracy_low"] <= metrics["dev/accuracy"] <= metrics["dev/accuracy_high"]
    assert {name: metrics[f"calibration/{name}"] for name in ("threshold", "temperature", "offset")} == {
        "threshold": 0.5,
        "temperature": 1.0,
        "offset": 0.0,
    }
    figures = {path.name for path in artifact(run_id, "figures").iterdir()}
    names = ("roc", "precision_recall", "reliability", "similarity_histogram", "confusion_matrix")
    assert figures == {f"dev_{name}.png" for name in names}
    table = pd.read_csv(artifact(run_id, "predictions/dev.csv"), keep_default_na=False)
    assert table["question1"].tolist() == pairs.left_texts()
    np.testing.assert_allclose(table["similarity"], similarity)
    mistakes = json.loads(artifact(run_id, "dev_worst_mistakes.json").read_text())
    assert len(mistakes["data"]) == int((~table["correct"]).sum())
