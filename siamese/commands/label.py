"""Files of pairs that a person labels: mine writes them, a person fills one column, training reads them."""

import csv
from collections.abc import Iterable
from pathlib import Path

from siamese.commands.output import require_suffix
from siamese.data.columns import LABEL, PAIR, pair_columns
from siamese.data.dialects import Reading
from siamese.data.files import as_text
from siamese.data.folders import atomic_file
from siamese.data.formats import TableFile
from siamese.data.questions import question_key

BYTE_ORDER_MARK = "\ufeff"  # spreadsheets take a file without it for one in an older encoding


class LabelFile:
    """A CSV file of pairs with a column to fill; its rows stay, and new ones follow them.

    Args:
        path: of the file, which may be missing.
        reading: how it is read; a spreadsheet may have changed its encoding and delimiter.

    Attributes:
        columns: question1, question2, is_duplicate; or those that the file has.
        rows: what the file holds.

    Raises:
        ValueError: the path does not end in .csv, or the file cannot be read or lacks a column.
    """

    def __init__(self, path: str, reading: Reading):
        require_suffix("label", path, (".csv",))
        self._path = Path(path).expanduser()
        self.columns = [*PAIR, LABEL]
        self.rows: list[dict[str, str]] = []
        self._left, self._right, self._label = self.columns
        if self._path.exists():
            file = TableFile(path, reading)
            self.columns = file.columns
            if len(set(self.columns)) < len(self.columns):
                raise ValueError(
                    f"{path} has several columns of one name, {', '.join(map(repr, self.columns))}; rename them"
                )
            self._left, self._right, self._label = pair_columns(self.columns, *PAIR, LABEL, file.name, file.tell)
            for table in file.blocks([self._left, self._right, self._label]):  # which says what is missing
                if table.bad_rows:
                    raise ValueError(f"{table.bad_rows[0]}; mend the row")
            for table in file.blocks(self.columns):
                rows = zip(*(map(as_text, column) for column in table.values), strict=True)
                self.rows += [dict(zip(self.columns, row, strict=True)) for row in rows]
        self._known = {_key(row[self._left], row[self._right]) for row in self.rows}

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labeled(self) -> int:
        """The number of rows with a label."""
        return sum(bool(row[self._label]) for row in self.rows)

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Whether the file has these two questions, in any order, with or without a label."""
        return _key(*pair) in self._known

    def append(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Write the file with more pairs, without labels; it appears whole or stays as it was."""
        self.rows += [{self._left: left, self._right: right} for left, right in pairs]
        with atomic_file(self._path) as out:
            out.write(BYTE_ORDER_MARK)
            table = csv.DictWriter(out, self.columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)


def _key(left: str, right: str) -> frozenset[str]:
    return frozenset((question_key(left), question_key(right)))
