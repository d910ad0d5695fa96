"""Word tables: what layers compute of a word alone, kept from one call to the next."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from siamese.inference.parts import Tables
from siamese.inference.threads import Each

Tabulate = Callable[[np.ndarray], dict[str, Tables]]  # int64[words] -> name of a layer -> its tables
KEPT_NUMBERS = 2**24  # maximal size of the rows that are kept, 64 MB
BLOCK = 8  # words that are computed together; of more, OpenBLAS does not treat all rows alike on every processor


class WordTables:
    """The tables of words, where those of a word are computed when it is first asked for, and then kept.

    New words are computed in blocks of one size, in which a matrix product treats all rows alike. So the row of a word, and
    with it the embedding of a question, is the same to the bit whatever was asked before or together with it, and threads that
    compute it at the same time write the same. Where there are fewer new words, the most frequent of those that nobody asked
    for yet fill the block: they cost nothing there, and a later question does not wait for them.

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
        """The tables of a few words, which may recur: name of a layer -> `float32[words, width]` each."""
        new = sorted({word for word in words if not self._is_kept[word]})
        if new:
            new = sorted(new + self._awaited(-len(new) % BLOCK, new))
            blocks = [self._block(np.array(new[start : start + BLOCK])) for start in range(0, len(new), BLOCK)]
            computed = np.concatenate(blocks)
            self._keep(np.array(new), computed)
        if not new or new[-1] < len(self._rows):
            found = self._rows.take(words, axis=0)
        else:
            row = dict(zip(new, computed, strict=True))
            found = np.stack([row[word] if word in row else self._rows[word] for word in words])
        return {name: [found[:, table] for table in tables] for name, tables in self._columns.items()}

    def _awaited(self, most: int, but: Sequence[int]) -> list[int]:
        """The first `most` words that are not kept, though there is room for them, without those of `but`."""
        found: list[int] = []
        word = -1
        while len(found) < most and (word := self._is_kept.find(0, word + 1, len(self._rows))) >= 0:
            if word not in but:
                found.append(word)
        return found

    def of_batch(self, words: np.ndarray, each: Each) -> dict[str, Tables]:
        """The same of many distinct words, `int64[words]`; `each` computes the blocks of new ones."""
        found = self._rows_of(words, each)
        return {
            name: [np.ascontiguousarray(found[:, table]) for table in tables] for name, tables in self._columns.items()
        }

    def _rows_of(self, words: np.ndarray, each: Each) -> np.ndarray:
        """`float32[words, width of all tables]` of distinct words."""
        is_kept = np.frombuffer(self._is_kept, bool)[words]
        if is_kept.all():
            return self._rows.take(words, axis=0)
        new = words[~is_kept]
        blocks = each(self._block, np.split(new, range(BLOCK, len(new), BLOCK)))
        computed = np.concatenate(blocks)
        found = np.empty((len(words), computed.shape[1]), np.float32)
        found[is_kept], found[~is_kept] = self._rows.take(words[is_kept], axis=0), computed
        self._keep(new, computed)
        return found

    def _keep(self, new: np.ndarray, computed: np.ndarray) -> None:
        """Keep the rows of new words, `int64[words]` ascending, as far as there is room."""
        fits = int(np.searchsorted(new, len(self._rows)))
        self._rows[new[:fits]] = computed[:fits]
        np.frombuffer(self._is_kept, bool)[new[:fits]] = True  # not before the rows are whole

    def _block(self, words: np.ndarray) -> np.ndarray:
        """`float32[words, width of all tables]` of at most BLOCK words."""
        filled = np.concatenate([words, np.repeat(words[:1], BLOCK - len(words))])
        tables = self._tabulate(filled)
        rows = np.concatenate([table for of_layer in tables.values() for table in of_layer], axis=1)
        with self._lock:
            if not self._columns:
                self._reserve(tables, rows.shape[1])
        return rows[: len(words)]

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
