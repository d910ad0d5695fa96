"""Remembered chunks: those of earlier questions, so that a server tokenizes a word once and not in each request."""

import threading
from collections.abc import Callable, Collection
from itertools import repeat

import numpy as np

from siamese.text import chunks, known_words

MOST = 2**17  # chunks, about 30 MB with what is kept of each
MOST_CHARACTERS = 2**22  # of all of them

# new chunks -> their token ids, one after another, `int32[tokens]`; their number in each, `int64[chunks]`; and the counts of
# words, `int32[chunks, 2 * known_words.KINDS]`
Tokenize = Callable[[list[str]], tuple[np.ndarray, np.ndarray, np.ndarray]]
_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # of `_Known`


class RememberedChunks:
    """Chunk -> its token ids and its `known_words.count`. Threads may read at the same time."""

    def __init__(self) -> None:
        self._known = _Known()

    def __len__(self) -> int:
        return len(self._known.number)

    def read(self, every: list[str], tokenize: Tokenize) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `tokenize` gives for chunks, of which some may come several times, and which it gets only where they are new."""
        rows, (ids, starts, counts, words) = self._find(every, tokenize)
        lengths = counts[rows]
        ends = np.cumsum(lengths)
        tokens = np.repeat(starts[rows] - (ends - lengths), lengths) + np.arange(lengths.sum())
        return ids[tokens], lengths, words.take(rows, axis=0)

    def ids(self, every: list[str], tokenize: Tokenize) -> np.ndarray:
        """The first part of `read` alone, in half the time where most chunks have one token, as those of a question do."""
        rows, (ids, starts, counts, _) = self._find(every, tokenize)
        first, lengths = starts.take(rows), counts.take(rows).tolist()
        if lengths.count(1) == len(lengths):
            return ids.take(first)
        return np.concatenate([ids[at : at + length] for at, length in zip(first.tolist(), lengths, strict=True)])

    def _find(self, every: list[str], tokenize: Tokenize) -> tuple[np.ndarray, _Arrays]:
        """The rows of chunks, `int64[chunks]`, in arrays that have all of them."""
        known = self._known
        rows = known.rows(every)
        if len(rows) and rows.min() < 0:
            known.add({every[at] for at in np.flatnonzero(rows < 0).tolist()}, tokenize)
            rows = known.rows(every)
            if known.is_full():
                self._known = _Known()
        return rows, known.arrays


class _Known:
    """What is known of chunks, a row each.

    Attributes:
        number: chunk -> its row.
        arrays: `int32[tokens]`, the ids of all chunks; and by row the first of its ids, their number (`int64[rows]` each) and
            the counts of its words. Behind what is known the arrays have room, which only `add` uses.
    """

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        rows = np.empty(0, np.int64)
        self.arrays = np.empty(0, np.int32), rows, rows, np.empty((0, 2 * known_words.KINDS), np.int32)
        self._lock = threading.Lock()
        self._tokens = self._rows = self._characters = 0

    def rows(self, every: list[str]) -> np.ndarray:
        """The rows of chunks, `int64[chunks]`, -1 for a new one."""
        return np.fromiter(map(self.number.get, every, repeat(-1)), np.int64, len(every))

    def is_full(self) -> bool:
        """Whether no more chunks may be added."""
        return self._rows > MOST or self._characters > MOST_CHARACTERS

    def add(self, new: Collection[str], tokenize: Tokenize) -> None:
        """Add distinct chunks. If two threads add the same one, either row is right."""
        for batch in chunks.batches(list(new)):
            ids, counts, words = tokenize(batch)
            with self._lock:
                known_ids, known_starts, known_counts, known = self.arrays
                self.arrays = (
                    _extended(known_ids, self._tokens, ids),
                    _extended(known_starts, self._rows, self._tokens + np.cumsum(counts) - counts),
                    _extended(known_counts, self._rows, counts),
                    _extended(known, self._rows, words),
                )
                self.number.update(zip(batch, range(self._rows, self._rows + len(batch)), strict=True))
                self._rows += len(batch)
                self._tokens += len(ids)
                self._characters += sum(map(len, batch))


def _extended(array: np.ndarray, used: int, more: np.ndarray) -> np.ndarray:
    """An array with `more` behind its `used` rows, and room for as many again; the same one if it has room already."""
    end = used + len(more)
    if end > len(array):
        larger = np.empty((2 * end, *array.shape[1:]), array.dtype)
        larger[:used] = array[:used]
        array = larger
    array[used:end] = more
    return array
