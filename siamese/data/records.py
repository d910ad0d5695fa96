"""Records: unlabeled pairs of a file or a stream, in blocks. No row is left out.

A record is the row, column by column, and the reason why its pair cannot be scored ("" if it can).
"""

from collections.abc import Iterable, Iterator
from typing import Any

from siamese.data.blocks import WHOLE_ROW, Table, bad_row
from siamese.data.dialects import LONGEST_LINE
from siamese.data.files import bad_texts
from siamese.data.formats import TableFile
from siamese.data.questions import text_problem
from siamese.data.records_of_lines import json_object

BYTE_ORDER_MARK = "\ufeff"  # some programs begin a stream with it, and joined files have it in between
STANDARD_INPUT = "standard input"
BLOCK = 2**13  # rows that are scored together: enough to share the work on recurring words

Record = tuple[dict[str, Any], str]


def read_file(file: TableFile, left: str, right: str) -> Iterator[list[Record]]:
    """All rows of a file, with all its columns (in JSONL those of its first record); errors as in `TableFile.blocks`.

    Args:
        file: the file; an unreadable row has None in each column.
        left, right: the columns of the questions.
    """
    columns = list(dict.fromkeys([*file.distinct_columns(), left, right]))
    questions_first = list(dict.fromkeys([left, right, *columns]))
    for table in file.blocks(questions_first):
        file.show_html(table, questions_first[:2])
        records = _records(table, columns, questions_first)
        for start in range(0, len(records), BLOCK):
            yield records[start : start + BLOCK]


def _records(table: Table, columns: list[str], questions_first: list[str]) -> list[Record]:
    """All rows of a block of a file, in order."""
    problems = bad_texts(table, questions_first[:2])
    values = dict(zip(questions_first, table.values, strict=True))
    rows = zip(*(values[column] for column in columns), strict=True)
    records: list[Record] = [(dict(zip(columns, row, strict=True)), "") for row in rows]
    for index, problem in problems.items():
        records[index] = (records[index][0], str(problem))
    if not table.bad_rows:
        return records
    unreadable: list[Record] = [(dict.fromkeys(columns), str(row)) for row in table.bad_rows]
    places = [*table.rows, *(row.row for row in table.bad_rows)]
    both = records + unreadable
    return [both[at] for at in sorted(range(len(both)), key=places.__getitem__)]


def read_lines(stream: Iterable[bytes], left: str, right: str) -> Iterator[list[Record]]:
    """A record for each line of a stream, as soon as it arrives: two questions with a tab between, or a JSON object.

    A blank line gives a bad record, so that answers match lines.

    Args:
        stream: UTF-8, in pieces as they arrive; the lines that a piece completes are one block.
        left, right: the keys of the questions.

    Raises:
        ValueError: a line is longer than LONGEST_LINE.
    """
    line, begun = 0, b""
    for piece in stream:
        *whole, begun = (begun + piece).split(b"\n")
        if len(begun) > LONGEST_LINE:
            raise ValueError(
                f"{STANDARD_INPUT}, row {line + len(whole) + 1}: the line has more than {LONGEST_LINE:,} bytes; break it"
            )
        if whole:
            yield [_from_line(text, line + number, left, right) for number, text in enumerate(whole, start=1)]
        line += len(whole)
    if begun:
        yield [_from_line(begun, line + 1, left, right)]


def _from_line(line: bytes, number: int, left: str, right: str) -> Record:
    """The record of one line.

    >>> _from_line(b"Why?\\tHow?", 1, "q1", "q2")
    ({'q1': 'Why?', 'q2': 'How?'}, '')
    >>> _from_line(b"Why?", 7, "q1", "q2")[1]
    "standard input, row 7, column (whole row): two questions with one tab between them are expected (found 'Why?')"
    """
    text = line.decode("utf-8", "surrogateescape").removesuffix("\r").lstrip(BYTE_ORDER_MARK)
    try:
        values = _values(text, left, right)
    except ValueError as mistake:
        return {left: None, right: None}, str(bad_row(STANDARD_INPUT, number, WHOLE_ROW, text, str(mistake)))
    for column in (left, right):
        if problem := text_problem(values[column]):
            return values, str(bad_row(STANDARD_INPUT, number, column, values[column], problem))
    return values, ""


def _values(line: str, left: str, right: str) -> dict[str, Any]:
    if line.lstrip().startswith("{"):
        return {left: None, right: None} | json_object(line)
    questions = line.split("\t")
    if len(questions) != 2:
        raise ValueError("two questions with one tab between them are expected")
    return dict(zip((left, right), questions, strict=True))
