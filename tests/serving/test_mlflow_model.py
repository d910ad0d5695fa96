"""The model that MLflow keeps: its own commands load and serve it, whatever else this project does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from siamese import tracking
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.registry import publish
from siamese.serving.mlflow_table import SIGNATURE
from siamese.serving.protocol import ANSWERS

PAIRS = [("how do i pay my bill", "where can i pay the bill ?"), ("i lost my card", "how do i cook rice")]
URI = "models:/served@champion"
PATIENCE = 120  # seconds
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kept(tmp_path_factory, build_network, vectorizer):
    """The URI of a store whose registry has a model, and the detector that it came from."""
    folder = tmp_path_factory.mktemp("store")
    uri, before = f"sqlite:///{folder}/mlflow.db", mlflow.get_tracking_uri()
    tracking.connect(uri, "tests", str(folder / "artifacts"))
    network = build_network()
    detector = Detector.from_network(network, vectorizer, Calibration(0.7, 1.5, 0.1))
    with tracking.tracked_run("served", "model") as run:
        publish.log_detector(detector, network, PAIRS, "# a card\n", "some data")
        tracking.log_metrics({"roc_auc": 0.9}, "dev")  # what is promoted has one
    publish.promote(run, "served", "champion")
    yield uri, detector
    mlflow.set_tracking_uri(before)


@pytest.fixture
def model(kept):
    mlflow.set_tracking_uri(kept[0])
    return mlflow.pyfunc.load_model(URI)


def table(pairs) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["question1", "question2"])


def expected(detector: Detector) -> pd.DataFrame:
    similarity = detector.similarity(PAIRS)
    known = np.array([detector.coverage(pair).known_words for pair in PAIRS]).round(4)
    return pd.DataFrame(
        {
            "similarity": similarity.astype(float),
            "probability": detector.probability(similarity),
            "duplicate": detector.calibration.duplicate(similarity),
            "known_words1": known[:, 0],
            "known_words2": known[:, 1],
            "cut": 0,
        }
    )


def test_it_answers_a_table_with_a_table(kept, model):
    pd.testing.assert_frame_equal(model.predict(table(PAIRS)), expected(kept[1]), check_exact=True)
    assert list(model.predict(table([])).columns) == list(ANSWERS)


def test_its_signature_is_the_one_that_is_served(model):
    assert model.metadata.signature.inputs == SIGNATURE.inputs
    assert model.metadata.signature.outputs == SIGNATURE.outputs


def test_it_refuses_what_is_no_question(model):
    with pytest.raises(MlflowException, match="question2 of pair 2 of 2: the text is missing"):
        model.predict(table([PAIRS[0], ("a", None)]))
    with pytest.raises(MlflowException, match=r"Model is missing inputs \['question2'\]"):
        model.predict(table(PAIRS)[["question1"]])


def test_mlflow_serves_it(kept):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", URI, "--env-manager", "local", "-p", str(port)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # mlflow starts uvicorn by its name
    server = subprocess.Popen(
        command,
        env=os.environ | {"MLFLOW_TRACKING_URI": kept[0], "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        body = json.dumps({"dataframe_split": {"columns": ["question1", "question2"], "data": PAIRS}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        answer, ends = None, time.monotonic() + PATIENCE
        while answer is None and server.poll() is None and time.monotonic() < ends:
            time.sleep(0.2)
            with suppress(OSError), urllib.request.urlopen(request, timeout=PATIENCE) as opened:
                answer = json.load(opened)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
    assert answer == {"predictions": expected(kept[1]).to_dict("records")}
