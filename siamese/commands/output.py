"""Output of programs: notes, tables, atomic files, and sockets of servers."""

import csv
import json
import socket
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from siamese.data.folders import WHOLE_FILE, atomic_file, naming_full_disk
from siamese.text.inputs import LEAST_KNOWN

if TYPE_CHECKING:
    from siamese.data.dialects import Reading
    from siamese.data.pairs import BadRow

TABLES = {".csv": "csv", ".jsonl": "jsonl"}  # format of a table, by the ending of its file


class TableWriter:
    """Writes rows as CSV under a header, or as one JSON object a line; None is an empty cell or null.

    Args:
        file: to write to.
        form: "csv" or "jsonl".
        columns: of the CSV, in order; None for those of the first row.
    """

    def __init__(self, file: TextIO, form: str, columns: Sequence[str] | None = None):
        self._file, self._as_json = file, form == "jsonl"
        self._csv = csv.DictWriter(file, columns or (), extrasaction="ignore", lineterminator="\n")
        if columns and not self._as_json:
            self._csv.writeheader()

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows and flush."""
        if self._as_json:
            self._file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        else:
            for row in rows:
                if not self._csv.fieldnames:
                    self._csv.fieldnames = list(row)
                    self._csv.writeheader()
                self._csv.writerow(row)
        self._file.flush()


@contextmanager
def destination(output: str | None) -> Iterator[TextIO]:
    """Standard output, or an atomic file."""
    if output:
        with atomic_file(output) as file:
            yield file
    else:
        with (
            naming_full_disk("standard output"),
            open(sys.stdout.fileno(), "w", closefd=False, **WHOLE_FILE) as file,
        ):
            yield file


def require_suffix(name: str, path: str | None, suffixes: Sequence[str]) -> None:
    """Raise ValueError unless the setting `name` is None or a path with one of these endings."""
    if path is not None and Path(path).suffix not in suffixes:
        raise ValueError(f"{name} must end in {' or '.join(suffixes)}, got {path}")


def shortest(values: np.ndarray) -> list[float]:
    """Numbers with as few digits as a float32 needs.

    >>> shortest(np.array([0.1, 1 / 3]))
    [0.1, 0.33333334]
    """
    return [float(str(value)) for value in values.astype(np.float32)]


def note(text: str) -> None:
    """Print a note on stderr."""
    print(f"note: {text}", file=sys.stderr)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print what the library warns of as notes."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        yield
    for each in told:
        note(str(each.message))


def reading(settings: Mapping[str, Any]) -> "Reading":
    """How a program reads its files: its settings encoding, quoting and html; notes go to stderr.

    Raises:
        ValueError: a setting has none of its values.
    """
    from siamese.data.dialects import Reading  # not needed for two questions

    html = {"true": True, "false": False}.get(settings["html"], settings["html"])
    return Reading(settings["encoding"], settings["quoting"], html, note, prefix="")


def note_bad_rows(path: str | Path, bad_rows: "Sequence[BadRow]") -> None:
    """Print how many rows of a file were left out, if any."""
    if bad_rows:
        note(f"{len(bad_rows):,} bad rows of {path} were left out; the first: {bad_rows[0]}")


def is_unread(known_words: float | None) -> bool:
    """Whether under half of the words of a question are known; False if the share is unknown."""
    return known_words is not None and known_words < LEAST_KNOWN


def read_sentence(known_words: Sequence[float | None], cut: int) -> str:
    """How much of some questions was read, to follow their verdict; "" if all was, or the share is unknown.

    >>> read_sentence([1.0, 0.333], 1), read_sentence([1.0, None], 0)
    (', known words 100%, 33%, 1 cut', '')
    """
    partly = any(share is not None and share < 1 for share in known_words)
    shares = ", ".join("not told" if share is None else f"{share:.0%}" for share in known_words)
    return (f", known words {shares}" if partly else "") + (f", {cut} cut" if cut else "")


def note_coverage(questions: int, unread: int, cut: int, place: str = "") -> None:
    """Print how many questions a model hardly reads, and how many in part, if any; `place` follows the word questions."""
    if unread:
        note(
            f"of {unread:,} of {questions:,} questions{place} the model knows under half of the words; what it says of them is "
            "a guess"
        )
    if cut:
        note(f"{cut:,} of {questions:,} questions{place} are longer than the model reads; their ends are not compared")


def listen(host: str, port: int, backlog: int | None = None, reuse_port: bool = False) -> socket.socket:
    """A socket that accepts connections from now on; with `reuse_port` others may share the port.

    Raises:
        ValueError: the port is taken or out of range, or the host is not one of this machine.
    """
    try:
        return socket.create_server((host, port), backlog=backlog, reuse_port=reuse_port)
    except (OSError, OverflowError) as problem:
        said = f"cannot listen on {host}, port {port}: {problem}; give another port, such as port=5004"
        raise ValueError(said) from None
