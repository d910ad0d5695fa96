"""Saved detector: its folder is written whole, and read only if it is whole.

`detector.json` notes the SHA-256 of every file, and of what it says itself. Loading compares them with what is read, takes only
ordinary files, and refuses settings out of their range in a line that names the file. So a copy that broke off, a damaged disk
and a hand that slipped are found. It is no signature: whoever can change the folder can change the checksums with it, so take
a folder only from whom you trust to say what a duplicate is. Even then loading it runs no code and unpickles nothing.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from siamese.data.checked_folder import HEAD, CheckedFolder, seal
from siamese.data.folders import atomic_folder
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores, parse_criterion
from siamese.inference.load import load_network
from siamese.inference.runtime import FILES, Runtime
from siamese.pretrained import encoders
from siamese.pretrained.joined import AnyVectorizer, JoinedVectorizer
from siamese.pretrained.vectorizer import EncoderVectorizer
from siamese.text import vectorizer as words
from siamese.text.vectorizer import Vectorizer

FORMAT_VERSION = 5
WITHOUT_CHECKSUMS = 4  # and below it
WITHOUT_ENCODER = 3
OLDEST_FORMAT = 2  # without dev scores: its threshold cannot be chosen anew
DEV_SCORES = "dev_scores.npz"
CRITERION_ON_DISK = "purpose"  # of Calibration's field
HIGHEST_THRESHOLD = 1 + 1e-5  # that no similarity reaches
NO_CHECKSUMS = (
    "{} was saved without checksums, by an older version, so that a damaged file may go unnoticed; Detector.load(…).save(…) "
    "writes it anew, with them"
)


@dataclass(frozen=True)
class SavedDetector:
    """The parts of a detector that its folder holds."""

    network: Runtime
    vectorizer: AnyVectorizer
    calibration: Calibration
    dev: DevScores | None


def detector_folder(folder: Path) -> Path:
    """The detector's own folder: `folder` itself, or the one inside an MLflow model that keeps a detector."""
    inside = folder / "artifacts" / "detector"
    return inside if inside.is_dir() else folder


@contextmanager
def writing(folder: Path, runtime: str, calibration: Calibration, dev: DevScores | None) -> Iterator[Path]:
    """An empty folder for the files of network and vectorizer, which becomes `folder` when the block ends, with all the rest.

    An older detector there is replaced; ValueError if the folder holds something else.
    """
    fields = {CRITERION_ON_DISK if name == "criterion" else name: value for name, value in asdict(calibration).items()}
    state = {"format_version": FORMAT_VERSION, "runtime": runtime, "calibration": fields}
    with atomic_folder(folder, lambda old: (old / HEAD).is_file()) as new:
        yield new
        if dev is not None:
            dev.save(new / DEV_SCORES)
        seal(new, state | {"dev": None if dev is None else dev.counts()})


def read(folder: Path) -> SavedDetector:
    """What `writing` wrote; warns the caller's caller of a format without checksums.

    Raises:
        ValueError: there is no detector of this format, a file is not whole or out of its range, the files do not fit together,
            or the network's layers are not imported.
    """
    state, checked = _head(folder)
    runtime, dev, calibration = state.get("runtime", "numpy"), None, _calibration(folder, state)
    if not isinstance(runtime, str) or runtime not in FILES:
        raise ValueError(f"{folder / HEAD}: runtime must be one of {', '.join(FILES)}, got {runtime!r}")
    with_encoder = (
        encoders.FILE in (checked.sha256 or ()) or WITHOUT_ENCODER < state["format_version"] <= WITHOUT_CHECKSUMS
    )
    with_words = not with_encoder or words.FILE in (checked.sha256 or ())
    files = [encoders.FILE] * with_encoder + [words.FILE] * with_words + list(FILES[runtime])
    files += [] if state.get("dev") is None else [DEV_SCORES]
    missing = [name for name in files if not checked.has(name)]
    if missing:
        raise ValueError(f"{folder} is not a saved detector: it has no {', '.join(missing)}")
    if state.get("dev") is not None:
        dev = DevScores.load(checked, DEV_SCORES)
        if dev.counts() != state["dev"]:
            raise ValueError(
                f"the files of {folder} do not belong together: {HEAD} counts {state['dev']}, {DEV_SCORES} {dev.counts()}"
            )
    network = load_network(runtime, checked)
    kind = (JoinedVectorizer if with_words else EncoderVectorizer) if with_encoder else Vectorizer
    vectorizer: AnyVectorizer = kind.load(checked)
    if vectorizer.size != network.vocabulary:
        raise ValueError(
            f"the files of {folder} do not belong together: the vectorizer has {vectorizer.size} token ids, "
            f"but the network {network.vocabulary}"
        )
    if isinstance(vectorizer, JoinedVectorizer) and vectorizer.encoder.dimension != network.vector_width:
        raise ValueError(
            f"the files of {folder} do not belong together: the vectors of {vectorizer.encoder.name} have "
            f"{vectorizer.encoder.dimension} numbers, but the network reads {network.vector_width}"
        )
    if checked.sha256 is None:
        warnings.warn(NO_CHECKSUMS.format(folder), stacklevel=3)
    return SavedDetector(network, vectorizer, calibration, dev)


def _head(folder: Path) -> tuple[dict[str, Any], CheckedFolder]:
    """What `detector.json` says, if its format can be read and it is whole, and the folder with its checksums."""
    if not CheckedFolder(folder).has(HEAD):
        raise ValueError(f"{folder} is not a saved detector: it has no {HEAD}")
    checked = CheckedFolder.of(folder)
    state = checked.json(HEAD)
    version = state.get("format_version")
    # the format comes first: another one may have other files
    if type(version) is not int or not OLDEST_FORMAT <= version <= FORMAT_VERSION:
        is_newer = type(version) is int and version > FORMAT_VERSION
        raise ValueError(
            f"{folder / HEAD} has format {version!r}, this program reads formats {OLDEST_FORMAT} to {FORMAT_VERSION}; "
            + ("use a newer version of the project" if is_newer else "train again")
        )
    if version > WITHOUT_CHECKSUMS and checked.sha256 is None:
        raise ValueError(f"{folder / HEAD} has lost its checksums; copy the folder again, or train again")
    return state, checked


def _calibration(folder: Path, state: dict[str, Any]) -> Calibration:
    """The calibration, if each number is in its range."""
    try:
        fields = state["calibration"].items()
        found = Calibration(**{"criterion" if name == CRITERION_ON_DISK else name: value for name, value in fields})
        numbers: dict[str, tuple[float, float, float]] = {
            "threshold": (found.threshold, 0.0, HIGHEST_THRESHOLD),
            "temperature": (found.temperature, math.ulp(0.0), math.inf),
            "offset": (found.offset, -math.inf, math.inf),
        }
        shares = {"prior": found.prior, "precision": found.precision, "recall": found.recall}
        numbers |= {name: (share, 0.0, 1.0) for name, share in shares.items() if share is not None}
        for name, (value, least, most) in numbers.items():
            unknown = name == "threshold" and math.isnan(value)  # of an encoder that nothing was chosen for
            if isinstance(value, bool) or not (least <= value <= most or unknown) or math.isinf(value):
                raise ValueError(f"{name} must lie in [{least}, {most}], got {value!r}")
        if found.criterion is not None:
            parse_criterion(found.criterion)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        printable = str(problem).encode("utf-8", "backslashreplace").decode("utf-8")
        raise ValueError(f"{folder / HEAD} holds no calibration: {printable}") from None
    return found
