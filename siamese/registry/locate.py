"""Locate: the one way to find a trained model, whether it lies in a folder, a run, or the model registry.

The one order: the model that is asked for, else the registry's champion, else the plain training that finished last (no
cell of a study, a sweep or a `--multirun`). MLflow takes seconds to start and is imported only if neither a folder nor
`latest` answers.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from siamese.detector import Detector
from siamese.pretrained.encoders import Encoder
from siamese.registry import latest
from siamese.saved_detector import detector_folder

MODEL = "duplicate-questions"  # the registered model whose champion answers
ORIGIN = "origin.json"  # in the folder of a detector: what it was trained on, and when


@dataclass(frozen=True)
class Located:
    """A trained model.

    Attributes:
        source: what it was found by.
        folder: of its detector.
        run_id: None if only a folder is known.
        is_champion: whether it was found as the champion.
    """

    source: str
    folder: Path
    run_id: str | None
    is_champion: bool = False

    def __str__(self) -> str:
        """Which model it is, on what it was trained, and when."""
        try:
            origin = json.loads((self.folder / ORIGIN).read_text(encoding="utf-8"))
            trained = f", trained on {origin['data']}, {origin['finished']}"
        except (OSError, ValueError, KeyError, TypeError):
            trained = ""  # an older detector, or one that was never tracked
        champion = " (the champion)" if self.is_champion else ""
        return (f"run {self.run_id}" if self.run_id else self.source) + champion + trained


def locate(wanted: str | None, uri: str | None, experiment: str) -> Located:
    """Find a trained model, or raise ValueError.

    Args:
        wanted: a folder, a run id, a registry URI such as models:/duplicate-questions@champion, or None for the
            champion, or else the plain training that finished last.
        uri, experiment: of the tracking store.
    """
    if wanted is not None and Path(wanted).expanduser().is_dir():
        return Located(wanted, detector_folder(Path(wanted).expanduser()), None)
    if not uri:
        raise ValueError("tracking.uri is empty; give the address of a store, such as sqlite:///mlflow.db")
    if wanted is None:
        champion = latest.champion(uri, MODEL)
        run, folder = champion or latest.find(uri) or ("", None)
        if folder is not None and not folder.is_dir():
            raise ValueError(f"the files of the champion, run {run}, are gone: there is no folder {folder}")
        if folder is not None:
            return Located(run, detector_folder(folder), run, is_champion=bool(champion))
    if find_spec("mlflow") is None:
        found = f"{wanted} is no folder here" if wanted else f"no detector is noted beside {uri}"
        raise ValueError(
            f"{found}; give run=FOLDER, or install what reads a tracking store: pip install 'siamese[registry]'"
        )
    from siamese import tracking
    from siamese.registry.model_uri import champion_uri, download
    from siamese.tracking.queries import newest_model_run

    try:
        tracking.open_store(uri, experiment)
    except ValueError as problem:
        raise ValueError(f"run={wanted} is no folder, and {problem}" if wanted else str(problem)) from None
    promoted = None if wanted else champion_uri(MODEL)
    source = wanted or promoted or newest_model_run()
    folder, run_id = download(source)
    return Located(source, detector_folder(folder), run_id, is_champion=bool(promoted))


def load(
    wanted: str | None = None,
    uri: str = "sqlite:///mlflow.db",
    experiment: str = "duplicate-questions",
    *,
    encoder: str | Encoder | None = None,
) -> Detector:
    """The detector that `locate` finds: without arguments the champion, or else that of the training that finished last.

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
