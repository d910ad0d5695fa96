"""Tables in CSV, TSV, JSONL and Parquet, each also gzipped, read in blocks: some columns and the unreadable rows."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from siamese.data import markup
from siamese.data.blocks import WHOLE_ROW, Table, bad_row, require_columns
from siamese.data.dialects import USUAL, Reading, find_dialect, opened_text
from siamese.data.encodings import find_encoding
from siamese.data.gzipped import opened
from siamese.data.parquet_blocks import opened_parquet, parquet_blocks
from siamese.data.questions import UNDECODABLE
from siamese.data.records_of_lines import json_object, read_records

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}  # unless another fits better
JSONL = (".jsonl", ".ndjson")
PARQUET = ".parquet"
FORMATS = (*DELIMITERS, *JSONL, PARQUET)
PACKED = ".gz"
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
OF_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # first bytes, whatever the name
CHARACTERS = 2**21  # of a block of lines, or one line


class TableFile:
    """A file of rows; its suffix determines the format, its content how that is written.

    Text files are UTF-8, UTF-16, cp1252 or Latin-1. In delimited files a quoted field may hold line breaks and doubled
    quotes. After a broken record, reading resumes at the line after its first, so that an unclosed quote costs one row.
    Blank lines are ignored. Any file may be gzipped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the suffix is unknown, or the file is empty or not of its format.

    Attributes:
        name: the path as it was given.
        columns: their names, as often as the file has them; in JSONL those of the first record.
        tell: called with each note on what was found.
    """

    def __init__(self, path: str | Path, reading: Reading = USUAL):
        self.name = str(path)
        self._file, self._suffix = _known_file(path)
        self.tell = reading.tell
        self._reading = reading
        self._is_html: dict[str, bool] = {}  # by column; of "auto", as its first block looks
        if self._suffix == PARQUET:
            with opened_parquet(self._file, self.name) as parquet:
                self.columns = parquet.schema_arrow.names
            return
        self._encoding = find_encoding(self._file, self.name, reading)
        if self._suffix in JSONL:
            self.columns = self._first_keys()
            return
        with self._lines() as lines:
            self._dialect = find_dialect(lines, DELIMITERS[self._suffix], self.name, reading)
        with self._lines() as lines:
            self.columns = self._header(lines)[0]

    def distinct_columns(self) -> list[str]:
        """The names of the columns, each once; a note names those that are repeated, of which the first is read."""
        repeated = [name for name, count in Counter(self.columns).items() if count > 1]
        if repeated:
            names = ", ".join(map(repr, repeated))
            self.tell(f"{self.name} has several columns of one name, of which the first is read: {names}")
        return list(dict.fromkeys(self.columns))

    def blocks(self, columns: Sequence[str]) -> Iterator[Table]:
        """The named columns, block by block, of a repeated one the first; ValueError if the file lacks one, or has no rows."""
        if self._suffix == PARQUET:
            blocks = parquet_blocks(self._file, self.name, columns)
        else:
            blocks = self._jsonl_blocks(columns) if self._suffix in JSONL else self._delimited_blocks(columns)
        has_rows = False
        for table in blocks:
            has_rows = has_rows or bool(table.rows or table.bad_rows)
            yield table
        if not has_rows:
            raise ValueError(f"{self.name} has no rows")

    def show_html(self, table: Table, columns: Sequence[str]) -> None:
        """Replace HTML by what a browser shows of it in the first columns of a block, if `Reading.html` asks for it."""
        for index, column in enumerate(columns):
            values = table.values[index]
            if column not in self._is_html:
                wanted = self._reading.html
                self._is_html[column] = markup.is_html(values) if wanted == "auto" else bool(wanted)
                if self._is_html[column] and wanted == "auto":
                    self.tell(
                        f"{self.name}: column {column!r} holds HTML and is read as a browser shows it, without tags and entities "
                        f"({self._reading.prefix}html=false reads it as it is)"
                    )
            if self._is_html[column]:
                table.values[index] = [markup.shown(each) if isinstance(each, str) else each for each in values]

    def count_rows(self) -> int:
        """The approximate number of rows: exact for Parquet, elsewhere the number of lines."""
        if self._suffix == PARQUET:
            with opened_parquet(self._file, self.name) as parquet:
                return parquet.metadata.num_rows
        with opened(self._file) as data:
            return sum(block.count(b"\n") for block in iter(lambda: data.read(2**20), b""))

    def _lines(self) -> AbstractContextManager[TextIO]:
        return opened_text(self._file, self._encoding, prefix=self._reading.prefix)

    def _header(self, lines: TextIO) -> tuple[list[str], int]:
        """The fields of the header, and the number of lines up to its end."""
        lines_before = sum(1 for _ in islice(lines, self._dialect.skipped))
        reader = csv.reader(lines, **self._dialect.options())
        try:
            header: list[str] = next(reader, [])
        except csv.Error as error:
            raise ValueError(f"{self.name} has broken quoting in its header: {error}") from error
        if any(UNDECODABLE.search(column) for column in header):
            raise ValueError(f"{self.name} is not UTF-8 (its header cannot be decoded); save it as UTF-8")
        return header, lines_before + reader.line_num

    def _delimited_blocks(self, columns: Sequence[str]) -> Iterator[Table]:
        spanning: list[tuple[int, int]] = []
        with self._lines() as stream:
            header, before = self._header(stream)  # lines of the file before the first of `lines`
            require_columns(columns, header, self.name)
            first = {column: index for index, column in reversed(list(enumerate(header)))}
            lines: list[str] = []
            at_end = False
            while not at_end:
                # what an open quote begins is read again: twice as far each time
                fresh = stream.readlines(max(CHARACTERS, sum(map(len, lines))))
                lines, at_end = lines + fresh, not fresh
                table = Table(self.name, [])
                records, done = read_records(lines, self._dialect, len(header), before, at_end, table, spanning)
                table.values = [list(map(itemgetter(first[column]), records)) for column in columns]
                yield table
                before += done
                del lines[:done]
        if spanning:
            begin, end = spanning[0]
            self.tell(
                f"{self.name} has {len(spanning):,} rows of several lines, the first in lines {begin} to {end}, where a "
                f"quote opens; if quotes are plain text in this file, set {self._reading.prefix}quoting=none"
            )

    def _first_keys(self) -> list[str]:
        with self._lines() as lines:
            for line in lines:
                with suppress(ValueError):
                    return list(json_object(line))
        return []

    def _jsonl_blocks(self, columns: Sequence[str]) -> Iterator[Table]:
        known: dict[str, None] = {}
        any_record = False
        with self._lines() as stream:
            before = 0
            while block := stream.readlines(CHARACTERS):
                table = Table(self.name, [[] for _ in columns])
                for row, line in enumerate(block, start=before + 1):
                    if line.isspace():
                        continue
                    try:
                        record = json_object(line)
                    except ValueError as problem:
                        table.bad_rows.append(bad_row(self.name, row, WHOLE_ROW, line, str(problem)))
                        continue
                    known.update(dict.fromkeys(record))
                    table.rows.append(row)
                    for values, column in zip(table.values, columns, strict=True):
                        values.append(record.get(column))
                any_record = any_record or bool(table.rows)
                before += len(block)
                yield table
        if any_record:
            require_columns(columns, list(known), self.name)


def _known_file(path: str | Path) -> tuple[Path, str]:
    """An existing, non-empty file and its suffix, which determines the format."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    suffix = Path(file.name.lower().removesuffix(PACKED)).suffix
    with file.open("rb") as stream:
        head = stream.read(4)
    if suffix in SPREADSHEETS or (suffix in DELIMITERS and head in OF_SPREADSHEETS):
        raise ValueError(
            f"{path} is a spreadsheet; save it as a CSV file and give that (Excel: File, Save As, CSV UTF-8; one sheet)"
        )
    if suffix not in FORMATS:
        raise ValueError(
            f"{path} must end in one of {', '.join(FORMATS)}, perhaps with {PACKED} behind it, which determines the format; "
            f"got {suffix!r}"
        )
    if not head:
        raise ValueError(f"{path} is empty")
    return file, suffix
