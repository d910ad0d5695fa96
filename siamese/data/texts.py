"""Texts: many texts in one buffer, and numbers for equal texts."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice, pairwise
from operator import eq
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 2**15  # texts that are Python objects at the same time
LONE_SURROGATES = "surrogatepass"  # half an emoji is not UTF-8, but keeps its place in a table
TAKEN_AT_ONCE = 2**10  # texts copied at once: their index, 8 bytes a byte, stays in the cache


class Texts(Sequence[str]):
    """An immutable sequence of texts: their UTF-8 in one buffer, and the offset of each.

    A tuple of str takes 50 bytes more a text and is slow to free. Here a text becomes a str when it is read: iteration
    and `take` are fast, single indices less so.

    >>> texts = Texts.of(["Why?", "Où ?", "Why?"])
    >>> texts[1], list(texts.take(np.array([2, 1])))
    ('Où ?', ['Why?', 'Où ?'])

    Attributes:
        utf8: `uint8[bytes]`.
        offsets: `int64[texts + 1]`; text i is `utf8[offsets[i]:offsets[i + 1]]`.
    """

    def __init__(self, utf8: np.ndarray, offsets: np.ndarray):
        self.utf8 = utf8
        self.offsets = offsets

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """The texts as Texts; no copy if they are Texts already."""
        if isinstance(texts, Texts):
            return texts
        builder = TextsBuilder()
        builder.add(texts)
        return builder.texts()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Texts": ...
    def __getitem__(self, index: int | slice) -> "str | Texts":
        rows = range(len(self))[index]
        if isinstance(rows, int):
            return next(iter(self[rows : rows + 1]))
        if rows.step != 1:
            return self.take(np.array(rows, np.int64))
        return Texts(self.utf8, self.offsets[rows.start : max(rows.start, rows.stop) + 1])

    def __iter__(self) -> Iterator[str]:
        for text in self.encoded():
            yield text.decode("utf-8", LONE_SURROGATES)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return len(self) == len(other) and all(map(eq, self.encoded(), other.encoded()))
        return isinstance(other, list | tuple) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __repr__(self) -> str:
        return f"<{len(self)} Texts>"

    def encoded(self) -> Iterator[bytes]:
        """The UTF-8 of each text."""
        for block in self.blocks(BLOCK):
            first, last = block.offsets[[0, -1]]
            utf8, offsets = self.utf8[first:last].tobytes(), (block.offsets - first).tolist()
            for start, end in pairwise(offsets):
                yield utf8[start:end]

    def blocks(self, size: int) -> Iterator["Texts"]:
        """The texts in runs of `size`, the last may be shorter; nothing is copied."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def take(self, rows: np.ndarray) -> "Texts":
        """The texts at `rows` (`int[n]`), in their order."""
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        utf8 = np.empty(offsets[-1], np.uint8)
        for first in range(0, len(rows), TAKEN_AT_ONCE):
            last = min(first + TAKEN_AT_ONCE, len(rows))
            byte = np.repeat(starts[first:last] - offsets[first:last], lengths[first:last])
            byte += np.arange(offsets[first], offsets[last])
            utf8[offsets[first] : offsets[last]] = self.utf8[byte]
        return Texts(utf8, offsets)

    def arrow(self) -> "pa.LargeBinaryArray":
        """An array of Apache Arrow over the same memory."""
        import pyarrow as pa

        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.utf8)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self), buffers)


class TextsBuilder:
    """Builds Texts in one growing buffer, so that nothing is in memory twice."""

    def __init__(self) -> None:
        self._utf8 = bytearray()
        self._starts = bytearray(bytes(8))  # int64[texts + 1]

    def add(self, texts: Iterable[str]) -> None:
        """Append `texts`."""
        encoded = _encoded(texts)
        while block := list(islice(encoded, BLOCK)):
            self._starts += (len(self._utf8) + np.cumsum(np.fromiter(map(len, block), np.int64))).tobytes()
            self._utf8 += b"".join(block)

    def texts(self) -> Texts:
        """The texts added so far; the builder takes no more afterwards."""
        return Texts(np.frombuffer(self._utf8, np.uint8), np.frombuffer(self._starts, np.int64))


def factorize(*columns: Iterable[str]) -> list[np.ndarray]:
    """Number texts so that equal texts, in whichever column, have the same number (as `pandas.factorize`).

    Texts are compared by 128 bits of BLAKE2b. A collision among a billion texts has probability 1e-21.

    >>> [numbers.tolist() for numbers in factorize(["a", "b", "a"], ["c", "b"])]
    [[0, 1, 0], [2, 1]]

    Returns:
        For each column `int32[texts]`. Numbers count from 0 in the order in which the texts first appear.
    """
    return number_fingerprints(*map(fingerprints, columns))


def number_fingerprints(*columns: np.ndarray) -> list[np.ndarray]:
    """`factorize`, given the fingerprints of each column, `uint64[texts, 2]`."""
    ends = np.cumsum([len(column) for column in columns])
    every = np.concatenate(columns)
    order = np.lexsort(every.T)  # stable: equal texts stay in their order
    ordered = every[order]
    opens = np.concatenate([np.ones(min(1, len(every)), bool), (ordered[1:] != ordered[:-1]).any(axis=1)])
    rank = np.empty(np.count_nonzero(opens), np.int32)
    rank[np.argsort(order[opens])] = np.arange(len(rank), dtype=np.int32)
    numbers = np.empty(len(every), np.int32)
    numbers[order] = rank[np.cumsum(opens) - 1]
    return np.split(numbers, ends[:-1])


def fingerprints(texts: Iterable[str]) -> np.ndarray:
    """BLAKE2b of each text's UTF-8: `uint64[texts, 2]`."""
    encoded, digests = _encoded(texts), bytearray()
    while block := [blake2b(text, digest_size=16).digest() for text in islice(encoded, BLOCK)]:
        digests += b"".join(block)
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)


def _encoded(texts: Iterable[str]) -> Iterator[bytes]:
    return texts.encoded() if isinstance(texts, Texts) else (text.encode("utf-8", LONE_SURROGATES) for text in texts)
