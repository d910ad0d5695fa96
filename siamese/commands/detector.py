"""The detector that the settings of a program ask for."""

import sys
from typing import Any

from siamese.detector import Detector
from siamese.inference.runtime import import_plugins
from siamese.registry.locate import Located, from_settings


def chosen(settings: dict[str, Any], show_threshold: bool = False) -> Detector:
    """The detector that a program's settings name, with the threshold for `threshold` and `prior` if they are given.

    If `show_threshold`, a note on stderr says for what a threshold other than the trained one was chosen.

    Raises:
        ValueError: there is no such detector, it cannot serve this criterion, or a plugin cannot be imported.
    """
    wanted = criterion(settings)
    detector = load(settings)[1].at(*wanted)
    if show_threshold and wanted != (None, None):
        print(detector.threshold_note(), file=sys.stderr)
    return detector


def load(settings: dict[str, Any]) -> tuple[Located, Detector]:
    """The trained model that the settings name, and its detector, loaded after its plugins."""
    import_plugins(settings["plugins"])
    found = from_settings(settings)
    return found, Detector.load(found.folder)


def criterion(settings: dict[str, Any]) -> tuple[str | None, float | None]:
    """The settings threshold and prior, or None where they are not given.

    Raises:
        ValueError: prior is no number.
    """
    prior = settings["prior"]
    try:
        return settings["threshold"], None if prior is None else float(prior)
    except ValueError:
        raise ValueError(f"prior must be a share of duplicates such as 0.01, got {prior!r}") from None
