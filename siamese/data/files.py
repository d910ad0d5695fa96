"""Files of questions and pairs: every row is checked; bad rows are refused or listed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from siamese.data import labels
from siamese.data.blocks import Table, bad_row
from siamese.data.columns import pair_columns, question_column
from siamese.data.dialects import USUAL, Reading
from siamese.data.formats import TableFile
from siamese.data.pairs import BadRow
from siamese.data.questions import NOT_UTF8, UNDECODABLE, all_questions, text_problem
from siamese.data.texts import Texts, TextsBuilder

if TYPE_CHECKING:
    import pyarrow as pa


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
    file: TableFile,
    texts: Sequence[str],
    label: str | None,
    on_bad_row: str,
    label_scale: float = 1.0,
    clean: Mapping[str, Callable[[object], object]] = MappingProxyType({}),
    optional: int = 0,
) -> QuestionRows:
    """Read text columns and optionally a label column of a file.

    A row is bad if a text is missing, empty, not a string or not UTF-8, if its label is not a number in
    [0, `label_scale`] (a quoted number in JSON is accepted, true is 1) nor a word of `labels.WORDS`, or if the row cannot
    be read. Undecodable bytes in other columns are ignored.

    Args:
        file: the file; its `tell` gets a note on the words that were read as labels.
        texts: names of the text columns.
        label: name of the label column, or None.
        on_bad_row: "error" to raise at the first bad row, "skip" to leave bad rows out.
        label_scale: what the labels are divided by, above 0; 5 for grades from 0 to 5.
        clean: what each value of a column is replaced by before it is checked.
        optional: so many of `texts`, the last, are good with any text, also an empty one.

    Raises:
        ValueError: an argument is invalid; the file lacks a column or has no rows; a row is bad and `on_bad_row` is
            "error"; or no row is valid.
    """
    if on_bad_row not in ("error", "skip"):
        raise ValueError(f"data.on_bad_row must be error or skip, got {on_bad_row!r}")
    if not 0 < label_scale < float("inf"):
        raise ValueError(f"data.label_scale must be a number above 0, got {label_scale}")
    columns = [TextsBuilder() for _ in texts]
    grades, rows = [np.empty(0)], [np.empty(0, np.int64)]
    bad_rows: list[BadRow] = []
    words: set[str] = set()
    for table in file.blocks([*texts, *([] if label is None else [label])]):
        file.show_html(table, texts)
        for column, cleaned in clean.items():
            table.values[texts.index(column)] = list(map(cleaned, table.values[texts.index(column)]))
        good, block_grades, bad = _checked(table, texts[: len(texts) - optional], label, label_scale, words)
        for builder, values in zip(columns, table.values, strict=False):  # the label column comes last
            builder.add(map(str.strip, map(values.__getitem__, good)))
        grades.append(block_grades)
        rows.append(np.array(table.rows, np.int64)[good])
        bad_rows += bad
    good_rows = np.concatenate(rows)
    if bad_rows and on_bad_row == "error":
        raise ValueError(_refusal(bad_rows, len(good_rows), label))
    if not len(good_rows):
        raise ValueError(f"{file.name} has no good row; its first: {bad_rows[0]}")
    if words:
        meant = (f"{each} = {'duplicate' if labels.WORDS[each] else 'different'}" for each in sorted(words))
        file.tell(f"{file.name}: the labels are words: {', '.join(meant)}")
    return QuestionRows([column.texts() for column in columns], np.concatenate(grades), good_rows, tuple(bad_rows))


def _refusal(bad_rows: Sequence[BadRow], good: int, label: str | None) -> str:
    """Why a file with bad rows is refused, and how to mend it: bad rows can be skipped only where they are few."""
    others = f"; {len(bad_rows) - 1} more rows are bad" if len(bad_rows) > 1 else ""
    if any(NOT_UTF8 in row.problem for row in bad_rows):
        remedy = "save the file as UTF-8, or name its encoding with data.encoding="
    elif len(bad_rows) > good and not all(row.column == label and not row.found for row in bad_rows):
        remedy = "mend the file"  # unless the rest only waits for a label
    else:
        remedy = "mend the row or set data.on_bad_row=skip"
    return f"{bad_rows[0]}{others}; {remedy}"


def read_questions(path: str | Path, column: str | None, reading: Reading = USUAL) -> QuestionRows:
    """The questions of a file, in `column` or the one of `question_column`; bad rows are left out and listed.

    Errors as in `TableFile` and `read_columns`.
    """
    file = TableFile(path, reading)
    column = question_column(file.columns, column, file.name, file.tell)
    return read_columns(file, [column], None, "skip")


def read_question_table(
    path: str | Path, column: str | None, reading: Reading = USUAL
) -> tuple["pa.Table", tuple[BadRow, ...]]:
    """The questions of a file as in `read_questions`, with all its other columns.

    Returns:
        A table of texts, the column "question" first, the others under their own names, missing values as ""; and
        the bad rows.

    Raises:
        FileNotFoundError, ValueError: as `read_questions`, or another column is named "question".
    """
    import pyarrow as pa

    file = TableFile(path, reading)
    column = question_column(file.columns, column, file.name, file.tell)
    others = [name for name in file.distinct_columns() if name != column]
    if "question" in others:
        raise ValueError(
            f"{path} has a column 'question' beside {column!r}, which holds the questions; rename one of them"
        )
    names = ["question", *others]
    blocks, bad_rows = [], []
    for table in file.blocks([column, *others]):
        file.show_html(table, [column])
        bad = bad_texts(table, [column])
        good = [index for index in range(len(table.rows)) if index not in bad]
        columns = [Texts.of(as_text(values[index]) for index in good).arrow() for values in table.values]
        blocks.append(pa.table([column.cast(pa.large_string()) for column in columns], names))
        bad_rows += sorted([*table.bad_rows, *bad.values()], key=lambda found: found.row)
    questions = pa.concat_tables(blocks).combine_chunks()
    if not len(questions):
        raise ValueError(f"{path} has no good row; its first: {bad_rows[0]}")
    return questions, tuple(bad_rows)


def _checked(
    table: Table, texts: Sequence[str], label: str | None, label_scale: float, words: set[str]
) -> tuple[list[int], np.ndarray, list[BadRow]]:
    """Indices of the valid rows of a block, their labels (`float64[rows]`), and the bad rows; adds to `words`."""
    bad = bad_texts(table, texts)
    grades = np.empty(0)
    if label is not None:
        grades = np.fromiter(map(labels.number, table.values[-1]), np.float64, len(table.rows)) / label_scale
        for index in np.flatnonzero(~((grades >= 0) & (grades <= 1))).tolist():
            value = table.values[-1][index]
            word = labels.word(value)
            if word is not None:
                words.add(word)
                grades[index] = labels.WORDS[word]
                continue
            problem = f"the label must be a number in [0, {label_scale:g}], or a word such as yes and no"
            bad.setdefault(index, bad_row(table.file, table.rows[index], label, value, problem))
    good = [index for index in range(len(table.rows)) if index not in bad]
    bad_rows = sorted([*table.bad_rows, *bad.values()], key=lambda found: found.row)
    return good, grades if label is None else grades[good], bad_rows


def read_pair_file(
    path: str | Path,
    left: str,
    right: str,
    label: str,
    on_bad_row: str,
    label_scale: float = 1.0,
    reading: Reading = USUAL,
) -> tuple[Texts, Texts, np.ndarray, tuple[BadRow, ...]]:
    """Left texts, right texts, labels (`float64[pairs]` in [0, 1]) and bad rows, from the columns of `pair_columns`.

    Errors as in `TableFile` and `read_columns`.
    """
    file = TableFile(path, reading)
    *texts, label = pair_columns(file.columns, left, right, label, file.name, file.tell)
    found = read_columns(file, texts, label, on_bad_row, label_scale)
    return found.texts[0], found.texts[1], found.labels, found.bad_rows


def good_texts(table: Table, column: str) -> tuple[np.ndarray, list[str], list[BadRow]]:
    """The good rows of a block of one text column, `int64[rows]`, their texts as in `read_columns`, and the bad rows."""
    good, _, bad = _checked(table, [column], None, 1.0, set())
    texts = list(map(str.strip, map(table.values[0].__getitem__, good)))
    return np.array(table.rows, np.int64)[good], texts, bad


def bad_texts(table: Table, columns: Sequence[str]) -> dict[int, BadRow]:
    """The first bad text of each row that has one, by row index; `columns` are the first columns of the table."""
    bad: dict[int, BadRow] = {}
    for name, values in zip(columns, table.values[: len(columns)], strict=True):  # the label column comes last
        if all_questions(values):
            continue
        for index, value in enumerate(values):
            problem = text_problem(value)
            if problem:
                bad.setdefault(index, bad_row(table.file, table.rows[index], name, value, problem))
    return bad


def name_text(value: object) -> object:
    """A whole number as the name that it is; any other value as it is."""
    if isinstance(value, float) and value.is_integer():  # a column with missing values has floats
        return str(int(value))
    return str(value) if isinstance(value, int) else value


def as_text(value: object) -> str:
    """Any value as a text, "" if it is missing."""
    return "" if value is None else UNDECODABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)).strip()
