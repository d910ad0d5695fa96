"""The note on the newest detector: written atomically, moved with its store, and ignored if it is invalid."""

import json
from pathlib import Path

import pytest

from siamese.registry import latest


@pytest.fixture
def store(tmp_path):
    """A store's URI and a detector's folder next to it."""
    (tmp_path / "mlruns" / "detector").mkdir(parents=True)
    return f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "mlruns" / "detector"


def test_what_was_noted_last_is_found(store, tmp_path):
    uri, detector = store
    assert latest.find(uri) is None
    latest.note(uri, "first", tmp_path)
    latest.note(uri, "second", detector)
    assert latest.find(uri) == ("second", detector)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["mlflow.db.newest.json"]


def test_a_relative_store_is_one_of_the_working_directory(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    latest.note("sqlite:///mlflow.db", "run", store[1])
    run, folder = latest.find("sqlite:///mlflow.db")
    assert (run, folder.resolve()) == ("run", store[1])
    assert latest.find(store[0]) == ("run", store[1])


def test_store_and_detectors_can_be_moved_together(store, tmp_path):
    latest.note(store[0], "run", store[1])
    moved = tmp_path.parent / f"{tmp_path.name} moved"
    tmp_path.rename(moved)
    assert latest.find(f"sqlite:///{moved}/mlflow.db") == ("run", moved / "mlruns" / "detector")


def test_a_detector_elsewhere_is_noted_by_its_whole_path(store, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    latest.note(store[0], "run", elsewhere)
    assert latest.find(store[0]) == ("run", elsewhere)


def test_a_detector_that_is_gone_is_not_the_newest(store):
    latest.note(store[0], "run", store[1])
    store[1].rmdir()
    assert latest.find(store[0]) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null", json.dumps({"run": "a", "detector": 3})])
def test_a_damaged_note_is_none(store, tmp_path, content):
    (tmp_path / "mlflow.db.newest.json").write_text(content)
    assert latest.find(store[0]) is None


def test_other_stores_keep_no_note(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    latest.note("http://localhost:5000", "run", tmp_path)
    assert latest.find("http://localhost:5000") is None
    assert list(tmp_path.iterdir()) == []


def test_artifacts_that_were_moved_with_their_store_are_found(tmp_path):
    model = tmp_path / "mlruns" / "1" / "models" / "m-1" / "artifacts"
    model.mkdir(parents=True)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert latest.moved(str(model), uri) == model
    assert latest.moved("/elsewhere/mlruns/1/models/m-1/artifacts", uri) == model
    assert latest.moved("file:///elsewhere/mlruns/1/models/m-1/artifacts", uri) == model
    for location in ("/elsewhere/mlruns/2/models/m-1/artifacts", "/elsewhere/artifacts"):
        assert latest.moved(location, uri) == Path(location)  # there is none: it is named as it was


def test_a_store_without_tables_has_no_champion(tmp_path):
    assert latest.champion(f"sqlite:///{tmp_path}/mlflow.db", "m") is None
    (tmp_path / "mlflow.db").write_bytes(b"")
    assert latest.champion(f"sqlite:///{tmp_path}/mlflow.db", "m") is None
    assert latest.champion("http://localhost:5000", "m") is None
