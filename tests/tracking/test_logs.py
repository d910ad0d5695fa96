"""Tracking: a run ends as what it was, and what it left behind is found again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from siamese import tracking
from siamese.data.pairs import BadRow, PairSplits
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import report
from siamese.model.similarity import Euclidean
from siamese.registry import latest, publish

ROOT = Path(__file__).parents[2]
QUESTIONS = [("how do i pay my bill", "where can i pay the bill ?"), ("rice", "my card")]
FIRST_USER = """
import sys, time
from pathlib import Path
from siamese.registry import publish
from siamese import tracking
uri, name, ready, start = sys.argv[1:]
Path(ready).touch()
while not Path(start).exists():
    time.sleep(0.001)
tracking.connect(uri, "together")
for number in range(3):
    with tracking.tracked_run(f"{name} {number}", "baseline"):
        tracking.log_metrics({"number": number}, "test")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A fresh store, whose artifacts lie beside it."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        tracking.connect(f"sqlite:///{folder}/mlflow.db", "tests")
        yield folder
        mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def network(build_network):
    return build_network("dense", Euclidean)


@pytest.fixture(scope="module")
def detector(network, vectorizer):
    return Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture(scope="module")
def model_run(store, detector, network) -> str:
    """The id of a run that left the detector."""
    with tracking.tracked_run("dense", "model") as run_id:
        publish.log_detector(detector, network, QUESTIONS)
    return run_id


def status_of(run_id: str) -> str:
    return mlflow.get_run(run_id).info.status


def artifact(run_id: str, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path))


def test_a_run_that_ends_is_finished(store):
    with tracking.tracked_run("a name", "baseline", "a description") as run_id:
        assert status_of(run_id) == "RUNNING"
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "a name"
    assert run.data.tags["kind"] == "baseline"
    assert run.data.tags["mlflow.note.content"] == "a description"
    assert mlflow.active_run() is None


def divide_by_zero() -> None:
    raise ZeroDivisionError("division by zero")


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)  # the signal ends it at once


def run_that_ends_in(action: Callable[[], None]) -> None:
    """A run that logs its config and then does this."""
    with tracking.tracked_run("ends early", "model"):
        tracking.log_config({"tower": {"_target_": "siamese.model.towers.dense", "units": [6]}}, "tower: …\n")
        action()


@pytest.mark.parametrize(
    ("action", "error", "status"),
    [
        (divide_by_zero, ZeroDivisionError, "FAILED"),
        (press_ctrl_c, KeyboardInterrupt, "KILLED"),
        (be_terminated, KeyboardInterrupt, "KILLED"),
    ],
)
def test_a_run_that_ends_early_says_so_and_keeps_its_parameters(store, action, error, status):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(error):
        run_that_ends_in(action)
    run = mlflow.last_active_run()
    assert run.info.status == status
    assert run.data.params == {"tower": "dense", "tower.units": "[6]"}
    assert run.data.tags.get("error") == ("ZeroDivisionError: division by zero" if status == "FAILED" else None)
    assert artifact(run.info.run_id, "config.yaml").read_text(encoding="utf-8") == "tower: …\n"
    assert mlflow.active_run() is None
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_until_a_write_is_whole(signum, store):
    order = []

    def interrupted_while_writing() -> None:
        with tracking.defer_interrupts():
            with tracking.defer_interrupts():
                os.kill(os.getpid(), signum)
                order.append("inner")
            order.append("outer")
        order.append("never reached")

    with pytest.raises(KeyboardInterrupt), tracking.tracked_run("interrupted", "model"):
        interrupted_while_writing()
    assert order == ["inner", "outer"]
    assert mlflow.last_active_run().info.status == "KILLED"


def test_a_child_names_its_parent(store):
    with tracking.tracked_run("parent", "model") as parent:
        pass
    with tracking.tracked_run("child", "evaluation", parent=parent) as child:
        pass
    assert mlflow.get_run(child).data.tags["mlflow.parentRunId"] == parent
    assert publish.parent_of(parent) == parent
    assert publish.parent_of("models:/nothing@champion") is None


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
    splits = PairSplits("mine", pairs, pairs.take(pairs.duplicate), None, bad)
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


def test_a_password_in_the_address_of_the_store_is_not_logged(store):
    uri = "postgresql://me:secret@host/runs"
    with tracking.tracked_run("a password", "model") as run_id:
        tracking.log_config({"tracking": {"uri": uri}}, f"tracking:\n  uri: {uri}\n")
    assert mlflow.get_run(run_id).data.params == {"tracking.uri": "postgresql://me:***@host/runs"}
    assert (
        mlflow.artifacts.load_text(f"runs:/{run_id}/config.yaml").splitlines()[1]
        == "  uri: postgresql://me:***@host/runs"
    )


def test_a_report_is_logged_whole(store, pairs):
    """Metrics and intervals under the split's name, five figures, every prediction, and the mistakes."""
    similarity = np.linspace(0, 1, len(pairs))  # duplicates come first and score low: most verdicts are wrong
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


def test_find_metrics_gives_the_newest_finished_run_with_all_tags(store):
    for value, error in ((1, None), (2, None), (3, RuntimeError)):
        with suppress(RuntimeError), tracking.tracked_run("baseline", "baseline"):
            tracking.set_tags({"data": "d", "seed": "0"})
            tracking.log_metrics({"accuracy": value}, "test")
            time.sleep(0.002)  # runs are ordered by milliseconds
            if error:
                raise error
    assert tracking.find_metrics({"data": "d", "seed": "0", "kind": "baseline"}) == {"test/accuracy": 2.0}
    assert tracking.find_metrics({"data": "d", "seed": "1"}) is None


