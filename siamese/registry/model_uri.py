"""Model URI: the model of a run or of the registry, and its files on this machine."""

from pathlib import Path

import mlflow
import yaml
from mlflow.exceptions import MlflowException

from siamese.registry import latest

MODELS = "models:/"


def download(source: str) -> tuple[Path, str]:
    """The folder of a model and the id of its run; a model that lies on another machine is downloaded.

    `source` is a run id or a registry URI, such as models:/duplicate-questions@champion; ValueError if there is none.
    """
    uri = source if source.startswith(MODELS) else model_uri(source)
    try:
        folder = _moved(uri) or Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
        return folder, yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["run_id"]
    except (MlflowException, OSError) as problem:
        raise ValueError(f"cannot read the model {uri}: {problem}") from None


def champion_uri(model: str) -> str | None:
    """The URI of the champion of a registered model; None if there is none."""
    try:
        mlflow.MlflowClient().get_model_version_by_alias(model, "champion")
    except MlflowException:
        return None
    return f"{MODELS}{model}@champion"


def model_uri(run: str) -> str:
    """The URI of the model of a run; ValueError if there is no such run, or it has no model."""
    try:
        outputs = mlflow.get_run(run).outputs
    except MlflowException:
        raise ValueError(
            f"run={run} is no run of {mlflow.get_tracking_uri()}, no folder and no models:/ URI; "
            "the ids are in the MLflow UI (make ui)"
        ) from None
    if outputs is None or not outputs.model_outputs:
        raise ValueError(f"run {run} has no model; choose a finished run of kind 'model'")
    return f"{MODELS}{outputs.model_outputs[0].model_id}"


def _moved(uri: str) -> Path | None:
    """The folder of a model whose SQLite store was moved together with its files; None if nothing was moved.

    Raises:
        ValueError: the files are neither where the store says nor beside it.
    """
    client, model = mlflow.MlflowClient(), uri.removeprefix(MODELS)
    if "@" in model:
        uri = client.get_model_version_by_alias(*model.rsplit("@", 1)).source or ""
    elif "/" in model:
        uri = client.get_model_version(*model.rsplit("/", 1)).source or ""
    if not uri.startswith(f"{MODELS}m-"):
        return None
    location = client.get_logged_model(uri.removeprefix(MODELS)).artifact_location or ""
    if not location.startswith(("/", "file://")) or Path(location.removeprefix("file://")).is_dir():
        return None
    found = latest.moved(location, mlflow.get_tracking_uri())
    if not found.is_dir():
        raise ValueError(f"the files of the model {uri} are gone: there is no folder {found}")
    return found
