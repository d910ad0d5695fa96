"""Locate: one call finds a trained model in a folder, a run or the registry."""

from pathlib import Path

import mlflow
import numpy as np
import pytest

from siamese import tracking
from siamese.registry import latest
from siamese.registry.locate import Located, load, locate
from siamese.registry.model_uri import download


@pytest.fixture
def uri(store) -> str:
    return f"sqlite:///{store}/mlflow.db"


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
def test_a_store_without_models_says_how_to_get_one(store, tmp_path):
    before = mlflow.get_tracking_uri()
    try:  # the folder of the store is made
        with pytest.raises(ValueError, match="has no finished run with a model; train one first: make train"):
            locate(None, f"sqlite:///{tmp_path}/folder/mlflow.db", "empty")
    finally:
        tracking.connect(before, "tests")


def test_without_a_store_only_a_folder_can_be_found():
    with pytest.raises(ValueError, match=r"tracking.uri is empty; give the address of a store, such as sqlite:"):
        locate(None, None, "tests")
