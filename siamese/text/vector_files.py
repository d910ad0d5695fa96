"""Files of word vectors: text, binary and matrices, each also gzipped; every row is checked.

text           GloVe, word2vec and fastText (.vec): a word and its numbers in each line, perhaps behind a line "count width"
binary         word2vec (.bin): a line "count width", then each word, a space, and its numbers as little-endian float32
.npy           a matrix; a list of words says which row is whose
.safetensors   the same; the words may also be those of a tokenizer.json, as in the folders of static embeddings

The content says which of them a file is, not its name. Nothing is unpickled, and no code of a file runs.
"""

import math
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from siamese.data.dialects import opened_text
from siamese.data.gzipped import opened
from siamese.data.questions import UNDECODABLE
from siamese.text.matrix_files import (
    LARGEST,
    check_matrix,
    composed,
    numpy_matrix,
    read_words,
    safetensors_matrix,
    text_encoding,
)

FORMATS = "GloVe or word2vec text, word2vec binary, fastText .vec, .npy or .safetensors, each also gzipped"
NUMPY = b"\x93NUMPY"
FOREIGN = {  # first bytes -> what the file is, and what to do
    b"PK": "a ZIP archive, such as .npz, .zip or .pt; unpack it, or save the matrix with numpy.save",
    b"\x80": "a pickle, which could run code and is never loaded; save the vectors as word2vec text",
    b"\xba\x16\x4f\x2f": "a fastText model; give its .vec file",
    b"version https://git-lfs": "a pointer to a file that Git LFS keeps; fetch the file itself with: git lfs pull",
    b"\x89HDF": "an HDF5 file; save the matrix with numpy.save",
}
NO_NUMBER = f"NaN, infinite or beyond ±{LARGEST:g}"
MEND = "mend the line or take it out"
HEAD = 2**16  # bytes of a file that show its format
CHUNK = 2**20  # bytes of a binary file that are read together
LONGEST_WORD = 2**14  # bytes
WIDEST = 2**16  # numbers of a word in a binary file
NO_CONTROL = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\t\r\n")  # what text may consist of


