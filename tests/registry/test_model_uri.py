"""Model folder: one call loads a detector from a run, the registry or a folder."""

import mlflow
import numpy as np
import pytest

from siamese import tracking
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores
from siamese.registry import publish
from siamese.registry.model_uri import model_folder

PAIRS = [("how do i pay my bill", "where can i pay the bill ?"), ("rice", "my card")]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    tracking.connect(f"sqlite:///{tmp_path}/mlflow.db", "tests")
    yield tmp_path
    mlflow.set_tracking_uri(before)


def test_one_call_for_a_run_the_registry_and_a_folder(store, build_network, vectorizer):
    network = build_network()
    dev = DevScores(np.array([0.9, 0.2], np.float32), np.array([True, False]))
    detector = Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0), dev)
    with tracking.tracked_run("dense", "model") as run:
        publish.log_detector(detector, network, PAIRS)
    [output] = mlflow.get_run(run).outputs.model_outputs
    mlflow.register_model(f"models:/{output.model_id}", "duplicates")
    mlflow.MlflowClient().set_registered_model_alias("duplicates", "champion", 1)
    folder = model_folder(run)
    for source in (run, "models:/duplicates@champion", "models:/duplicates/1", str(folder), folder):
        found = Detector.load(source)
        np.testing.assert_array_equal(found.similarity(PAIRS), detector.similarity(PAIRS))
        assert found.at("precision@1.0").calibration.threshold == pytest.approx(0.55)


def test_what_is_nowhere_is_told(store):
    with pytest.raises(ValueError, match=r"run=nowhere is no run of sqlite:.*, no folder and no models:/ URI"):
        Detector.load("nowhere")
    with pytest.raises(ValueError, match="cannot read the model models:/nothing@champion"):
        Detector.load("models:/nothing@champion")


def test_a_path_is_never_looked_up(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a saved detector"):
        Detector.load(tmp_path / "nowhere")
