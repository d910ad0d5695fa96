"""Chunks: what lies between the spaces of a question. Each distinct one is tokenised once.

Of half a million questions 100,000 chunks remain. The tokens are those of the whole question, since a space (U+0020)
composes with no character in NFKC and is part of no token; other white space stays in its chunk, for the
tokeniser to judge.
"""

import numpy as np
import pyarrow.compute as pc
from tokenizers import Tokenizer

from siamese.data.texts import Texts

BLOCK = 2**16  # questions worked on at once: bounds the memory of what lies between texts and ids
CHUNKS_KEPT = 2**18  # distinct chunks remembered while questions are encoded or counted, about 40 MB


class Numbering(dict[str, int]):
    """Numbers whatever it is asked for, from 0 in the order of the first asking."""

    def __missing__(self, key: str) -> int:
        self[key] = len(self)
        return self[key]


def distinct_chunks(texts: Texts, cut: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The chunks of texts cut at each space, or the whole texts where `cut` is false.

    Returns:
        The distinct chunks; `int32[chunks]`, which of them each text has, one text after another; and
        `int64[texts + 1]`, text i has the chunks from its entry to the next.
    """
    if cut:
        lists = pc.split_pattern(texts.utf8, " ")
        every, ends = lists.flatten(), np.from_dlpack(lists.offsets)
    else:
        every, ends = texts.utf8, np.arange(len(texts) + 1)
    coded = every.dictionary_encode()
    return [chunk.decode() for chunk in coded.dictionary.to_pylist()], np.from_dlpack(coded.indices), ends


def words_of(tokenizer: Tokenizer, chunks: list[str]) -> tuple[list[str], np.ndarray]:
    """The words of chunks one after another, in or outside the vocabulary; how many each has, `int64[chunks]`."""
    normalized = [tokenizer.normalizer.normalize_str(chunk) for chunk in chunks]
    ends = np.cumsum(np.fromiter(map(len, normalized), np.int64) + 1)
    words = tokenizer.pre_tokenizer.pre_tokenize_str(" ".join(normalized))  # one call is faster than one a chunk
    starts = np.fromiter((start for _, (start, _) in words), np.int64, len(words))
    return [word for word, _ in words], np.bincount(np.searchsorted(ends, starts, "right"), minlength=len(chunks))
