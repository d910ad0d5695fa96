"""Word tables: what layers compute of a word alone, kept from one call to the next."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from siamese.inference.parts import Tables

Tabulate = Callable[[np.ndarray], dict[str, Tables]]  # int64[words] -> name of a layer -> its tables
KEPT_NUMBERS = 2**24  # maximal size of the rows that are kept, 64 MB


class WordTables:
    """The tables of words, where those of a word are computed when it is first asked for, and then kept.

    Each word is computed alone. So its row, and with it the embedding of a question, is the same to the bit whatever was
    asked before, and threads that compute it at the same time write the same.

    Only the first ids are kept, which a vocabulary gives to its most frequent words. The system provides the memory of a
    row when it is written.
    """

    def __init__(self, tabulate: Tabulate, vocabulary: int):
        self._tabulate = tabulate
        self._lock = threading.Lock()
        self._is_kept = bytearray(vocabulary)
        self._columns: dict[str, list[slice]] = {}  # of each table in a row, by layer
        self._rows = np.empty((0, 0), np.float32)  # of a word all its tables, side by side

    def of(self, words: Sequence[int]) -> dict[str, Tables]:
        """The tables of some words, which may recur: name of a layer -> `float32[words, width]` each."""
        if all(map(self._is_kept.__getitem__, words)):
            found = self._rows.take(words, axis=0)
        else:
            found = np.stack([self._row(word) for word in words])
        return {name: [found[:, table] for table in tables] for name, tables in self._columns.items()}

    def _row(self, word: int) -> np.ndarray:
        """`float32[width of all tables]`."""
        if self._is_kept[word]:
            return self._rows[word]
        tables = self._tabulate(np.array([word]))
        row = np.concatenate([table[0] for of_layer in tables.values() for table in of_layer])
        with self._lock:
            if not self._columns:
                self._reserve(tables, len(row))
        if word < len(self._rows):
            self._rows[word] = row
            self._is_kept[word] = True  # not before the row is whole
        return row

    def _reserve(self, tables: dict[str, Tables], width: int) -> None:
        """Lay out a row as the tables of one word."""
        columns: dict[str, list[slice]] = {}
        end = 0
        for name, of_layer in tables.items():
            widths = [table.shape[1] for table in of_layer]
            columns[name] = [slice(end + sum(widths[:i]), end + sum(widths[: i + 1])) for i in range(len(widths))]
            end += sum(widths)
        self._rows = np.empty((min(len(self._is_kept), KEPT_NUMBERS // width), width), np.float32)
        self._columns = columns
