"""Model store: trained detectors in MLflow. Keeps them with their runs, and finds them again."""

import importlib.metadata
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.types import ColSpec, Schema
from mlflow.utils.file_utils import local_file_uri_to_path

from siamese import newest
from siamese.detector import Detector
from siamese.tracking import whole_write

if TYPE_CHECKING:
    import keras

MODELS = "models:/"
SERVING_PACKAGES = ("mlflow", "numpy", "pandas", "pyarrow", "threadpoolctl", "tokenizers")


@whole_write()
def log_detector(detector: Detector, network: "keras.Model", example: list[tuple[str, str]]) -> None:
    """The detector's folder, and a model that `mlflow.pyfunc` loads and serves.

    Args:
        detector: what training left.
        network: the Keras network that it came from, kept beside it.
        example: a few pairs of questions, shown as the model's input example.
    """
    from siamese.light.export import save_keras  # brings in TensorFlow, which only training has

    frame = pd.DataFrame(example, columns=["question1", "question2"])
    output = Schema(
        [ColSpec("double", "similarity"), ColSpec("double", "probability"), ColSpec("boolean", "duplicate")]
    )
    signature = infer_signature(frame)
    signature.outputs = output
    package = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "detector")
        save_keras(network, Path(folder) / "detector")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(package / "served_model.py"),
            artifacts={"detector": str(Path(folder) / "detector")},
            code_paths=[str(package)],
            signature=signature,
            input_example=frame,
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES],
        )


def note_newest(run: str) -> None:
    """Let the detector of a run that has just finished be found without MLflow, if its files lie on this machine."""
    location = mlflow.get_logged_model(_model_uri(run).removeprefix(MODELS)).artifact_location
    folder = Path(local_file_uri_to_path(location))
    if folder.is_dir():
        newest.note(mlflow.get_tracking_uri(), run, folder)


def newest_run() -> Run:
    """The run with a model that finished last.

    Raises:
        ValueError: the store has none.
    """
    found = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="attributes.status = 'FINISHED' and tags.kind = 'model'",
        order_by=["attributes.end_time DESC"],
        max_results=1,
        output_format="list",
    )
    if not found:
        raise ValueError(f"{mlflow.get_tracking_uri()} has no finished run with a model; train one first: make train")
    return found[0]


def load_detector(run: str | None) -> tuple[Detector, str]:
    """A trained detector and where it came from.

    Args:
        run: None for the run that finished last, or a run id, a folder, or a registry URI such as
            models:/duplicate-questions@champion.

    Raises:
        ValueError: there is no such run, folder or model.
    """
    if run is not None and Path(run).expanduser().is_dir():
        return Detector.load(Path(run).expanduser()), run
    if run is not None and run.startswith(MODELS):
        uri = run
    else:
        run = run or newest_run().info.run_id
        uri = _model_uri(run)
    try:
        folder = mlflow.artifacts.download_artifacts(artifact_uri=uri)
    except (MlflowException, OSError) as problem:
        raise ValueError(f"cannot read the model {uri}: {problem}") from None
    return Detector.load(Path(folder)), run


def parent_of(source: str) -> str | None:
    """`source` if it is the id of a run of the current experiment's store, else None (a folder, a registry URI)."""
    try:
        return mlflow.get_run(source).info.run_id
    except MlflowException:
        return None


def _model_uri(run: str) -> str:
    try:
        outputs = mlflow.get_run(run).outputs
    except MlflowException:
        raise ValueError(
            f"run={run} is no run of {mlflow.get_tracking_uri()}, no folder and no models:/ URI; "
            "the ids are in the MLflow UI (make ui)"
        ) from None
    if outputs is None or not outputs.model_outputs:
        raise ValueError(f"run {run} left no model; choose a finished run of kind 'model'")
    return f"{MODELS}{outputs.model_outputs[0].model_id}"
