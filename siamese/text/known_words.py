"""Known words: which words of a question a vocabulary knows.

A word is known if the vocabulary has it whole. The pieces of a table, and subwords, spell any word of their alphabet: there
it must be one piece, and only words of at least LONG letters count, as shorter ones are pieces in every language. Numbers
are known however they are spelled. Punctuation counts only where there is nothing else.
"""

from collections.abc import Collection, Mapping
from itertools import groupby
from operator import itemgetter

import numpy as np
from tokenizers import Tokenizer

from siamese.text import chunks
from siamese.text.inputs import UNKNOWN

KINDS = 3  # of words, see `count`
LONG = 4  # letters of a word


def count(
    tokenizer: Tokenizer, ids: Mapping[str, int] | None, texts: list[str], unknown: Collection[int | None] = (UNKNOWN,)
) -> np.ndarray:
    """How many words of texts count, and how many of these are known, for each kind of words: `int32[texts, 2 * KINDS]`.

    The kinds, of which the first that a question has counts: words (of subwords those with at least LONG letters);
    other words and numbers; all else.

    Args:
        tokenizer: splits texts into words, or pieces of words.
        ids: of the words in the vocabulary; None if it has pieces.
        texts: chunks of questions.
        unknown: ids of the pieces that stand for what the vocabulary cannot spell.
    """
    if ids is not None:
        return count_whole(*chunks.words_of(tokenizer, texts), ids)
    found = np.zeros((len(texts), KINDS, 2), np.int32)
    for row, (text, encoding) in enumerate(zip(texts, tokenizer.encode_batch(texts), strict=True)):
        spelled = zip(encoding.word_ids, encoding.ids, encoding.offsets, strict=True)
        for _, word_pieces in groupby(spelled, key=itemgetter(0)):
            pieces = [(piece, text[start:end]) for _, piece, (start, end) in word_pieces]
            pieces = [each for each in pieces if any(map(str.isalnum, each[1]))] or pieces
            word = "".join(part for _, part in pieces)
            letters, is_number = sum(map(str.isalnum, word)), not any(map(str.isalpha, word))
            kind = 2 if not letters else 1 if is_number or letters < LONG else 0
            is_known = (len(pieces) == 1 or is_number) and all(piece not in unknown for piece, _ in pieces)
            found[row, kind] += 1, is_known
    return found.reshape(len(texts), 2 * KINDS)


def count_whole(words: list[str], counts: np.ndarray, ids: Mapping[str, int]) -> np.ndarray:
    """`count` where the vocabulary has whole words, of the words of all texts in turn, `counts` of each, `int64[texts]`."""
    found = np.zeros((len(counts), KINDS, 2), np.int32)
    for row, word in zip(np.repeat(np.arange(len(counts)), counts).tolist(), words, strict=True):
        kind = 0 if any(map(str.isalnum, word)) else 2
        found[row, kind] += 1, word in ids
    return found.reshape(len(counts), 2 * KINDS)


def share(words: np.ndarray) -> np.ndarray:
    """The share of known words, `float64[questions]`, of what `count` counts of each question."""
    counted, known = words[:, 0::2], words[:, 1::2]
    row, kind = np.arange(len(words)), (counted > 0).argmax(axis=1)
    return known[row, kind] / np.maximum(1, counted[row, kind])


def share_of_questions(words: np.ndarray, question_ends: np.ndarray) -> np.ndarray:
    """`share` of questions, from what `count` counts of all their chunks and the places of these where questions end."""
    ends = np.cumsum(np.vstack([np.zeros((1, words.shape[1]), np.int64), words]), axis=0)
    return share(np.diff(ends[question_ends], axis=0))
