"""Blocks: some columns of some rows of a file, whatever its format, and the rows of it that could not be read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from siamese.data.pairs import BadRow
from siamese.data.questions import UNDECODABLE

WHOLE_ROW = "(whole row)"  # the column of a problem that concerns the row as a whole
LISTED = 50  # columns that a message names
SHOWN = 80  # characters of a bad value that a message shows


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


def require_columns(columns: Sequence[str], present: Sequence[str], file: str) -> None:
    """Raise ValueError, with the columns that are present, unless all that are asked for are among them."""
    known = set(present)
    for column in columns:
        if column not in known:
            names = any(each.isidentifier() for each in present)
            first_line = "" if names else "; the first line must hold the names of the columns"
            raise ValueError(
                f"{file} has no column {column!r}; its columns are {', '.join(map(repr, present[:LISTED]))}"
                f"{', …' if len(present) > LISTED else ''}{first_line}"
            )
