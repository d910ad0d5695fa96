"""Locate: the one way to find a trained model, whether it lies in a folder, a run, or the model registry.

MLflow takes seconds to start and is imported only if a folder or the file of `latest` does not answer.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from siamese.detector import Detector, detector_folder
from siamese.pretrained.encoders import Encoder
from siamese.registry import latest


@dataclass(frozen=True)
class Located:
    """A trained model: what it was found by, the folder of its detector, and its run; None if only a folder is known."""

    source: str
    folder: Path
    run_id: str | None


def locate(wanted: str | None, uri: str | None, experiment: str) -> Located:
    """Find a trained model, or raise ValueError.

    Args:
        wanted: a folder, a run id, a registry URI such as models:/duplicate-questions@champion, or None for the
            training that finished last.
        uri, experiment: of the tracking store.
    """
    if wanted is not None and Path(wanted).expanduser().is_dir():
        return Located(wanted, detector_folder(Path(wanted).expanduser()), None)
    if not uri:
        raise ValueError("tracking.uri is empty; give the address of a store, such as sqlite:///mlflow.db")
    newest = latest.find(uri) if wanted is None else None
    if newest is not None:
        return Located(newest[0], detector_folder(newest[1]), newest[0])
    if find_spec("mlflow") is None:
        found = f"{wanted} is no folder here" if wanted else f"no detector is noted beside {uri}"
        raise ValueError(
            f"{found}; give run=FOLDER, or install what reads a tracking store: pip install 'siamese[serve]'"
        )
    from siamese import tracking
    from siamese.registry.model_uri import download
    from siamese.tracking.queries import newest_model_run

    tracking.connect(uri, experiment)
    source = wanted or newest_model_run()
    folder, run_id = download(source)
    return Located(source, detector_folder(folder), run_id)


def load(
    wanted: str | None = None,
    uri: str = "sqlite:///mlflow.db",
    experiment: str = "duplicate-questions",
    *,
    encoder: str | Encoder | None = None,
) -> Detector:
    """The detector that `locate` finds: without arguments that of the training that finished last.

    Arguments and errors as in `locate`; the defaults are those of the programs. With `encoder` the detector of a sentence
    encoder without any training, see `Detector.from_encoder`.
    """
    if encoder is not None:
        if wanted is not None:
            raise ValueError(f"give a trained model or an encoder, not both; got {wanted} and {encoder}")
        return Detector.from_encoder(encoder)
    return Detector.load(locate(wanted, uri, experiment).folder)


def from_settings(settings: dict[str, Any]) -> Located:
    """The model that the settings run, tracking.uri and tracking.experiment of a program name."""
    return locate(settings["run"], settings["tracking.uri"], settings["tracking.experiment"])
