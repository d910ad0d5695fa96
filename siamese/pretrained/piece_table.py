"""Piece table: word pieces with pretrained rows, the start of towers that read words.

A folder of two files: `tokenizer.json` spells every word in pieces, and `rows.npz` has a row for each piece, distilled from
a sentence encoder (`siamese.training.distillation`), so that the mean of a question's rows points where the encoder's
vector of the question does. A word that no training question holds has rows, too. Two tables ship with the project, in
`tables/`; `tables/NOTICE` names their encoders, texts and licenses. A detector has a table, too: its words and their rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from siamese.data.checked_folder import CheckedFolder
from siamese.data.folders import atomic_folder
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import FILES as RUNTIME_FILES
from siamese.pretrained import encoders
from siamese.text import lexicon
from siamese.text import vectorizer as words
from siamese.text.inputs import UNKNOWN
from siamese.text.tokenizer_forms import tokenizer_from
from siamese.text.vectorizer import Vectorizer
from siamese.text.vocabulary import SPECIAL, fold_case
from siamese.text.word_vectors import WordVectors, random

SHIPPED = Path(__file__).with_name("tables")
FILES: tuple[str, ...] = ("tokenizer.json", "rows.npz")
DETECTOR = RUNTIME_FILES["numpy"]  # of a detector, beside its words
MOST_COLUMNS = 2**12  # of a table that is read
SAMPLE = 2_000  # questions by which a shipped table is chosen
# Of a word, on average: English and French need 1.1 in their own tables, 1.5 in the other one, German 2.2.
MOST_PIECES = 1.6
UNKNOWN_PIECES = 5  # that a word with an unknown sign counts as


@dataclass(frozen=True)
class PieceTable:
    """Pieces and their rows.

    Attributes:
        tokenizer: text -> ids of pieces; 0 is padding, 1 a sign that no piece has.
        rows: `int8[pieces + buckets, width]`, of a detector `float32`.
        scale: `float32[pieces + buckets]`, what each row is multiplied by.
        buckets: rows behind those of the pieces, for words that a detector did not know, see `Vectorizer`.
    """

    tokenizer: Tokenizer
    rows: np.ndarray
    scale: np.ndarray
    buckets: int = 0

    @classmethod
    def of(cls, tokenizer: Tokenizer, rows: np.ndarray) -> "PieceTable":
        """The table of rows `float32[pieces, width]`, rounded to 8 bits."""
        scale = np.abs(rows).max(axis=1) / 127
        return cls(tokenizer, np.rint(rows / np.maximum(scale, 1e-12)[:, None]).astype(np.int8), scale)

    @classmethod
    def of_detector(cls, folder: Path) -> "PieceTable":
        """The words of a detector and their rows.

        Raises:
            ValueError: it reads the vectors of an encoder, answers through Keras, or is broken.
        """
        checked = CheckedFolder.of(folder)
        network = NumpyNetwork.load(checked)
        if not network.vocabulary:
            raise ValueError(f"{folder} has no words: it reads the vectors of an encoder; choose tower=encoder")
        vectorizer = Vectorizer.load(checked)
        if vectorizer.size != network.vocabulary:
            raise ValueError(
                f"the files of {folder} do not belong together: the vectorizer has {vectorizer.size} token ids, but the "
                f"network {network.vocabulary}"
            )
        tables = [step["name"] for step in network.description["tower"] if step["layer"] == "Embedding"]
        embedding = next(name for name in tables if name != lexicon.NAME)
        rows = network.arrays[f"{embedding}/embeddings"]
        return cls(vectorizer.tokenizer, rows, np.ones(len(rows), np.float32), vectorizer.oov_buckets)

    @property
    def matrix(self) -> np.ndarray:
        """`float32[pieces + buckets, width]`."""
        return self.rows * self.scale[:, None]

    def pieces_per_word(self, texts: Sequence[str]) -> float:
        """Pieces for each word of texts, at least 1 unless they hold none; a foreign language needs more.

        A word with a sign that no piece has counts as UNKNOWN_PIECES.
        """
        encodings = self.tokenizer.encode_batch(list(texts))
        ids = [number for each in encodings for number in each.ids]
        counted = len(ids) + (UNKNOWN_PIECES - 1) * ids.count(UNKNOWN)
        return counted / max(1, sum(len(set(each.word_ids)) for each in encodings))

    def save(self, folder: str | Path) -> None:
        """Write the folder, whole or not at all; a table that is there already is replaced.

        Raises:
            ValueError: the folder holds something else.
        """
        with atomic_folder(Path(folder), lambda old: all((old / name).is_file() for name in FILES)) as new:
            self.tokenizer.save(str(new / FILES[0]), pretty=False)
            np.savez_compressed(new / FILES[1], rows=self.rows, scale=self.scale)

    @classmethod
    def load(cls, folder: str | Path) -> "PieceTable":
        """Read what `save` wrote.

        Raises:
            ValueError: the folder is not there, or holds no table.
        """
        checked = CheckedFolder(Path(folder).expanduser())
        missing = [name for name in FILES if not checked.has(name)]
        if missing:
            raise ValueError(f"{checked.path} is no table of word pieces: it has no {', '.join(missing)}")
        state = checked.json(FILES[0])
        try:
            tokenizer = tokenizer_from(state)
        except ValueError as problem:
            raise ValueError(f"{checked.path / FILES[0]} is no table of word pieces: {problem}") from None
        size = tokenizer.get_vocab_size()
        arrays = checked.arrays(FILES[1], most=size * (MOST_COLUMNS + 4))
        rows, scale = (arrays.get(name, np.empty(0)) for name in ("rows", "scale"))
        if rows.dtype != np.int8 or rows.ndim != 2 or scale.dtype != np.float32 or not len(rows) == len(scale) == size:
            raise ValueError(
                f"{checked.path / FILES[1]}: expected rows int8[{size}, width] and scale float32[{size}], one for each piece "
                f"of the tokenizer, got {rows.dtype}{list(rows.shape)} and {scale.dtype}{list(scale.shape)}"
            )
        return cls(tokenizer, rows, scale)


def find(table: str, questions: Sequence[str]) -> PieceTable | None:
    """The table that a config names.

    Args:
        table: "shipped" for the shipped table that spells the questions in the fewest pieces; "en" or "fr" for that one; or
            a folder that `PieceTable.save` or `Detector.save` wrote.
        questions: of the training.

    Returns:
        None for "shipped" where the questions are in another language.

    Raises:
        ValueError: there is no such table.
    """
    languages = shipped_languages()
    if table in languages:
        return _load(str(SHIPPED / table))
    if table != "shipped":
        if not Path(table).expanduser().is_dir():
            raise ValueError(
                f"start must be shipped, {', '.join(languages)}, or the folder of a table from experiments.distill or of a "
                f"detector; there is no folder {table}"
            )
        return _load(table)
    sample = list(questions[:: max(1, len(questions) // SAMPLE)])
    pieces = {language: _load(str(SHIPPED / language)).pieces_per_word(sample) for language in languages}
    best = min(pieces, key=lambda language: pieces[language])
    return _load(str(SHIPPED / best)) if 0 < pieces[best] <= MOST_PIECES else None


def shipped_languages() -> list[str]:
    """The languages of the tables that ship with the project."""
    return sorted(file.parent.name for file in SHIPPED.glob(f"*/{FILES[0]}"))


def files_of(folder: str | Path) -> tuple[str, ...]:
    """The files of a folder that a training starts from.

    Raises:
        ValueError: it is the folder neither of a table nor of a detector that NumPy runs.
    """
    folder = Path(folder).expanduser()
    if (folder / DETECTOR[0]).is_file():
        texts = [name for name in (words.FILE, encoders.FILE) if (folder / name).is_file()]
        files = (*DETECTOR, *(texts or [words.FILE]))
    else:
        files = FILES
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{folder} is no table of word pieces and no detector to start from: it has no {', '.join(missing)}"
        )
    return files


def _load(folder: str) -> PieceTable:
    """The table of a folder, kept until its files change."""
    files = [Path(folder).expanduser() / name for name in files_of(folder)]
    return _load_once(folder, tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@lru_cache(maxsize=4)
def _load_once(folder: str, state: tuple) -> PieceTable:
    inside = Path(folder).expanduser()
    return PieceTable.load(inside) if files_of(inside) == FILES else PieceTable.of_detector(inside)


def pieces(questions: Sequence[str], table: str = "shipped", max_length: int = 96) -> Vectorizer:
    """A vectorizer of the pieces of a table: nothing is learned from the questions but their language.

    Args:
        questions: the training questions, each once.
        table: see `find`; questions in a language that no shipped table reads get `Vectorizer.fit`.
        max_length: tokens kept of a question, from its start.

    Raises:
        ValueError: there is no such table, or `max_length` is below 1.

    >>> pieces(["How do I reset my password?"]).tokens("reset the passwords")
    ['reset', 'the', 'password', '##s']
    """
    found = find(table, questions)
    if found is None:
        return Vectorizer.fit(questions, max_length=max_length)
    if max_length < 1:
        raise ValueError(f"text.max_length must be at least 1, got {max_length}")
    tokenizer = Tokenizer.from_str(found.tokenizer.to_str())
    fold_case(tokenizer)
    return Vectorizer(tokenizer, found.buckets, max_length)


def piece_vectors(
    vocabulary: Sequence[str],
    size: int,
    seed: int,
    table: str = "shipped",
    trainable: bool = False,
    weighted: bool = True,
    pull: float = 0.0,
    width: int = 300,
) -> WordVectors:
    """The rows of a table; a word that is no piece gets the mean of the rows of its pieces.

    Args:
        vocabulary, size, seed: as in `siamese.text.word_vectors.random`.
        table: see `find`.
        trainable: whether training tunes the rows.
        weighted: whether training learns a weight for each token, beside that of the table's rows: SIF, a / (a + p) (Arora
            et al. 2017, equation 1), which common pieces have in `siamese.training.distillation`.
        pull: how strongly tuned rows are held where they started, see `siamese.model.layers.WordEmbedding`.
        width: of random vectors, which words in a language that no shipped table reads get, and which are tuned.

    Raises:
        ValueError: there is no such table.
    """
    found = find(table, vocabulary[len(SPECIAL) :])
    if found is None:
        return random(vocabulary, size, seed, width)
    rows, own = found.matrix, found.tokenizer.get_vocab()
    if rows.shape[0] == size and list(vocabulary) == sorted(own, key=lambda token: own[token]):
        return WordVectors(rows, trainable, 1.0, weighted, pull)
    known = [own.get(token) for token in vocabulary]
    matrix = np.zeros((size, rows.shape[1]), np.float32)
    for row, token in enumerate(vocabulary[len(SPECIAL) :], start=len(SPECIAL)):
        ids = known[row] if known[row] is not None else found.tokenizer.encode(token).ids
        matrix[row] = rows[ids] if isinstance(ids, int) else rows[ids].mean(axis=0) if ids else 0
    return WordVectors(matrix, trainable, 1.0, weighted, pull)