def test_a_detector_comes_back_by_run_and_as_the_newest(model_run, detector):
    expected = detector.similarity(QUESTIONS)
    for wanted in (model_run, None):
        found, source = publish.load_detector(wanted)
        assert source == model_run
        np.testing.assert_array_equal(found.similarity(QUESTIONS), expected)


def test_the_detector_is_kept_beside_the_network_for_users_of_keras(model_run):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{output.model_id}")) / "artifacts" / "detector"
    names = ["detector.json", "light.json", "light.npz", "network.keras", "vectorizer.json"]
    assert sorted(file.name for file in folder.iterdir()) == names


def test_serving_needs_no_tensorflow(model_run):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    folder = mlflow.artifacts.download_artifacts(f"models:/{output.model_id}")
    program = (
        "import sys, mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(len(model.predict(pd.DataFrame([['a', 'b']], columns=['question1', 'question2']))))\n"
        "print(*{'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n\n"


def test_a_finished_run_is_noted_as_the_newest(store, model_run, detector):
    uri = f"sqlite:///{store}/mlflow.db"
    assert latest.find(uri) is None
    publish.note_newest(model_run)
    run, folder = latest.find(uri)
    assert run == model_run
    np.testing.assert_array_equal(Detector.load(folder).similarity(QUESTIONS), detector.similarity(QUESTIONS))


def test_a_detector_comes_back_from_a_folder(detector, tmp_path):
    detector.save(tmp_path / "detector")
    found, source = publish.load_detector(str(tmp_path / "detector"))
    assert source == str(tmp_path / "detector")
    np.testing.assert_array_equal(found.similarity(QUESTIONS), detector.similarity(QUESTIONS))


def test_a_detector_comes_back_from_the_registry(model_run, detector):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    mlflow.register_model(f"models:/{output.model_id}", "duplicates")
    mlflow.MlflowClient().set_registered_model_alias("duplicates", "champion", 1)
    found, source = publish.load_detector("models:/duplicates@champion")
    assert source == "models:/duplicates@champion"
    np.testing.assert_array_equal(found.similarity(QUESTIONS), detector.similarity(QUESTIONS))


def test_mlflow_itself_loads_and_asks_the_model(model_run, detector):
    [output] = mlflow.get_run(model_run).outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    answer = model.predict(pd.DataFrame(QUESTIONS, columns=["question1", "question2"]))
    similarity = detector.similarity(QUESTIONS)
    np.testing.assert_array_equal(answer["similarity"].to_numpy(np.float32), similarity)
    assert answer["duplicate"].tolist() == (similarity >= 0.5).tolist()
    assert model.metadata.signature.inputs.input_names() == ["question1", "question2"]
    assert model.metadata.signature.outputs.input_names() == ["similarity", "probability", "duplicate"]
    assert model.input_example.to_numpy().tolist() == [list(pair) for pair in QUESTIONS]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "0123456789abcdef0123456789abcdef",
            r"run=0123456789abcdef\w* is no run of sqlite:.*; the ids are in the MLflow UI",
        ),
        ("nowhere/detector", "run=nowhere/detector is no run of sqlite:.*, no folder and no models:/ URI"),
        ("models:/nothing@champion", "cannot read the model models:/nothing@champion"),
        ("models:/nothing/3", "cannot read the model models:/nothing/3"),
        ("models:/m-0123456789abcdef0123456789abcdef", "cannot read the model models:/m-0123456789abcdef"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(store, wanted, message):
    with pytest.raises(ValueError, match=message) as refusal:
        publish.load_detector(wanted)
    assert "\n" not in str(refusal.value)


def test_a_run_without_a_model_is_told_in_one_line(store):
    with tracking.tracked_run("no model", "baseline") as run_id:
        pass
    with pytest.raises(ValueError, match=f"run {run_id} left no model; choose a finished run of kind 'model'"):
        publish.load_detector(run_id)


def test_a_folder_without_a_detector_is_told_in_one_line(store, tmp_path):
    with pytest.raises(ValueError, match=r"is not a saved detector: it has no detector\.json"):
        publish.load_detector(str(tmp_path))


def test_a_store_without_models_says_how_to_get_one(store, tmp_path):
    before = mlflow.get_tracking_uri()
    try:
        tracking.connect(f"sqlite:///{tmp_path}/folder/mlflow.db", "empty")  # the folder is made
        with pytest.raises(ValueError, match="has no finished run with a model; train one first: make train"):
            publish.load_detector(None)
    finally:
        tracking.connect(before, "tests")


def test_a_failed_run_is_not_the_newest(model_run):
    with pytest.raises(ZeroDivisionError):
        run_that_ends_in(divide_by_zero)
    assert publish.newest_run().info.run_id == model_run


def test_two_first_users_of_a_fresh_store_at_once(tmp_path):
    """Processes of their own, both waiting for the same moment; without a lock the database is ruined for good."""
    uri, start = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "start"
    processes = []
    for name in ("one", "two"):
        arguments = [uri, name, str(tmp_path / name), str(start)]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", FIRST_USER, *arguments],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not all((tmp_path / name).exists() for name in ("one", "two")):
        time.sleep(0.01)
    start.touch()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    client = mlflow.MlflowClient(uri)
    [experiment] = [each for each in client.search_experiments() if each.name == "together"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == [
        f"{name} {number}" for name in ("one", "two") for number in range(3)
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
