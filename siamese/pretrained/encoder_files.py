"""Files of sentence encoders: where they are, and whether they are those that they should be."""

import hashlib
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

ENCODER = "encoder"  # of a detector's folder: the files of an encoder that no package holds


def package_file(path: str, install: str) -> Path:
    """A file of an installed package, which is not imported.

    Args:
        path: "package/file".
        install: the command that brings the package, for the message.

    Raises:
        ValueError: it is not there.
    """
    package, _, file = path.partition("/")
    found = find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None or not (Path(found.origin).parent / file).is_file():
        raise ValueError(f"{path} is not installed: {install}")
    return Path(found.origin).parent / file


def digest_of(content: bytes) -> str:
    """The digest of a file's content, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def verify(name: str, files: Mapping[str, Path], given: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Raise ValueError where a file of an encoder has another SHA-256 than it should have."""
    for file, digest in expected.items():
        if given.get(file) != digest:
            raise ValueError(
                f"the {file} of {name} has the SHA-256 {given.get(file)}, expected {digest}: "
                f"{files.get(file, 'it')} is not the file that was tested; install the version that the project names"
            )


def cache_folder(cache: bool | str) -> Path | None:
    """Where vectors are kept.

    Args:
        cache: a folder; or true for the user's own, $XDG_CACHE_HOME/siamese or ~/.cache/siamese; or false for none.
    """
    if cache is True:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "siamese"
    return Path(cache).expanduser() if cache else None
