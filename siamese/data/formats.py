"""Tables in CSV, TSV, JSONL and Parquet: the values of the columns asked for, and the rows that cannot be read."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from siamese.data.pairs import BadRow

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
WHOLE_ROW = "(whole row)"  # the column of a row that falls apart before its columns are known
SHOWN = 80  # characters of a bad value that a message shows

# Bytes that are no UTF-8 are decoded to these, so that one bad byte spoils one row and not the file.
UNDECODABLE = re.compile("[\ud800-\udfff]")


@dataclass
class Table:
    """Some columns of a file, as they stand there.

    Attributes:
        file: the path as it was given.
        values: one list per column asked for; str from CSV and TSV, any JSON or Parquet value otherwise.
        rows: where each row starts: its physical line from 1, or in Parquet its position from 1.
        bad_rows: the rows that could not be read, in the order of the file.
    """

    file: str
    values: list[list[Any]]
    rows: list[int] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)

    def reject(self, row: int, column: str, found: object, problem: str) -> None:
        self.bad_rows.append(bad_row(self.file, row, column, found, problem))


def bad_row(file: str, row: int, column: str, found: object, problem: str) -> BadRow:
    """A BadRow whose `found` is short, and printable whatever bytes it was made of."""
    shown = "" if found is None else UNDECODABLE.sub("\N{REPLACEMENT CHARACTER}", str(found).rstrip("\r\n"))
    return BadRow(file, row, column, shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…", problem)


def read_table(path: str | Path, columns: Sequence[str]) -> Table:
    """Read the named columns of a file; its suffix tells the format.

    Text files are UTF-8, with or without a byte order mark. In CSV and TSV a quoted field may hold line
    breaks and doubled quotes. After a broken record reading resumes at the line after its first, so that a
    quote that is never closed costs one row. Blank lines are no rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the suffix is unknown, the file is empty or not of its format, or lacks a column.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    suffix = file.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{path} must end in one of {', '.join(FORMATS)}, which tells its format; got {suffix!r}")
    if file.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    table = Table(str(path), [[] for _ in columns])
    if suffix == ".parquet":
        _read_parquet(file, columns, table)
    elif suffix == ".jsonl":
        _read_jsonl(_lines(file), columns, table)
    else:
        _read_delimited(_lines(file), columns, "," if suffix == ".csv" else "\t", table)
    if not table.rows and not table.bad_rows:
        raise ValueError(f"{path} has no rows")
    return table


def _lines(file: Path) -> list[str]:
    """The physical lines with their line ends; only \\n, \\r\\n and \\r end a line."""
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        return list(stream)


def _read_delimited(lines: list[str], columns: Sequence[str], delimiter: str, table: Table) -> None:
    def reader_from(start: int):
        return csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter, strict=True)

    reader = reader_from(0)
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        raise ValueError(f"{table.file} has broken quoting in its header: {error}") from error
    if any(UNDECODABLE.search(name) for name in header):
        raise ValueError(f"{table.file} is not UTF-8 (its header cannot be decoded); save it as UTF-8")
    _require(columns, header, table.file)
    wanted = [(values, header.index(column)) for values, column in zip(table.values, columns, strict=True)]
    start = reader.line_num
    while start < len(lines):
        reader = reader_from(start)
        done = 0  # lines of this reader that belong to finished records
        problem = ""
        try:
            for fields in reader:
                if len(fields) == len(header):
                    table.rows.append(start + done + 1)
                    for values, position in wanted:
                        values.append(fields[position])
                elif fields:
                    problem = f"it has {len(fields)} columns, the header has {len(header)}"
                    break
                done = reader.line_num
        except csv.Error:
            problem = "broken quoting; quote the whole field and double each quote inside it"
        if not problem:
            return
        table.reject(start + done + 1, WHOLE_ROW, lines[start + done], problem)
        start += done + 1


def _read_jsonl(lines: list[str], columns: Sequence[str], table: Table) -> None:
    known: dict[str, Any] = {}
    for row, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            table.reject(row, WHOLE_ROW, line, f"invalid JSON, {error.msg} at character {error.pos + 1}")
            continue
        if not isinstance(record, dict):
            table.reject(row, WHOLE_ROW, line, "a JSON object is expected")
            continue
        known.update(record)
        table.rows.append(row)
        for values, column in zip(table.values, columns, strict=True):
            values.append(record.get(column))
    if table.rows:
        _require(columns, list(known), table.file)


def _read_parquet(file: Path, columns: Sequence[str], table: Table) -> None:
    try:
        parquet = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{table.file} is not a Parquet file") from error
    with parquet:
        _require(columns, parquet.schema_arrow.names, table.file)
        content = parquet.read(columns=list(columns))
    table.values = [_python_values(content[column]) for column in columns]
    table.rows = list(range(1, content.num_rows + 1))


def _python_values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # Arrow does not check its UTF-8, and would fail on the whole column
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if text is None else text.decode("utf-8", "surrogateescape") for text in column.to_pylist()]
    return column.to_pylist()


def _require(columns: Sequence[str], present: Sequence[str], file: str) -> None:
    for column in columns:
        if column not in present:
            raise ValueError(f"{file} has no column {column!r}; its columns are {', '.join(map(repr, present))}")
