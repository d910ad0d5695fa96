"""Model store: trained detectors in MLflow. Keeps them with their runs, and finds them again."""

import importlib.metadata
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.types import ColSpec, Schema

from siamese.detector import Detector
from siamese.tracking import whole_write

SERVING_PACKAGES = (
    "keras",
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "tensorflow",
    "tokenizers",
    "tqdm",
)


@whole_write()
def log_detector(detector: Detector, example: list[tuple[str, str]]) -> None:
    """The detector's folder, and a model that `mlflow.pyfunc` loads and serves.

    Args:
        detector: what training left.
        example: a few pairs of questions, shown as the model's input example.
    """
    frame = pd.DataFrame(example, columns=["question1", "question2"])
    output = Schema(
        [ColSpec("double", "similarity"), ColSpec("double", "probability"), ColSpec("boolean", "duplicate")]
    )
    signature = infer_signature(frame)
    signature.outputs = output
    package = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "detector")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(package / "served_model.py"),
            artifacts={"detector": str(Path(folder) / "detector")},
            code_paths=[str(package)],
            signature=signature,
            input_example=frame,
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES],
        )


def newest_run() -> Run:
    """The newest finished run that left a model.

    Raises:
        ValueError: the store has none.
    """
    found = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="attributes.status = 'FINISHED' and tags.kind = 'model'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    if not found:
        raise ValueError(f"{mlflow.get_tracking_uri()} has no finished run with a model; train one first: make train")
    return found[0]


def load_detector(run: str | None) -> tuple[Detector, str]:
    """A trained detector and where it came from.

    Args:
        run: None for the newest finished run, or a run id, a folder, or a registry URI such as
            models:/duplicate-questions@champion.

    Raises:
        ValueError: there is no such run, folder or model.
    """
    if run is not None and Path(run).expanduser().is_dir():
        return Detector.load(_detector_folder(Path(run).expanduser())), run
    if run is not None and run.startswith("models:/"):
        uri = run
    else:
        run = run or newest_run().info.run_id
        uri = _model_uri(run)
    try:
        folder = mlflow.artifacts.download_artifacts(artifact_uri=uri)
    except (MlflowException, OSError) as problem:
        raise ValueError(f"cannot read the model {uri}: {problem}") from None
    return Detector.load(_detector_folder(Path(folder))), run


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
    return f"models:/{outputs.model_outputs[0].model_id}"


def _detector_folder(folder: Path) -> Path:
    """The detector inside an MLflow model's folder, or the folder itself."""
    inside = folder / "artifacts" / "detector"
    return inside if inside.is_dir() else folder