def read_vectors(path: str | Path, words: str | Path | None, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The vectors of the wanted words that a file has, `float32[width]` each.

    A word that occurs twice has the first of its rows, and a word that is not UTF-8 cannot be wanted; a note on stderr
    counts both.

    Args:
        path: the file; `~` is the home directory.
        words: for a matrix, the file with the word of each row, one a line, or a tokenizer.json: its pieces are words, and
            any other word gets the mean of the rows of its pieces. None where words stand beside their numbers; for
            .safetensors None is the tokenizer.json in the same folder.
        wanted: the words.

    Raises:
        ValueError: a file is missing, of no known format, incomplete or malformed, or has a number that is not finite. The
            message names the file, and the line or the row, counted from 1.
    """
    file = _existing(path, "path", f"give {FORMATS}")
    kind = _kind(file)
    if kind in ("text", "binary"):
        if words is not None:
            raise ValueError(f"vectors.words is for .npy and .safetensors; {file} has its words beside their numbers")
        return _chosen(file, _text_rows(file) if kind == "text" else _binary_rows(file), frozenset(wanted), kind)
    if words is None and kind == "safetensors" and file.with_name("tokenizer.json").is_file():
        words = file.with_name("tokenizer.json")
    if words is None:
        raise ValueError(
            f"vectors.words must name the word list (one word a line), or the tokenizer.json, that belongs to the matrix {file}"
        )
    listed = _existing(words, "words", "give the word of each row, one a line, or a tokenizer.json")
    tokenizer, names = read_words(listed)
    matrix = numpy_matrix(file) if kind == "numpy" else safetensors_matrix(file, len(names), listed)
    if matrix.shape[0] != len(names):
        raise ValueError(f"{file} has shape {matrix.shape}, but {listed} lists {len(names)} words")
    check_matrix(file, matrix, names)
    if tokenizer is not None:
        return composed(tokenizer, listed, matrix, wanted)
    return _chosen(
        listed,
        ((name, row, number) for number, (name, row) in enumerate(zip(names, matrix, strict=True), 1)),
        frozenset(wanted),
        "words",
    )


def _chosen(
    file: Path, rows: Iterator[tuple[str, Any, int]], wanted: frozenset[str], kind: str
) -> dict[str, np.ndarray]:
    """The rows of the wanted words; `rows` yields each word, its numbers and its line or row."""
    place = "row" if kind == "binary" else "line"
    found: dict[str, np.ndarray] = {}
    repeated: list[tuple[str, int]] = []
    undecodable: list[int] = []
    for word, numbers, at in rows:
        if UNDECODABLE.search(word):
            undecodable.append(at)
        elif word in found:
            repeated.append((word, at))
        elif word in wanted:
            found[word] = np.array(numbers, np.float32)
    if repeated:
        word, at = repeated[0]
        _note(
            f"{file} has {len(repeated):,} words again, the first {word!r} in {place} {at}; the first row of each counts"
        )
    if undecodable:
        _note(
            f"{file} has {len(undecodable):,} words that are not UTF-8, the first in {place} {undecodable[0]}; they are not used"
        )
    return found


def _text_rows(file: Path) -> Iterator[tuple[str, list[float], int]]:
    """Word, numbers and line of each line of a text file."""
    width = count = None
    read = blank = 0
    with opened_text(file, text_encoding(file), "\n") as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.rstrip("\r\n").replace("\t", " ").rstrip(" ")
            if not line:
                blank = blank or number  # one before the end is a damage, which the next line shows
                continue
            if blank:
                raise ValueError(f"{file}, line {blank}: is blank, but more follow; {MEND}")
            word, *others = line.split(" ")  # not at other spaces: a word may hold a no-break space
            fields = [word, *filter(None, others)]
            if number == 1 and _is_header(fields):
                count, width = map(int, fields)
                continue
            width = width or sum(1 for _ in takewhile(_is_number, reversed(fields[1:])))
            # Python takes 1_0 for a number, which no file of vectors means
            joined = "_" in line and any("_" in field for field in fields[-width:])
            numbers = None if joined else _numbers(fields, width)
            if numbers is None:
                raise ValueError(
                    f"{file}, line {number}: expected a word and {width or 'its'} numbers, got {line[:60]!r}; {MEND}"
                )
            if not math.hypot(*numbers) <= LARGEST and not all(abs(each) <= LARGEST for each in numbers):
                raise ValueError(f"{file}, line {number}: a number of {fields[0][:60]!r} is {NO_NUMBER}; {MEND}")
            read += 1
            yield " ".join(fields[:-width]), numbers, number
    if not read:
        raise ValueError(f"{file} holds no vectors")
    if count is not None and count != read:
        raise ValueError(
            f"{file}, line 1: says {count:,} words, but {read:,} follow; fetch the file again, or if it was shortened "
            f"write {read} {width} there"
        )


def _numbers(fields: list[str], width: int) -> list[float] | None:
    """The last `width` fields as numbers; None unless a word stands before them, which no number ends."""
    try:
        numbers = list(map(float, fields[-width:]))
    except ValueError:
        return None
    return numbers if 0 < width < len(fields) and not all(map(_is_number, fields[1:-width] or [""])) else None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _binary_rows(file: Path) -> Iterator[tuple[str, np.ndarray, int]]:
    """Word, `float32[width]` and row of each entry of a word2vec binary file."""
    with opened(file) as stream:
        count, width = map(int, stream.readline(HEAD).split())
        if width > WIDEST:
            raise ValueError(
                f"{file}, line 1: says {width:,} numbers a word, the most is {WIDEST:,}; the file is damaged"
            )
        size, buffer, at = 4 * width, b"", 0
        for row in range(1, count + 1):
            end = buffer.find(b" ", at)
            while end < 0 or len(buffer) < end + 1 + size:
                more = stream.read(max(CHUNK, size))
                if not more:
                    raise ValueError(
                        f"{file}, row {row}: the file ends within it, but line 1 says {count:,} words; fetch it again"
                    )
                buffer, at = buffer[at:] + more, 0
                end = buffer.find(b" ")
                if end < 0 and len(buffer) > LONGEST_WORD:
                    break
            if not 0 <= end - at <= LONGEST_WORD:
                raise ValueError(
                    f"{file}, row {row}: no word ends where one should; the file is damaged, or line 1 has a wrong width"
                )
            numbers = np.frombuffer(buffer, "<f4", width, end + 1)
            word = (
                buffer[at:end].lstrip(b"\n").decode("utf-8", "surrogateescape")
            )  # word2vec's own program ends rows with \n
            if not (np.abs(numbers) <= LARGEST).all():
                raise ValueError(
                    f"{file}, row {row}: a number of {word[:60]!r} is {NO_NUMBER}; the file is damaged, or line 1 has a "
                    "wrong width"
                )
            yield word, numbers, row
            at = end + 1 + size
        rest = (buffer[at:] + stream.read(HEAD)).strip(b"\n")
        if rest:
            raise ValueError(
                f"{file}: line 1 says {count:,} words, but more follow; correct it, or fetch the file again"
            )


def _kind(file: Path) -> str:
    """The format of a file by its content: text, binary, numpy or safetensors."""
    with opened(file) as stream:
        head = stream.read(HEAD)
    for first, what in FOREIGN.items():
        if head.startswith(first):
            raise ValueError(f"vectors.path: {file} is {what}. Give {FORMATS}")
    if head.startswith(NUMPY):
        return "numpy"
    if head[8:9] == b"{" and head[4:8] == bytes(4):
        return "safetensors"
    first, _, rest = head.partition(b"\n")
    fields = first.split()
    if not _is_header(fields) or int(fields[1]) < 1:
        return "text"
    row = rest.partition(b"\n")[0]
    if _numbers(row.decode("latin-1").replace("\t", " ").split(), int(fields[1])) is not None:
        return "text"  # in whatever encoding, and also if a word holds a control character
    return "binary" if rest.translate(None, NO_CONTROL) or not _is_utf8(row) else "text"


def _is_header(fields: Sequence[str] | Sequence[bytes]) -> bool:
    """Whether a line is "count width"."""
    return len(fields) == 2 and all(each.isdigit() and each.isascii() and len(each) < 16 for each in fields)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _existing(path: str | Path, setting: str, remedy: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"vectors.{setting}: there is no file {path}; {remedy}")
    return file


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)  # noqa: T201
