"""Tables in CSV, TSV, JSONL and Parquet, read in blocks: the requested columns and the unreadable rows."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from siamese.data.pairs import BadRow

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FORMATS = (*DELIMITERS, ".jsonl", ".parquet")
WHOLE_ROW = "(whole row)"  # the column of a problem that concerns the row as a whole
BLOCK = 2**15  # lines or rows that are Python objects at the same time
SHOWN = 80  # characters of a bad value that a message shows

# Bytes that are not UTF-8 are decoded to these, so that a bad byte costs one row and not the file.
UNDECODABLE = re.compile("[\ud800-\udfff]")


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
    shown = "" if found is None else UNDECODABLE.sub("\N{REPLACEMENT CHARACTER}", str(found).rstrip("\r\n"))
    return BadRow(file, row, column, shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…", problem)


def read_tables(path: str | Path, columns: Sequence[str]) -> Iterator[Table]:
    """Read the named columns of a file, block by block; its suffix determines the format.

    Text files are UTF-8, with or without a byte order mark. In CSV and TSV a quoted field may hold line
    breaks and doubled quotes. After a broken record, reading resumes at the line after its first, so that an unclosed
    quote costs one row. Blank lines are ignored.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the suffix is unknown, the file is empty or not of its format, or lacks a column.
    """
    file, suffix = _known_file(path)
    read = {".parquet": _parquet_tables, ".jsonl": _jsonl_tables}.get(suffix, _delimited_tables)
    has_rows = False
    for table in read(file, columns, str(path)):
        has_rows = has_rows or bool(table.rows or table.bad_rows)
        yield table
    if not has_rows:
        raise ValueError(f"{path} has no rows")


def column_names(path: str | Path) -> list[str]:
    """The names of a file's columns, each once; in JSONL those of its first record. Errors as in `read_tables`."""
    file, suffix = _known_file(path)
    if suffix == ".parquet":
        with _opened_parquet(file, str(path)) as parquet:
            return list(dict.fromkeys(parquet.schema_arrow.names))
    with _opened_text(file) as lines:
        if suffix != ".jsonl":
            return list(dict.fromkeys(_header(csv.reader(lines, delimiter=DELIMITERS[suffix], strict=True), str(path))))
        for line in lines:
            with suppress(ValueError):
                return list(json_object(line))
    return []


def count_rows(path: str | Path) -> int:
    """The approximate number of rows of a file: exact for Parquet, elsewhere the number of lines."""
    file, suffix = _known_file(path)
    if suffix == ".parquet":
        with _opened_parquet(file, str(path)) as parquet:
            return parquet.metadata.num_rows
    with file.open("rb") as data:
        return sum(block.count(b"\n") for block in iter(lambda: data.read(2**20), b""))


def json_object(line: str) -> dict[str, Any]:
    """The object of a line of JSONL; a ValueError says why it is none, without the line."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON, {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists nested too deeply
        raise ValueError(f"unreadable JSON, {error}") from None
    if not isinstance(record, dict):
        raise ValueError("a JSON object is expected")
    return record


def _known_file(path: str | Path) -> tuple[Path, str]:
    """An existing, non-empty file and its suffix, which determines the format."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    suffix = file.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path} must end in one of {', '.join(FORMATS)}, which determines the format; got {suffix!r}")
    if file.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    return file, suffix


def _opened_text(file: Path) -> TextIO:
    # newline="": only \n, \r\n and \r end a line, and each line keeps its end
    return file.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _opened_parquet(file: Path, name: str) -> "parquet.ParquetFile":
    from pyarrow import ArrowInvalid, parquet

    try:
        return parquet.ParquetFile(file)
    except ArrowInvalid as error:
        raise ValueError(f"{name} is not a Parquet file") from error


def _delimited_tables(file: Path, columns: Sequence[str], name: str) -> Iterator[Table]:
    delimiter = DELIMITERS[file.suffix.lower()]
    with _opened_text(file) as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        header = _header(reader, name)
        _require(columns, header, name)
        lines: list[str] = []
        before, at_end = reader.line_num, False  # lines of the file before the first of `lines`
        while not at_end:
            fresh = list(islice(stream, BLOCK))
            lines, at_end = lines + fresh, not fresh
            table = Table(name, [])
            records, done = _read_records(lines, delimiter, len(header), before, at_end, table)
            table.values = [list(map(itemgetter(header.index(column)), records)) for column in columns]
            yield table
            before += done
            del lines[:done]


def _header(reader: Iterator[list[str]], name: str) -> list[str]:
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        raise ValueError(f"{name} has broken quoting in its header: {error}") from error
    if any(UNDECODABLE.search(column) for column in header):
        raise ValueError(f"{name} is not UTF-8 (its header cannot be decoded); save it as UTF-8")
    return header


def _read_records(
    lines: list[str], delimiter: str, width: int, before: int, at_end: bool, table: Table
) -> tuple[list[list[str]], int]:
    """The records of `width` fields in `lines`, and the number of their lines; adds rows and bad rows to `table`.

    The remaining lines (none at the end of the file) begin a record that further lines may complete.
    """
    records, start = list[list[str]](), 0
    while start < len(lines):
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter, strict=True)
        done, problem = 0, ""  # lines of this reader that belong to finished records
        try:
            for fields in reader:
                if len(fields) == width:
                    table.rows.append(before + start + done + 1)
                    records.append(fields)
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


def _jsonl_tables(file: Path, columns: Sequence[str], name: str) -> Iterator[Table]:
    known: dict[str, None] = {}
    any_record = False
    with _opened_text(file) as stream:
        numbered_lines = enumerate(stream, start=1)
        while block := list(islice(numbered_lines, BLOCK)):
            table = Table(name, [[] for _ in columns])
            for row, line in block:
                if line.isspace():
                    continue
                try:
                    record = json_object(line)
                except ValueError as problem:
                    table.bad_rows.append(bad_row(name, row, WHOLE_ROW, line, str(problem)))
                    continue
                known.update(dict.fromkeys(record))
                table.rows.append(row)
                for values, column in zip(table.values, columns, strict=True):
                    values.append(record.get(column))
            any_record = any_record or bool(table.rows)
            yield table
    if any_record:
        _require(columns, list(known), name)


def _parquet_tables(file: Path, columns: Sequence[str], name: str) -> Iterator[Table]:
    with _opened_parquet(file, name) as parquet:
        _require(columns, parquet.schema_arrow.names, name)
        first = 1
        for batch in parquet.iter_batches(BLOCK, columns=list(columns)):
            rows = list(range(first, first + batch.num_rows))
            yield Table(name, [_python_values(batch[column]) for column in columns], rows)
            first += batch.num_rows


def _python_values(column: "pa.Array") -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # Arrow would fail on the whole column for one invalid UTF-8 value
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if text is None else text.decode("utf-8", "surrogateescape") for text in column.to_pylist()]
    return column.to_pylist()


def _require(columns: Sequence[str], present: Sequence[str], file: str) -> None:
    for column in columns:
        if column not in present:
            raise ValueError(f"{file} has no column {column!r}; its columns are {', '.join(map(repr, present))}")
