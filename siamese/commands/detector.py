"""The detector that the settings of a program ask for."""

import sys
from typing import Any

from siamese.detector import Detector
from siamese.inference.runtime import import_plugins
from siamese.registry.locate import from_settings


def chosen(settings: dict[str, Any], show_threshold: bool = False) -> Detector:
    """The detector of `run`, with its threshold for `threshold` and `prior` if one of them is given.

    Args:
        settings: with run, plugins, threshold, prior, tracking.uri and tracking.experiment, as `command_line` gives them.
        show_threshold: whether to print on stderr what a threshold other than the trained one was chosen for.

    Raises:
        ValueError: there is no such detector, it cannot serve this criterion, or a plugin cannot be imported.
    """
    import_plugins(settings["plugins"])
    criterion = settings["threshold"], share(settings["prior"])
    detector = Detector.load(from_settings(settings).folder).at(*criterion)
    if show_threshold and criterion != (None, None):
        print(detector.threshold_note(), file=sys.stderr)
    return detector


def share(given: str | None) -> float | None:
    """The share of duplicates that the setting `prior` names, None where it names none.

    Raises:
        ValueError: it is no number.
    """
    try:
        return None if given is None else float(given)
    except ValueError:
        raise ValueError(f"prior must be a share of duplicates such as 0.01, got {given!r}") from None
