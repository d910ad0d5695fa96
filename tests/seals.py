"""Checksums of a detector's folder that a test has changed on purpose."""

import json
from pathlib import Path

from siamese.data.checked_folder import HEAD, SHA256, seal


def reseal(folder: Path) -> None:
    """Make the checksums those of the files that are there."""
    seal(folder, json.loads((folder / HEAD).read_text(encoding="utf-8")))


def unseal(folder: Path) -> None:
    """Make it a folder of the last format without checksums."""
    state = json.loads((folder / HEAD).read_text(encoding="utf-8"))
    del state[SHA256]
    version = 4 if (folder / "encoder.json").exists() else 3
    (folder / HEAD).write_text(json.dumps(state | {"format_version": version}), encoding="utf-8")
