"""Tokens of chunks: what a tokenizer and the buckets make of the pieces between spaces, each of them once."""

import zlib
from itertools import chain

import numpy as np
from tokenizers import Tokenizer, models

from siamese.text import chunks, known_words
from siamese.text.inputs import UNKNOWN


class ChunkTokens:
    """Chunks -> token ids, and how many of their words are known.

    Args:
        tokenizer: text -> words or subwords.
        oov_buckets: ids behind those of the tokenizer for words that it does not know.
        max_length: tokens that are kept of a question.
    """

    def __init__(self, tokenizer: Tokenizer, oov_buckets: int, max_length: int):
        self._tokenizer, self._oov_buckets, self._max_length = tokenizer, oov_buckets, max_length
        # None for subwords, which the tokenizer's model finds
        self._ids = tokenizer.get_vocab() if isinstance(tokenizer.model, models.WordLevel) else None
        self._first_bucket = tokenizer.get_vocab_size()

    def read(self, new: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `ids` and `count_words` give, whose words are found once."""
        if self._ids is None:
            return *self.ids(new), self.count_words(new)
        words, counts = chunks.words_of(self._tokenizer, new)
        return *self._first(self._ids_of(words), counts), known_words.count_whole(words, counts, self._ids)

    def ids(self, new: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The first token ids of chunks, one after another, `int32[tokens]`, and their number in each, `int64[chunks]`."""
        return self._first(*self._all_ids(new))

    def _first(self, ids: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if counts.max(initial=0) > self._max_length + 1:  # one more tells that a question is cut
            ids, counts = ids[is_leading(counts, self._max_length + 1)], np.minimum(counts, self._max_length + 1)
        return ids, counts

    def _all_ids(self, new: list[str]) -> tuple[np.ndarray, np.ndarray]:
        if self._ids is None:
            encodings = self._tokenizer.encode_batch_fast(new)
            lists = [encoding.ids for encoding in encodings]
            return np.fromiter(chain.from_iterable(lists), np.int32), np.fromiter(map(len, lists), np.int64)
        words, counts = chunks.words_of(self._tokenizer, new)
        return self._ids_of(words), counts

    def _ids_of(self, words: list[str]) -> np.ndarray:
        """The ids of whole words, known or not, `int32[words]`."""
        known, first, buckets = self._ids or {}, self._first_bucket, self._oov_buckets
        outside = (lambda word: first + zlib.crc32(word.encode()) % buckets) if buckets else (lambda word: UNKNOWN)
        return np.fromiter((known.get(word) or outside(word) for word in words), np.int32, len(words))

    def count_words(self, new: list[str]) -> np.ndarray:
        """As `known_words.count`."""
        return known_words.count(self._tokenizer, self._ids, new)


def is_leading(counts: np.ndarray, most: int) -> np.ndarray:
    """Which of the tokens of several texts in turn, of `counts` each, are among the first `most` of theirs: `bool[tokens]`.

    >>> is_leading(np.array([1, 3]), 2)
    array([ True,  True,  True, False])
    """
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) < most
