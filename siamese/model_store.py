"""Model store: trained detectors in MLflow. Keeps them with their runs, and finds them again."""

import importlib.metadata
import io
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path

from siamese import newest
from siamese.detector import Detector
from siamese.model_folder import MODELS, model_uri
from siamese.serving import SIGNATURE
from siamese.tracking import whole_write

if TYPE_CHECKING:
    import keras

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
    package = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "detector")
        save_keras(network, Path(folder) / "detector")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(package / "served_model.py"),
            artifacts={"detector": str(Path(folder) / "detector")},
            code_paths=[str(package)],
            signature=SIGNATURE,
            input_example=frame,
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES],
        )


def note_newest(run: str) -> None:
    """Let the detector of a run that has just finished be found without MLflow, if its files lie on this machine."""
    location = mlflow.get_logged_model(model_uri(run).removeprefix(MODELS)).artifact_location
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
        run: None for the run that finished last; otherwise as `Detector.load` takes it.

    Raises:
        ValueError: there is no such run, folder or model.
    """
    source = run or newest_run().info.run_id
    return Detector.load(source), source


def parent_of(source: str) -> str | None:
    """`source` if it is the id of a run of the current experiment's store, else None (a folder, a registry URI)."""
    try:
        return mlflow.get_run(source).info.run_id
    except MlflowException:
        return None


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes:
        number: in the registry.
        run: id of the run that it came from.
        metrics: of that run, "split/name" -> value; empty if the run is deleted.
        measured_by: the digests of its dev pairs and of the code that measured; versions compare where they agree.
    """

    number: str
    run: str
    metrics: dict[str, float]
    measured_by: tuple[str | None, ...]


def promote(run: str, name: str, alias: str) -> tuple[Version, Version | None]:
    """Give a run's model an alias in the registry; the model becomes a new version there unless it is one already.

    Args:
        run: id of a finished run of kind "model".
        name: of the registered model, which is made if there is none.
        alias: such as champion; models:/NAME@ALIAS then means this model.

    Returns:
        The version that has the alias now, and the one that lost it; None where no other one had it.

    Raises:
        ValueError: there is no such run, it is no finished training, or it left no model.
    """
    try:
        promoted = mlflow.get_run(run)
    except MlflowException:
        raise ValueError(f"run={run} is no run of {mlflow.get_tracking_uri()}; the ids are in the MLflow UI") from None
    kind, status = promoted.data.tags.get("kind"), promoted.info.status
    if kind != "model" or status != "FINISHED":
        raise ValueError(
            f"run {run} is of kind {kind} and {status}; only a run of kind model that is FINISHED can be promoted: "
            "train the choices of a trial again, as the page of its sweep tells"
        )
    uri, client = model_uri(run), mlflow.MlflowClient()
    known = [each for each in client.search_model_versions(f"name = '{name}'") if each.run_id == run]
    with redirect_stderr(io.StringIO()):  # MLflow reports what the caller is told anyway
        version = known[0] if known else mlflow.register_model(uri, name)
    try:
        before = client.get_model_version_by_alias(name, alias)
    except MlflowException:
        before = None
    with whole_write():
        client.set_registered_model_alias(name, alias, version.version)
    replaced = _version(before) if before and before.version != version.version else None
    return _version(version), replaced


def _version(version: ModelVersion) -> Version:
    number, run = str(version.version), str(version.run_id)
    try:
        data = mlflow.get_run(run).data
    except MlflowException:
        return Version(number, run, {}, ())
    return Version(
        number, run, data.metrics, tuple(data.tags.get(tag) for tag in ("data_digest.dev", "evaluation_code"))
    )
