"""Gzipped files: read as if they were not."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

MAGIC = b"\x1f\x8b"


def is_gzipped(file: Path) -> bool:
    """Whether a file is gzipped, by its first bytes."""
    with file.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it is gzipped.

    Raises:
        ValueError: the gzipped file is incomplete or damaged.
    """
    try:
        with cast(IO[bytes], gzip.open(file) if is_gzipped(file) else file.open("rb")) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(f"{file} is no whole gzip file: {problem}; fetch it again") from None
