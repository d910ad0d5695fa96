"""Lexicon: what words tell without any training, a row of numbers for each token id.

A question's lexical vector is the mean of its tokens' rows. It holds blocks, each compared by its own cosine:

    letters    trigrams of letters times their inverse document frequency (Salton & Buckley 1988), added up in `width` columns
               with alternating signs (feature hashing, Weinberger et al. 2009), so that products stay those of the trigrams
               but for noise of about 1 / √width
    numbers    which numbers occur, added up in NUMBERS columns in the same way
    negations  whether there is one, English or French

It says nothing of a word that the vocabulary lacks: the unknown token has zeros, and words that share an id (see
`Vectorizer`) share one column of letters.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siamese.data.checked_folder import CheckedFolder
from siamese.text.inputs import UNKNOWN
from siamese.text.vectorizer import FILE, Vectorizer

NAME = "lexicon"  # of the layer that holds the rows; of the folder of a detector that reads the vectors of an encoder
ROWS = "rows.npz"
BLOCKS = ("letters", "numbers", "negations")
NUMBERS = 32
MOST_COLUMNS = 2**12  # of rows that are read
GRAM = 3  # letters
WORD_START, CONTINUED, SPACE = "<", "##", "\u2581"  # of a trigram; of word pieces; of subwords that begin a word
# n't ends in the token t
NEGATIONS = frozenset(["not", "no", "never", "without", "cannot", "t", "ne", "n", "pas", "jamais", "sans"])


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The words of a vectorizer and their rows.

    Attributes:
        vectorizer: texts -> token ids.
        rows: `float32[ids, sum(widths)]`, the blocks side by side.
    """

    vectorizer: Vectorizer
    rows: np.ndarray

    @classmethod
    def learn(cls, vectorizer: Vectorizer, questions: Sequence[str], width: int = 256) -> "Lexicon":
        """The rows of all token ids; from the questions come the document frequencies alone.

        Args:
            vectorizer: of the words.
            questions: the training questions, each once.
            width: columns for the trigrams, at least 1.

        Raises:
            ValueError: the width is below 1.
        """
        if width < 1:
            raise ValueError(f"similarity.width must be at least 1, got {width}")
        texts = _texts(vectorizer.vocabulary)
        number: dict[str, int] = {}
        grams = [(token, number.setdefault(gram, len(number))) for token, text in texts for gram in _grams(text)]
        buckets = range(len(vectorizer.vocabulary), vectorizer.size)  # as if each were a trigram of its own
        grams += [(token, len(number) + i) for i, token in enumerate(buckets)]
        token, gram = np.array(grams, np.int64).reshape(-1, 2).T

        ids = vectorizer.encode(questions)
        count = np.bincount(ids.values, minlength=vectorizer.size)
        seen = np.minimum(np.bincount(gram, weights=count[token]), len(ids))  # repetitions within a question count, too
        rarity = np.log((1 + len(ids)) / (1 + seen)) + 1
        rank = np.empty(len(seen), np.int64)
        rank[np.argsort(-seen, kind="stable")] = np.arange(len(seen))  # frequent ones do not share a column
        rows = np.zeros((vectorizer.size, sum(widths(width))), np.float32)
        np.add.at(rows, (token, rank[gram] % width), _signs(rank[gram], width) * rarity[gram])

        digits = np.array([i for i, text in texts if any(map(str.isdigit, text))], np.int64)
        order = np.arange(len(digits))
        rows[digits, width + order % NUMBERS] = _signs(order, NUMBERS)
        rows[[i for i, text in texts if _is_negation(text)], -1] = 1
        return cls(vectorizer, _rounded(rows))

    @property
    def digest(self) -> str:
        """SHA-256 of words and rows, 64 hexadecimal digits."""
        return hashlib.sha256(self.vectorizer.to_json().encode() + self.rows.tobytes()).hexdigest()

    def vectors(self, questions: Sequence[str]) -> np.ndarray:
        """Lexical vectors `float32[questions, sum(widths)]` of texts."""
        ids = self.vectorizer.encode(questions)
        if not len(ids):
            return np.empty((0, self.rows.shape[1]), np.float32)
        return np.add.reduceat(self.rows[ids.values], ids.offsets[:-1]) / ids.lengths[:, None].astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the folder `lexicon` into an existing one."""
        (folder / NAME).mkdir()
        self.vectorizer.save(folder / NAME)
        np.savez_compressed(folder / NAME / ROWS, rows=self.rows)

    @classmethod
    def load(cls, folder: Path | CheckedFolder) -> "Lexicon | None":
        """What `save` wrote, None if it did not; ValueError if a file is not whole, or they do not fit together."""
        folder = CheckedFolder.of(folder)
        if not folder.has(NAME):
            return None
        vectorizer = Vectorizer.load(folder, f"{NAME}/{FILE}")
        rows = folder.arrays(f"{NAME}/{ROWS}", most=vectorizer.size * MOST_COLUMNS * 4).get("rows", np.empty(0))
        if rows.ndim != 2 or rows.dtype != np.float32 or len(rows) != vectorizer.size:
            raise ValueError(
                f"{folder.path / NAME / ROWS} must be float32[{vectorizer.size}, width], got {rows.dtype}{list(rows.shape)}"
            )
        return cls(vectorizer, rows)


def widths(width: int) -> tuple[int, int, int]:
    """Columns of each of the BLOCKS."""
    return width, NUMBERS, 1


def _texts(vocabulary: Sequence[str]) -> list[tuple[int, str]]:
    """Token id and letters of each token but padding and unknown, WORD_START before those that begin a word."""
    spaced = any(token.startswith(SPACE) for token in vocabulary)
    texts = []
    for number, token in enumerate(vocabulary[UNKNOWN + 1 :], start=UNKNOWN + 1):
        inside = token.startswith(CONTINUED) or (spaced and not token.startswith(SPACE))
        letters = token.removeprefix(SPACE if spaced else CONTINUED)
        texts.append((number, letters if inside else WORD_START + letters))
    return texts


def _grams(text: str) -> list[str]:
    return [text[i : i + GRAM] for i in range(max(1, len(text) - GRAM + 1))]


def _is_negation(text: str) -> bool:
    """Whether a token is a word of NEGATIONS, elided ("n'") or behind an apostrophe ("don't", "'t")."""
    begins, letters = text.startswith(WORD_START), text.removeprefix(WORD_START)
    return letters.rstrip("'").rpartition("'")[2] in NEGATIONS and (begins or "'" in letters)


def _signs(rank: np.ndarray, width: int) -> np.ndarray:
    """Signs of what is added up in `width` columns, `float64[n]`: those that share a column alternate."""
    return np.where(rank // width % 2, -1.0, 1.0)


def _rounded(rows: np.ndarray) -> np.ndarray:
    """Rows rounded to 8 bits each, which they are stored in (see `siamese.inference.network`)."""
    scale = np.maximum(np.abs(rows).max(axis=1, keepdims=True) / np.float32(127), np.float32(1e-30))
    return np.rint(rows / scale) * scale
