"""Word rows: a sentence encoder's vector of each word alone, as first word vectors of a tower that learns from pairs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from siamese.pretrained import cache
from siamese.pretrained.encoders import Encoder
from siamese.text.inputs import UNKNOWN
from siamese.text.word_vectors import WordVectors, with_known_rows

MARKS = ("##", "▁")  # where subwords continue or begin a word


def encoded(
    vocabulary: Sequence[str],
    size: int,
    seed: int,
    encoder: Encoder,
    trainable: bool,
    width: int | None,
    weighted: bool = False,
    pull: float = 0.0,
) -> WordVectors:
    """The encoder's vectors of the words, centered and along their principal axes (model2vec, without its weights).

    Rare words start where the encoder knows them to be, which few pairs could not teach.

    Args:
        vocabulary, size, seed: as in `siamese.text.word_vectors.random`; buckets start at random.
        encoder: encodes each word as a text.
        trainable: whether training tunes the vectors.
        width: numbers for each word: the first principal axes, and behind all of them random columns; None for the encoder's.
        weighted, pull: of `WordVectors`.

    Raises:
        ValueError: width is below 1.
    """
    if width is not None and width < 1:
        raise ValueError(f"vectors.width must be at least 1, got {width}")
    words = vocabulary[UNKNOWN + 1 :]
    alone = cache.vectors(encoder, [_without_marks(word) for word in words])
    centered = alone - alone.mean(axis=0)
    _, axes = np.linalg.eigh(centered.T @ centered)  # by rising variance
    rows = centered @ axes[:, ::-1][:, :width]
    known = dict(zip(words, rows, strict=True))
    return replace(with_known_rows(vocabulary, size, seed, known, trainable, width), weighted=weighted, pull=pull)


def _without_marks(token: str) -> str:
    for mark in MARKS:
        token = token.removeprefix(mark) or token
    return token
