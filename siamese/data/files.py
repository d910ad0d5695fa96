"""Files of questions and pairs: every row is checked; bad rows are refused or listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamese.data.formats import UNDECODABLE, Table, bad_row, column_names, read_tables
from siamese.data.pairs import BadRow
from siamese.data.texts import Texts, TextsBuilder

if TYPE_CHECKING:
    import pyarrow as pa

QUESTION_COLUMNS = ("question", "text")  # where questions are sought without column=, in this order


@dataclass(frozen=True)
class QuestionRows:
    """The valid rows of a file, column by column, and the bad ones.

    Attributes:
        texts: the texts of each requested column: stripped, not empty, valid Unicode.
        labels: `float64[rows]` in [0, 1]; empty without a label column.
        rows: `int64[rows]`, the line at which each valid row starts (the header is line 1); in Parquet its position
            from 1.
        bad_rows: the others, in the order of the file.
    """

    texts: list[Texts]
    labels: np.ndarray
    rows: np.ndarray
    bad_rows: tuple[BadRow, ...]


def read_columns(
    path: str | Path, texts: Sequence[str], label: str | None, on_bad_row: str, label_scale: float = 1.0
) -> QuestionRows:
    """Read text columns and optionally a label column of a CSV, TSV, JSONL or Parquet file.

    A row is bad if a text is missing, empty, not a string or not UTF-8, if its label is not a number in
    [0, `label_scale`] (a quoted number in JSON is accepted, true is 1), or if the row cannot be read.
    Undecodable bytes in other columns are ignored.

    Args:
        path: the file; `~` is the home directory.
        texts: names of the text columns.
        label: name of the label column, or None.
        on_bad_row: "error" to raise at the first bad row, "skip" to leave bad rows out.
        label_scale: what the labels are divided by, above 0; 5 for grades from 0 to 5.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an argument is invalid; the file is empty, of an unknown format or lacks a column; a row is bad
            and `on_bad_row` is "error"; or no row is valid.
    """
    if on_bad_row not in ("error", "skip"):
        raise ValueError(f"data.on_bad_row must be error or skip, got {on_bad_row!r}")
    if not label_scale > 0:
        raise ValueError(f"data.label_scale must be above 0, got {label_scale}")
    columns = [TextsBuilder() for _ in texts]
    labels, rows = [np.empty(0)], [np.empty(0, np.int64)]
    bad_rows: list[BadRow] = []
    for table in read_tables(path, [*texts, *([] if label is None else [label])]):
        good, block_labels, bad = _checked(table, texts, label, label_scale)
        for column, values in zip(columns, table.values, strict=False):  # the label column comes last
            column.add(map(str.strip, map(values.__getitem__, good)))
        labels.append(block_labels)
        rows.append(np.array(table.rows, np.int64)[good])
        bad_rows += bad
    if bad_rows and on_bad_row == "error":
        others = f"; {len(bad_rows) - 1} more rows are bad" if len(bad_rows) > 1 else ""
        raise ValueError(f"{bad_rows[0]}{others}; mend the row or set data.on_bad_row=skip")
    good_rows = np.concatenate(rows)
    if not len(good_rows):
        raise ValueError(f"{path} has no good row; its first: {bad_rows[0]}")
    return QuestionRows([column.texts() for column in columns], np.concatenate(labels), good_rows, tuple(bad_rows))


def read_questions(path: str | Path, column: str | None) -> QuestionRows:
    """The questions of a file, in `column` or else "question" or else "text"; bad rows are left out and listed.

    Errors as in `read_columns`.
    """
    return read_columns(path, [column or _question_column(path)], None, "skip")


def read_question_table(path: str | Path, column: str | None) -> tuple["pa.Table", tuple[BadRow, ...]]:
    """The questions of a file as in `read_questions`, with all its other columns.

    Returns:
        A table of texts, the column "question" first, the others under their own names, missing values as ""; and
        the bad rows.

    Raises:
        FileNotFoundError, ValueError: as `read_questions`, or another column is named "question".
    """
    import pyarrow as pa

    column = column or _question_column(path)
    others = [name for name in column_names(path) if name != column]
    if "question" in others:
        raise ValueError(
            f"{path} has a column 'question' beside {column!r}, which holds the questions; rename one of them"
        )
    names = ["question", *others]
    blocks, bad_rows = [], []
    for table in read_tables(path, [column, *others]):
        bad = bad_texts(table, [column])
        good = [index for index in range(len(table.rows)) if index not in bad]
        columns = [Texts.of(_as_text(values[index]) for index in good).arrow() for values in table.values]
        blocks.append(pa.table([column.cast(pa.large_string()) for column in columns], names))
        bad_rows += sorted([*table.bad_rows, *bad.values()], key=lambda found: found.row)
    questions = pa.concat_tables(blocks).combine_chunks()
    if not len(questions):
        raise ValueError(f"{path} has no good row; its first: {bad_rows[0]}")
    return questions, tuple(bad_rows)


def _checked(
    table: Table, texts: Sequence[str], label: str | None, label_scale: float
) -> tuple[list[int], np.ndarray, list[BadRow]]:
    """Indices of the valid rows of a block, their labels (`float64[rows]`), and the bad rows."""
    bad = bad_texts(table, texts)
    labels = np.empty(0)
    if label is not None:
        labels = np.fromiter(map(_number, table.values[-1]), np.float64, len(table.rows)) / label_scale
        for index in np.flatnonzero(~((labels >= 0) & (labels <= 1))).tolist():
            problem = f"the label must be a number in [0, {label_scale:g}]"
            bad.setdefault(index, bad_row(table.file, table.rows[index], label, table.values[-1][index], problem))
    good = [index for index in range(len(table.rows)) if index not in bad]
    bad_rows = sorted([*table.bad_rows, *bad.values()], key=lambda found: found.row)
    return good, labels if label is None else labels[good], bad_rows


def read_pair_file(
    path: str | Path, left: str, right: str, label: str, on_bad_row: str, label_scale: float = 1.0
) -> tuple[Texts, Texts, np.ndarray, tuple[BadRow, ...]]:
    """Left texts, right texts, labels (`float64[pairs]` in [0, 1]) and bad rows; errors as in `read_columns`."""
    found = read_columns(path, [left, right], label, on_bad_row, label_scale)
    return found.texts[0], found.texts[1], found.labels, found.bad_rows


def read_intent_file(
    path: str | Path, text: str, intent: str, topic: str | None, on_bad_row: str
) -> tuple[list[str], list[str], list[str], tuple[BadRow, ...]]:
    """Questions, intents, topics (all "" without a topic column) and bad rows; errors as in `read_columns`."""
    columns = [text, intent] if topic is None else [text, intent, topic]
    found = read_columns(path, columns, None, on_bad_row)
    questions, intents, *given = map(list, found.texts)
    return questions, intents, given[0] if given else [""] * len(questions), found.bad_rows


def bad_texts(table: Table, columns: Sequence[str]) -> dict[int, BadRow]:
    """The first bad text of each row that has one, by row index; `columns` are the first columns of the table."""
    bad: dict[int, BadRow] = {}
    for name, values in zip(columns, table.values[: len(columns)], strict=True):  # the label column comes last
        if _all_good(values):
            continue
        for index, value in enumerate(values):
            problem = text_problem(value)
            if problem:
                bad.setdefault(index, bad_row(table.file, table.rows[index], name, value, problem))
    return bad


def _all_good(values: list[Any]) -> bool:
    """Whether `text_problem` finds no problem in any value: one fast check for the usual case."""
    try:
        "".join(values).encode()  # TypeError: a value is not a string; UnicodeEncodeError: a value is not UTF-8
        return all(map(str.strip, values))
    except (TypeError, UnicodeEncodeError):
        return False


def text_problem(value: object) -> str:
    """Why a value is not a question; "" if it is one."""
    if value is None:
        return "the text is missing"
    if not isinstance(value, str):
        return f"a text is expected, not {type(value).__name__}"
    if not value or value.isspace():
        return "the text is empty"
    if not value.isascii() and UNDECODABLE.search(value):
        return "the text is not UTF-8"
    return ""


def _number(value: Any) -> float:
    """The value as a number; nan if it is not one."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _question_column(path: str | Path) -> str:
    names = column_names(path)
    return next((name for name in QUESTION_COLUMNS if name in names), QUESTION_COLUMNS[0])


def _as_text(value: object) -> str:
    return "" if value is None else UNDECODABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)).strip()
