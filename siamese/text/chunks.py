"""Chunks: substrings of questions between spaces, each distinct one tokenized once.

Half a million questions have 100,000 distinct chunks. The tokens equal those of the whole question, since a space
(U+0020) composes with no character in NFKC and is part of no token. Other white space stays in its chunk.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain, pairwise

import numpy as np
from tokenizers import Tokenizer

from siamese.data.texts import Texts

BLOCK = 2**16  # questions processed at once: bounds the memory for intermediate results
FEW = 2**12  # questions that are cut without importing Arrow
AT_ONCE = 2**15  # characters tokenized at once: the tokenizer's results take a hundred times as many bytes
CHUNKS_KEPT = 2**18  # distinct chunks cached while questions are encoded or counted, about 40 MB


class Numbering(dict[str, int]):
    """Assigns consecutive numbers to new keys, from 0."""

    def __missing__(self, key: str) -> int:
        self[key] = len(self)
        return self[key]


def shortened(texts: Texts, most: int) -> Texts:
    """Texts without what follows their first `most` characters."""
    # bytes, of which a character has at least one; of a few texts, all together are the quicker question
    if texts.offsets[-1] - texts.offsets[0] <= most or np.diff(texts.offsets).max() <= most:
        return texts
    return Texts.of(text[:most] for text in texts)


def batches(chunks: list[str]) -> Iterator[list[str]]:
    """Chunks in lists of about AT_ONCE characters."""
    if sum(map(len, chunks)) <= AT_ONCE:
        yield chunks
        return
    ends = np.cumsum(np.fromiter(map(len, chunks), np.int64, len(chunks)))
    starts = np.unique(np.searchsorted(ends, np.arange(0, ends[-1], AT_ONCE), "right"))
    for start, end in pairwise([0, *starts[starts > 0].tolist(), len(chunks)]):
        yield chunks[start:end]


def distinct_chunks(texts: Texts, cut: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The chunks of texts cut at each space, or the whole texts where `cut` is false.

    Returns:
        The distinct chunks; `int32[chunks]`, the index of each chunk of all texts in turn; and offsets
        `int64[texts + 1]` of the texts among them.
    """
    if len(texts) > FEW and find_spec("pyarrow"):
        return _distinct_by_arrow(texts, cut)
    chunks = [text.decode().split(" ") if cut else [text.decode()] for text in texts.encoded()]
    ends = np.cumsum([0, *map(len, chunks)])
    number = Numbering()
    which = np.fromiter(map(number.__getitem__, chain.from_iterable(chunks)), np.int32, ends[-1])
    return list(number), which, ends


def _distinct_by_arrow(texts: Texts, cut: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The same with Arrow, four times as fast; importing it costs as much as cutting 20,000 questions without it."""
    import pyarrow.compute as pc

    if cut:
        lists = pc.split_pattern(texts.arrow(), " ")
        every, ends = lists.flatten(), np.from_dlpack(lists.offsets)
    else:
        every, ends = texts.arrow(), np.arange(len(texts) + 1)
    coded = every.dictionary_encode()
    return [chunk.decode() for chunk in coded.dictionary.to_pylist()], np.from_dlpack(coded.indices), ends


def words_of(tokenizer: Tokenizer, chunks: list[str]) -> tuple[list[str], np.ndarray]:
    """The words of chunks, known or not, one chunk after another; the number of words of each, `int64[chunks]`."""
    normalized = [tokenizer.normalizer.normalize_str(chunk) for chunk in chunks]
    ends = np.cumsum(np.fromiter(map(len, normalized), np.int64) + 1)
    words = tokenizer.pre_tokenizer.pre_tokenize_str(" ".join(normalized))  # one call is faster than one a chunk
    starts = np.fromiter((start for _, (start, _) in words), np.int64, len(words))
    return [word for word, _ in words], np.bincount(np.searchsorted(ends, starts, "right"), minlength=len(chunks))
