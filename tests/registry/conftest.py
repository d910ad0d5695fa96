"""What the tests of the registry share: a store with the run of a detector."""

import numpy as np
import pytest

from siamese import tracking
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores
from siamese.model.similarity import Euclidean
from siamese.registry import publish


@pytest.fixture(scope="package")
def questions() -> list[tuple[str, str]]:
    return [("how do i pay my bill", "where can i pay the bill ?"), ("rice", "my card")]


@pytest.fixture(scope="package")
def network(build_network):
    return build_network("dense", Euclidean)


@pytest.fixture(scope="package")
def detector(network, vectorizer) -> Detector:
    dev = DevScores(np.array([0.9, 0.2], np.float32), np.array([True, False]))
    return Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0), dev)


@pytest.fixture(scope="module")
def model_run(store, detector, network, questions) -> str:
    """The id of a run that left the detector."""
    with tracking.tracked_run("dense", "model") as run_id:
        publish.log_detector(detector, network, questions, "# a card\n", "some data")
        tracking.log_metrics({"roc_auc": 0.9}, "dev")  # what is promoted has one
    return run_id


@pytest.fixture(scope="module")
def registered(model_run) -> str:
    """The URI by which the registry knows the model of the run."""
    publish.promote(model_run, "duplicates", "champion")
    return "models:/duplicates@champion"
