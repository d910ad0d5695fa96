"""Locate: one call finds a trained model in a folder, a run or the registry."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest

from siamese import tracking
from siamese.registry import latest, publish
from siamese.registry.locate import Located, load, locate
from siamese.registry.model_uri import champion_uri, download
from siamese.tracking.queries import MULTIRUN, newest_model_run


@pytest.fixture
def uri(store) -> str:
    return f"sqlite:///{store}/mlflow.db"


@pytest.fixture
def own_store(tmp_path, monkeypatch) -> Iterator[str]:
    """The URI of a store that this test alone fills; it is the current one."""
    folder, before = tmp_path / "store", mlflow.get_tracking_uri()
    folder.mkdir()
    monkeypatch.chdir(folder)
    tracking.connect(f"sqlite:///{folder}/mlflow.db", "tests")
    yield f"sqlite:///{folder}/mlflow.db"
    tracking.connect(before, "tests")


@pytest.fixture
def folder(model_run) -> Path:
    """The folder of the run's model, which contains the detector."""
    return download(model_run)[0]


@pytest.mark.slow
def test_a_detector_comes_back_by_run_and_as_the_newest(uri, model_run, detector, folder, questions):
    expected = Located(model_run, folder / "artifacts" / "detector", model_run)
    assert latest.find(uri) is None
    assert locate(model_run, uri, "tests") == locate(None, uri, "tests") == expected
    for wanted in (model_run, None):
        found = load(wanted, uri, "tests")
        np.testing.assert_array_equal(found.similarity(questions), detector.similarity(questions))
        assert found.at("precision@1.0").calibration.threshold == pytest.approx(0.55)


@pytest.mark.parametrize("wanted", ["models:/duplicates@champion", "models:/duplicates/1"])
def test_a_detector_comes_back_from_the_registry(uri, registered, model_run, detector, folder, wanted, questions):
    assert locate(wanted, uri, "tests") == Located(wanted, folder / "artifacts" / "detector", model_run)
    found = load(wanted, uri, "tests")
    np.testing.assert_array_equal(found.similarity(questions), detector.similarity(questions))


def test_a_detector_comes_back_from_a_folder_without_a_store(detector, folder, questions, tmp_path):
    detector.save(tmp_path / "detector")
    for wanted in (tmp_path / "detector", folder):
        found = load(str(wanted), None, "tests")
        np.testing.assert_array_equal(found.similarity(questions), detector.similarity(questions))
    assert locate(str(folder), None, "tests") == Located(str(folder), folder / "artifacts" / "detector", None)


def test_the_note_on_the_newest_is_believed_without_asking_the_store(detector, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    detector.save(tmp_path / "detector")
    latest.note(uri, "a run", tmp_path / "detector")
    assert locate(None, uri, "tests") == Located("a run", tmp_path / "detector", "a run")
    assert not (tmp_path / "mlflow.db").exists()


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
def test_a_model_that_cannot_be_loaded_is_one_line(uri, wanted, message):
    with pytest.raises(ValueError, match=message) as refusal:
        load(wanted, uri, "tests")
    assert "\n" not in str(refusal.value)


def test_a_run_without_a_model_is_one_line(uri):
    with tracking.tracked_run("no model", "baseline") as run_id:
        pass
    with pytest.raises(ValueError, match=f"run {run_id} has no model; choose a finished run of kind 'model'"):
        locate(run_id, uri, "tests")


def test_a_folder_without_a_detector_is_one_line(uri, tmp_path):
    with pytest.raises(ValueError, match=r"is not a saved detector: it has no detector\.json"):
        load(str(tmp_path), uri, "tests")


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["tests", "others"])
def test_a_store_without_models_says_how_to_get_one(own_store, experiment):
    with pytest.raises(ValueError, match="has no finished run with a model; train one first: make train"):
        locate(None, own_store, experiment)
    assert mlflow.get_experiment_by_name("others") is None


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:///folder/mlflow.db"])
def test_reading_makes_nothing(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"there is no tracking store .*mlflow\.db; train first \(make train\)"):
        locate(None, uri, "tests")
    assert not list(tmp_path.iterdir())


def test_without_a_store_only_a_folder_can_be_found():
    with pytest.raises(ValueError, match=r"tracking.uri is empty; give the address of a store, such as sqlite:"):
        locate(None, None, "tests")


@pytest.mark.slow
def test_the_champion_comes_before_the_newest_and_runs_of_a_study_or_a_multirun_never_answer(
    own_store, detector, network, questions
):
    """Found in the SQLite file and, as on a server, by MLflow."""
    uri = own_store
    runs: dict[str, str] = {}
    for name, tags in {"first": {}, "second": {}, "study": {}, "cell": {}, "job": {MULTIRUN: "true"}}.items():
        parent = runs["study"] if name == "cell" else None
        with tracking.tracked_run(name, "study" if name == "study" else "model", parent=parent, tags=tags) as runs[
            name
        ]:
            if name != "study":
                publish.log_detector(detector, network, questions, "# a card\n", "some data")
                tracking.log_metrics({"roc_auc": 0.9}, "dev")  # what is promoted has one
    assert locate(None, uri, "tests").run_id == newest_model_run() == runs["second"]
    publish.promote(runs["first"], "duplicate-questions", "champion")
    found = locate(None, uri, "tests")
    assert (found.run_id, found.is_champion) == (runs["first"], True)
    assert re.fullmatch(
        rf"run {runs['first']} \(the champion\), trained on some data, \d{{4}}-\d\d-\d\d \d\d:\d\d UTC", str(found)
    )
    assert champion_uri("duplicate-questions") == "models:/duplicate-questions@champion"
    assert champion_uri("other") is None
    assert str(locate(str(found.folder), None, "tests")).startswith(f"{found.folder}, trained on some data, ")


@pytest.mark.slow
def test_a_moved_store_finds_its_runs_and_its_champion_or_names_what_is_gone(
    own_store, detector, network, questions, tmp_path
):
    uri = own_store
    with tracking.tracked_run("first", "model") as run:
        publish.log_detector(detector, network, questions, "# a card\n", "some data")
        tracking.log_metrics({"roc_auc": 0.9}, "dev")  # what is promoted has one
    publish.promote(run, "duplicate-questions", "champion")
    old = Path(uri.removeprefix("sqlite:///")).parent
    moved = tmp_path / "moved"
    shutil.copytree(old, moved)
    for wanted in (None, run, "models:/duplicate-questions@champion", "models:/duplicate-questions/1"):
        assert locate(wanted, uri, "tests").folder.is_relative_to(old)
    shutil.rmtree(old / "mlruns")
    there = f"sqlite:///{moved}/mlflow.db"
    for wanted in (None, run, "models:/duplicate-questions@champion", "models:/duplicate-questions/1"):
        assert locate(wanted, there, "tests").folder.is_relative_to(moved)
    shutil.rmtree(moved / "mlruns")
    for wanted in (None, run, "models:/duplicate-questions@champion"):
        with pytest.raises(ValueError, match=f"there is no folder {re.escape(str(old))}"):
            locate(wanted, there, "tests")
