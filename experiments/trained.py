"""Trained: the detector that the settings of a program name."""

import sys
from pathlib import Path
from typing import Any

from siamese import newest
from siamese.detector import Detector


def chosen(settings: dict[str, Any], tell: bool = False) -> Detector:
    """The detector of `run`, with its threshold for `threshold` and `prior` if one of them is given.

    Args:
        settings: with run, threshold, prior, tracking.uri and tracking.experiment, as `command_line` gives them.
        tell: whether to say on stderr what another threshold was chosen for.

    Raises:
        ValueError: there is no such detector, or it cannot serve this purpose.
    """
    purpose = settings["threshold"], share(settings["prior"])
    detector = load(settings["run"], settings["tracking.uri"], settings["tracking.experiment"]).at(*purpose)
    if tell and purpose != (None, None):
        print(detector.threshold_note(), file=sys.stderr)
    return detector


def load(wanted: str | None, uri: str | None, experiment: str) -> Detector:
    """The detector of a folder, of a run or a registry URI of a tracking store, or (None) its newest one."""
    if uri is None:
        raise ValueError("tracking.uri is empty; give the address of a store, such as sqlite:///mlflow.db")
    if wanted is None:
        noted = newest.find(uri)
        if noted is not None:
            return Detector.load(noted[1])
    elif Path(wanted).expanduser().is_dir():
        return Detector.load(wanted)
    from siamese import model_store, tracking  # they start MLflow, which takes seconds

    tracking.connect(uri, experiment)
    return model_store.load_detector(wanted)[0]


def share(given: str | None) -> float | None:
    """The share of duplicates that `prior` names, None where it names none.

    Raises:
        ValueError: it is no number.
    """
    try:
        return None if given is None else float(given)
    except ValueError:
        raise ValueError(f"prior must be a share of duplicates such as 0.01, got {given!r}") from None
