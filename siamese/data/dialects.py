"""Dialects: how a text file of rows is written. Delimiter and quoting are found from its content."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, TextIO, cast

from siamese.data.gzipped import opened

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
NO_DELIMITER = "\x1f"  # of a file with one column, in whose texts any other may occur
QUOTING = ("double", "none")
LONGEST_LINE = 2**26  # bytes; a small gzip file may hold a line that no memory does
SAMPLE = 200  # lines from which the delimiter is found
SEPARATOR_LINE = re.compile('"?sep=([^"\r\n])"?[\r\n]*')  # of Excel
WRAPPED = re.compile('"(?:[^"]|"")*"')
OPEN = re.compile('"(?:[^"]|"")*')  # a quote opens, and none closes


@dataclass(frozen=True)
class Reading:
    """How files are to be read, and where notes on what was found go.

    Attributes:
        encoding: one of Python's names; None to find it.
        quoting: "double" (a quoted field may hold delimiters, line breaks and doubled quotes), "none" (quotes are plain
            text, each line is a row), or None to find it.
        html: whether texts are HTML, of which what a browser shows is read; "auto" for columns that look so.
        tell: called with each note, a sentence.
        prefix: of the settings that give these, in messages.
    """

    encoding: str | None = None
    quoting: str | None = None
    html: str | bool = "auto"
    tell: Callable[[str], None] = lambda note: None
    prefix: str = "data."

    def __post_init__(self) -> None:
        if self.quoting not in (None, *QUOTING):
            raise ValueError(f"{self.prefix}quoting must be {', '.join(QUOTING)} or null, got {self.quoting!r}")
        if self.html not in (True, False, "auto"):
            raise ValueError(f"{self.prefix}html must be true, false or auto, got {self.html!r}")
        try:
            "".encode("utf-8" if self.encoding is None else self.encoding)
        except (LookupError, ValueError):  # no name of Python, or of an encoding that is none of texts, such as hex
            raise ValueError(
                f"{self.prefix}encoding must be a name that Python knows, such as utf-8, cp1252 or utf-16; got {self.encoding!r}"
            ) from None


USUAL = Reading()


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written.

    Attributes:
        delimiter: one character between two fields.
        quoted: whether quotes enclose fields; otherwise they are plain text.
        skipped: lines before the header, which are blank or name the delimiter.
    """

    delimiter: str
    quoted: bool
    skipped: int

    def options(self) -> dict[str, Any]:
        """The options of a strict `csv.reader`."""
        quoting = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        return {"delimiter": self.delimiter, "quoting": quoting, "strict": True}


@contextmanager
def opened_text(file: Path, encoding: str, newline: str = "", prefix: str = "data.") -> Iterator[TextIO]:
    """The lines of a file, gzipped or not, each with its end: \\n, \\r\\n or \\r, or `newline` alone.

    `prefix` as in `Reading`.

    Raises:
        ValueError: the file is not of this encoding (but bytes that are not UTF-8 become lone surrogates), or a line is longer
            than LONGEST_LINE.
    """
    utf8 = encoding.startswith("utf-8")
    with (
        opened(file) as stream,
        _LimitedLines(stream, file) as lines,
        io.TextIOWrapper(lines, encoding, "surrogateescape" if utf8 else "strict", newline=newline) as text,
    ):
        try:
            yield text
        except UnicodeError as problem:
            raise ValueError(f"{file} is not {encoding}: {problem}; name its encoding with {prefix}encoding=") from None


class _LimitedLines(io.BufferedReader):
    """The bytes of a file; a line of more than LONGEST_LINE bytes raises ValueError before it is in memory."""

    def __init__(self, stream: IO[bytes], file: Path):
        super().__init__(cast(io.RawIOBase, stream))
        self._file, self._length = file, 0

    def read1(self, size: int = -1, /) -> bytes:
        data = super().read1(size)
        self._length = 0 if b"\n" in data or b"\r" in data else self._length + len(data)
        if self._length > LONGEST_LINE:
            raise ValueError(f"{self._file} has a line of more than {LONGEST_LINE:,} bytes; break it")
        return data


def find_dialect(lines: TextIO, own: str, name: str, reading: Reading) -> Dialect:
    """The dialect of a delimited file, all of whose lines are read; a note says what is unusual.

    Args:
        lines: the file, from its start.
        own: the delimiter that the name of the file stands for: it is taken unless another fits better.
        name: of the file, for notes.
        reading: what is given, and where notes go.
    """
    blank, first = 0, list(islice(lines, 1))
    while first and first[0].isspace():
        blank, first = blank + 1, list(islice(lines, 1))
    given = SEPARATOR_LINE.fullmatch(first[0]) if first else None
    head = [*([] if given else first), *islice(lines, SAMPLE)]
    delimiter = given[1] if given else _delimiter(head, own)
    if delimiter == NO_DELIMITER and any(own in line and '"' not in line for line in head):
        reading.tell(f"{name} has one column, so {NAMES[own]} are part of its texts")
    elif delimiter not in (own, NO_DELIMITER):
        reading.tell(f"{name} has {NAMES.get(delimiter, repr(delimiter))} between its columns")
    skipped = blank + bool(given)
    if reading.quoting is not None:
        return Dialect(delimiter, reading.quoting == "double", skipped)
    plain = _first_plain_quote(head, lines, delimiter)
    if plain:
        reading.tell(
            f"{name} has quotes that enclose no field, first in line {plain + skipped}: all were read as plain text, each line "
            f"as a row; {reading.prefix}quoting=double reads them otherwise"
        )
    return Dialect(delimiter, not plain, skipped)


def _delimiter(head: Sequence[str], own: str) -> str:
    """The delimiter by which the most lines have as many fields as the header, or `NO_DELIMITER` if the header has one."""

    def width(line: str, delimiter: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=delimiter), []))
        except csv.Error:
            return 0

    def fit(delimiter: str) -> tuple[float, bool, int]:
        header, *rows = head
        columns = width(header, delimiter)
        fitting = [columns in (width(row, delimiter), row.count(delimiter) + 1) for row in rows if not row.isspace()]
        return sum(fitting) / max(len(fitting), 1), delimiter == own, columns

    several = [each for each in (own, *DELIMITERS) if head and width(head[0], each) > 1]
    return max(several, key=fit) if several else NO_DELIMITER


def _first_plain_quote(head: Sequence[str], others: Iterator[str], delimiter: str) -> int:
    """The first line, from 1, with a quote that cannot enclose a field, if the file has no quoting; else 0.

    Such a quote opens a field of its line and does not close it. That is also how a field with line breaks begins, but
    then the lines have not as many fields as the header, except by chance. As a text with commas has that chance, an
    open quote counts only between tabs. A file whose fields are quoted throughout, or that doubles quotes inside quotes,
    has quoting in spite of a broken row.
    """
    if not head:
        return 0
    width = head[0].count(delimiter) + 1
    first = plain = odd = wrapped = doubled = line_number = 0
    for line_number, line in enumerate(chain(head, others), start=1):
        if '"' not in line:
            odd += line.count(delimiter) + 1 != width and not line.isspace()
            continue
        fields = line.rstrip("\r\n").split(delimiter)
        fits = len(fields) == width
        odd += not fits
        for field in fields:
            if not field.startswith('"'):
                continue
            if WRAPPED.fullmatch(field):
                wrapped += 1
                doubled += '""' in field[1:-1]
            elif fits and (delimiter == "\t" or not OPEN.fullmatch(field)):
                plain += 1
                first = first or line_number
    return first if width > 1 and plain > max(odd, doubled) and 2 * wrapped < line_number else 0
