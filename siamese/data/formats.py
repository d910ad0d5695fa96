"""Tables in CSV, TSV, JSONL and Parquet, each also gzipped, read in blocks: some columns and the unreadable rows."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from siamese.data import markup
from siamese.data.dialects import USUAL, Dialect, Reading, find_dialect, find_encoding, opened_text
from siamese.data.gzipped import is_gzipped, opened
from siamese.data.pairs import BadRow
from siamese.data.questions import LONGEST, UNDECODABLE

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}  # unless another fits better
JSONL = (".jsonl", ".ndjson")
PARQUET = ".parquet"
FORMATS = (*DELIMITERS, *JSONL, PARQUET)
PACKED = ".gz"
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
OF_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # first bytes, whatever the name
UNREADABLE = object()  # a value of Parquet that Python cannot hold
WHOLE_ROW = "(whole row)"  # the column of a problem that concerns the row as a whole
BLOCK = 2**15  # rows of Parquet that are Python objects at the same time
CHARACTERS = 2**21  # in other files, or one line
LISTED = 50  # columns that a message names
SHOWN = 80  # characters of a bad value that a message shows
LARGEST_COLUMN = 2**28  # bytes of a block: above, a long text is in memory once, however many rows share it
LARGEST_UNPACKED = 2**28  # bytes of a gzipped Parquet file, which has to be in memory
LONGEST_FIELD = 2**24  # characters; an unclosed quote ends there, so that it cannot hold a whole file in memory

csv.field_size_limit(LONGEST_FIELD)


@dataclass
class Table:
    """Some columns of a block of rows, unchanged.

    Attributes:
        file: the path as it was given.
        values: a list for each requested column; str from CSV and TSV, any JSON or Parquet value otherwise.
        rows: the physical line, from 1, at which each row starts; in Parquet its position from 1.
        bad_rows: the rows that could not be read, in the order of the file.
    """

    file: str
    values: list[list[Any]]
    rows: list[int] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)


def bad_row(file: str, row: int, column: str, found: object, problem: str) -> BadRow:
    """A BadRow whose `found` is short and printable."""
    shown = (
        "" if found is None else UNDECODABLE.sub("\N{REPLACEMENT CHARACTER}", str(found)[: SHOWN + 2].rstrip("\r\n"))
    )
    return BadRow(file, row, column, shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…", problem)


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
            with self._parquet() as parquet:
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
        read = self._parquet_blocks if self._suffix == PARQUET else self._delimited_blocks
        has_rows = False
        for table in self._jsonl_blocks(columns) if self._suffix in JSONL else read(columns):
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
            with self._parquet() as parquet:
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
            _require(columns, header, self.name)
            first = {column: index for index, column in reversed(list(enumerate(header)))}
            lines: list[str] = []
            at_end = False
            while not at_end:
                # what an open quote begins is read again: twice as far each time
                fresh = stream.readlines(max(CHARACTERS, sum(map(len, lines))))
                lines, at_end = lines + fresh, not fresh
                table = Table(self.name, [])
                records, done = _read_records(lines, self._dialect, len(header), before, at_end, table, spanning)
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
            _require(columns, list(known), self.name)

    @contextmanager
    def _parquet(self) -> Iterator["parquet.ParquetFile"]:
        import pyarrow as pa
        from pyarrow import ArrowException, parquet

        with opened(self._file) as stream:
            whole = stream
            if is_gzipped(self._file):
                whole = BytesIO(stream.read(LARGEST_UNPACKED + 1))
                if whole.getbuffer().nbytes > LARGEST_UNPACKED:
                    raise ValueError(
                        f"{self.name} unpacks to more than {LARGEST_UNPACKED:,} bytes; give the unpacked file"
                    )
            try:
                columns = parquet.read_schema(whole)
                texts = [each.name for each in columns if each.type in (pa.string(), pa.large_string())]
                yield parquet.ParquetFile(whole, read_dictionary=texts)
            except (ArrowException, OSError, UnicodeDecodeError) as error:
                problem = " ".join(str(error).split())
                raise ValueError(f"{self.name} is not a Parquet file, or is damaged: {problem}") from error

    def _parquet_blocks(self, columns: Sequence[str]) -> Iterator[Table]:
        with self._parquet() as parquet:
            _require(columns, parquet.schema_arrow.names, self.name)
            first = 1
            for batch in parquet.iter_batches(BLOCK, columns=list(columns)):
                names, last = batch.schema.names, first + batch.num_rows
                values = [_python_values(batch.column(names.index(column))) for column in columns]
                table = Table(self.name, values, list(range(first, last)))
                _take_out_unreadable(table, columns)
                yield table
                first = last


def json_object(line: str) -> dict[str, Any]:
    """The object of a line of JSONL; a ValueError says why it is none, without the line."""
    try:
        record = json.loads(line, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON, {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists nested too deeply
        raise ValueError(f"unreadable JSON, {error}") from None
    if not isinstance(record, dict):
        raise ValueError("a JSON object is expected")
    keys = "".join(record)
    if not keys.isascii() and UNDECODABLE.search(keys):
        raise ValueError("a key is not UTF-8")
    return record


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        key = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {key!r} occurs twice")
    return record


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


def _read_records(
    lines: list[str],
    dialect: Dialect,
    width: int,
    before: int,
    at_end: bool,
    table: Table,
    spanning: list[tuple[int, int]],
) -> tuple[list[list[str]], int]:
    """The records of `width` fields in `lines`, and the number of their lines; adds rows and bad rows to `table`.

    The first and the last line of each record of several lines are added to `spanning`.

    The remaining lines (none at the end of the file) begin a record that further lines may complete.
    """
    records, start = list[list[str]](), 0
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), **dialect.options())
        done, problem = 0, ""  # lines of this reader that belong to finished records
        try:
            for fields in reader:
                if len(fields) == width:
                    table.rows.append(before + start + done + 1)
                    records.append(fields)
                    if reader.line_num > done + 1:
                        spanning.append((before + start + done + 1, before + start + reader.line_num))
                elif fields:
                    problem = f"it has {len(fields)} columns, the header has {width}"
                    break
                done = reader.line_num
        except csv.Error:
            if start + reader.line_num == len(lines) and not at_end:
                return records, start + done
            problem = "broken quoting; quote the whole field and double each quote inside it"
        if not problem:
            break
        table.bad_rows.append(bad_row(table.file, before + start + done + 1, WHOLE_ROW, lines[start + done], problem))
        start += done + 1
    return records, len(lines)


def _python_values(column: "pa.Array") -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        if column.dictionary.nbytes * len(column) > LARGEST_COLUMN and _longest(column.dictionary) > LONGEST:
            known = [*_python_values(column.dictionary), None]
            return [known[-1 if index is None else index] for index in column.indices.to_pylist()]
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # Arrow would fail on the whole column for one invalid UTF-8 value
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if text is None else text.decode("utf-8", "surrogateescape") for text in column.to_pylist()]
    try:
        return column.to_pylist()
    except (ArithmeticError, ValueError, pa.ArrowException):
        return [_python_value(value) for value in column]


def _longest(texts: "pa.Array") -> int:
    """Bytes of the longest of some texts, or values."""
    import pyarrow as pa
    from pyarrow import compute

    is_text = pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)
    return compute.max(compute.binary_length(texts)).as_py() or 0 if is_text else 0


def _python_value(value: "pa.Scalar") -> Any:
    """The value; a time that Python has not, such as one after the year 9999, as Arrow's text, which is no str; or UNREADABLE."""
    import pyarrow as pa

    with suppress(ArithmeticError, ValueError, pa.ArrowException):
        return value.as_py()
    with suppress(pa.ArrowException):
        return value.cast(pa.string())
    return UNREADABLE


def _take_out_unreadable(table: Table, columns: Sequence[str]) -> None:
    """Make bad rows of those that hold an UNREADABLE value."""
    bad = {
        index: name
        for name, values in zip(columns, table.values, strict=True)
        for index, value in enumerate(values)
        if value is UNREADABLE
    }
    if bad:
        rows, good = table.rows, [index for index in range(len(table.rows)) if index not in bad]
        for index in sorted(bad):
            table.bad_rows.append(bad_row(table.file, rows[index], bad[index], None, "the value cannot be read"))
        table.values = [[values[index] for index in good] for values in table.values]
        table.rows = [rows[index] for index in good]


def _require(columns: Sequence[str], present: Sequence[str], file: str) -> None:
    known = set(present)
    for column in columns:
        if column not in known:
            names = any(each.isidentifier() for each in present)
            first_line = "" if names else "; the first line must hold the names of the columns"
            raise ValueError(
                f"{file} has no column {column!r}; its columns are {', '.join(map(repr, present[:LISTED]))}"
                f"{', …' if len(present) > LISTED else ''}{first_line}"
            )
