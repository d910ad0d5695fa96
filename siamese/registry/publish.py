"""Publish: log a trained detector to its run in MLflow, and promote it in the model registry."""

import importlib.metadata
import io
import json
import shutil
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path

from siamese.detector import Detector
from siamese.registry import latest, model_card
from siamese.registry.locate import ORIGIN
from siamese.registry.model_uri import MODELS, model_uri
from siamese.serving.mlflow_table import SIGNATURE
from siamese.tracking import defer_interrupts, metrics_version, patient, writing
from siamese.tracking.queries import tracked

if TYPE_CHECKING:
    import keras

SERVING_WINGS = (
    "data",
    "evaluation",
    "inference",
    "model",
    "pretrained",
    "serving",
    "text",
)  # that a logged model imports
SERVING_PACKAGES = ("mlflow", "numpy", "pandas", "threadpoolctl", "tokenizers")
KERAS_PACKAGES = ("keras", "tensorflow")  # that a detector needs too if it answers through Keras


@writing
def log_detector(
    detector: Detector, network: "keras.Model", example: list[tuple[str, str]], card: str, data: str
) -> None:
    """Log a detector as a model that `mlflow.pyfunc` loads and serves, and its card also as an artifact of the run.

    Its Keras network is saved beside it, and the name of its data. The example is a few pairs of questions; the card is
    Markdown.
    """
    packages = (*SERVING_PACKAGES, *KERAS_PACKAGES) if detector.network.name == "keras" else SERVING_PACKAGES
    frame = pd.DataFrame(example, columns=["question1", "question2"])
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "detector", network)
        (Path(folder) / "detector" / model_card.FILE).write_text(card, encoding="utf-8")
        origin = {"data": data, "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
        (Path(folder) / "detector" / ORIGIN).write_text(json.dumps(origin) + "\n", encoding="utf-8")
        mlflow.log_text(card, model_card.FILE)
        package = Path(folder) / "siamese"
        _copy_serving_code(package, with_encoder=bool(detector.vectorizer.requirements))
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(package / "serving" / "mlflow_model.py"),
            artifacts={"detector": str(Path(folder) / "detector")},
            code_paths=[str(package)],
            signature=SIGNATURE,
            input_example=frame,
            pip_requirements=[
                *(f"{name}=={importlib.metadata.version(name)}" for name in packages),
                *detector.vectorizer.requirements,
            ],
        )


def _copy_serving_code(package: Path, with_encoder: bool) -> None:
    """Copy the files that a logged model needs: neither corpora and tables, which are 16 MB, nor code that trains."""
    source = Path(__file__).parents[1]
    for file in [
        *source.glob("*.py"),
        *((source / "pretrained").glob("*/*.gz") if with_encoder else ()),
        *(file for wing in SERVING_WINGS for file in (source / wing).rglob("*.py")),
    ]:
        copy = package / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


@patient
def note_newest(run: str) -> None:
    """Record the detector of a finished run as the latest, if its files are on this machine."""
    location = mlflow.get_logged_model(model_uri(run).removeprefix(MODELS)).artifact_location
    folder = Path(local_file_uri_to_path(location))
    if folder.is_dir():
        latest.note(mlflow.get_tracking_uri(), run, folder)


@dataclass(frozen=True)
class Version:
    """A version of a registered model: its number, the run, and the run's metrics, empty if it is deleted.

    Versions with the same `measured_by`, digest of the dev pairs and version of the metrics, are comparable.
    """

    number: str
    run: str
    metrics: dict[str, float]
    measured_by: tuple[str | None, ...]


def promote(run: str, name: str, alias: str) -> tuple[Version, Version | None]:
    """Give the model of a run an alias in the registry; it becomes a new version unless it is one already.

    Args:
        run: id of a finished run of kind "model"; ValueError for another, or where dev has one class.
        name: of the registered model, created if it does not exist.
        alias: such as champion; models:/NAME@ALIAS then means this model.

    Returns:
        The version that has the alias now, and the one that had it before, or None.
    """
    promoted = tracked(run)
    kind = promoted.tags.get("kind")
    if kind != "model" or promoted.status != "FINISHED":
        raise ValueError(
            f"run {run} is of kind {kind} and {promoted.status}; only a run of kind model that is FINISHED can be promoted: "
            "a trial keeps no model: train its settings again with the command on the page of its sweep"
        )
    uri, client = model_uri(run), mlflow.MlflowClient()
    if "dev/roc_auc" not in promoted.metrics or promoted.metrics.get("data/dev_duplicate_share") in (0.0, 1.0):
        raise ValueError(
            f"run {run} has no ROC AUC on dev, whose pairs have one label only, so its threshold and probabilities mean nothing; "
            "train with dev pairs of both kinds and promote that run"
        )
    known = [each for each in client.search_model_versions(f"name = '{name}'") if each.run_id == run]
    with redirect_stderr(io.StringIO()):  # the caller reports the same
        version = known[0] if known else mlflow.register_model(uri, name)
    try:
        before = client.get_model_version_by_alias(name, alias)
    except MlflowException:
        before = None
    with defer_interrupts():
        client.set_registered_model_alias(name, alias, version.version)
    replaced = _version(before) if before and before.version != version.version else None
    return _version(version), replaced


def _version(version: ModelVersion) -> Version:
    number, run = str(version.version), str(version.run_id)
    try:
        found = tracked(run)
    except ValueError:
        return Version(number, run, {}, ())
    return Version(number, run, found.metrics, (found.tags.get("data_digest.dev"), metrics_version(found.tags)))
