"""Remembered chunks: those of earlier questions, so that a server tokenizes a word once and not in each request."""

from collections.abc import Callable

import numpy as np

from siamese.text import chunks, known_words

MOST = 2**16  # chunks, about 30 MB
LONGEST = 64  # characters; longer ones hardly come again


class RememberedChunks:
    """Chunk -> its token ids and its `known_words.count`. Threads may read at the same time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, bytes]] = {}  # int32 arrays as bytes, which are joined at once

    def __len__(self) -> int:
        return len(self._known)

    def read(
        self,
        every: list[str],
        tokenize: Callable[[list[str]], tuple[np.ndarray, np.ndarray]],
        count_words: Callable[[list[str]], np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The token ids of chunks, one after another, `int32[tokens]`; their number in each, `int64[chunks]`; and the counts of
        words, `int32[chunks, 2 * known_words.KINDS]`.

        Args:
            every: the chunks, also those that come several times.
            tokenize: new chunks -> the first two.
            count_words: new chunks -> the last.
        """
        found = list(map(self._known.get, every))
        if None in found:
            new = self._read_new(
                {chunk for chunk, known in zip(every, found, strict=True) if known is None}, tokenize, count_words
            )
            found = [known or new[chunk] for chunk, known in zip(every, found, strict=True)]
        tokens = [known[0] for known in found if known]
        ids, counts = (
            np.frombuffer(b"".join(tokens), np.int32),
            np.fromiter(map(len, tokens), np.int64, len(tokens)) // 4,
        )
        words = np.frombuffer(b"".join([known[1] for known in found if known]), np.int32)
        return ids, counts, words.reshape(-1, 2 * known_words.KINDS)

    def _read_new(
        self,
        distinct: set[str],
        tokenize: Callable[[list[str]], tuple[np.ndarray, np.ndarray]],
        count_words: Callable[[list[str]], np.ndarray],
    ) -> dict[str, tuple[bytes, bytes]]:
        found = {}
        for new in chunks.batches(list(distinct)):
            ids, counts = tokenize(new)
            ends = np.cumsum(counts).tolist()
            for chunk, start, end, words in zip(new, [0, *ends[:-1]], ends, count_words(new), strict=True):
                found[chunk] = ids[start:end].tobytes(), words.tobytes()
        if len(self._known) + len(found) > MOST:
            self._known = {}
        self._known.update({chunk: known for chunk, known in found.items() if len(chunk) <= LONGEST})
        return found
