"""Question files: a column of questions, and what stands beside them."""

from pathlib import Path

import pyarrow as pa

from siamese.data.files import QuestionRows, bad_texts, read_columns
from siamese.data.formats import UNDECODABLE, column_names, read_tables
from siamese.data.pairs import BadRow
from siamese.data.texts import Texts

COLUMNS = ("question", "text")  # that hold the questions if nobody says which, the first that a file has


def read_questions(path: str | Path, column: str | None) -> QuestionRows:
    """The questions of a CSV, TSV, JSONL or Parquet file; rows without one are left out and listed.

    Args:
        path: the file; `~` is the home directory.
        column: which holds the questions; None for "question" or, if the file has none, "text".

    Raises:
        FileNotFoundError, ValueError: as `read_columns` does.
    """
    return read_columns(path, [column or _question_column(path)], None, "skip")


def read_question_table(path: str | Path, column: str | None) -> tuple[pa.Table, tuple[BadRow, ...]]:
    """The questions with all other columns of their file.

    Args:
        path, column: as for `read_questions`.

    Returns:
        A table of texts, with the column "question" first and the others under their own names, what is missing as
        ""; and the rows that were left out.

    Raises:
        FileNotFoundError, ValueError: as `read_questions`, or another column is named "question".
    """
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
        columns = [Texts.of(_as_text(values[index]) for index in good).utf8 for values in table.values]
        blocks.append(pa.table([column.cast(pa.large_string()) for column in columns], names))
        bad_rows += sorted([*table.bad_rows, *bad.values()], key=lambda found: found.row)
    questions = pa.concat_tables(blocks).combine_chunks()
    if not len(questions):
        raise ValueError(f"{path} has no good row; its first: {bad_rows[0]}")
    return questions, tuple(bad_rows)


def _question_column(path: str | Path) -> str:
    names = column_names(path)
    return next((name for name in COLUMNS if name in names), COLUMNS[0])


def _as_text(value: object) -> str:
    return "" if value is None else UNDECODABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)).strip()
