"""Matrices of word vectors: .npy and .safetensors, and the file that says which row is whose. Nothing is unpickled."""

import json
import math
import sys
from collections.abc import Collection, Iterator
from operator import index
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
from tokenizers import Tokenizer

from siamese.data.dialects import Reading
from siamese.data.encodings import find_encoding
from siamese.data.gzipped import is_gzipped, opened

CHUNK = 2**20  # bytes that are read together
LARGEST = 1e15  # number of a vector; what is larger is damage, and float32 cannot square it
ROWS = 2**14  # of a matrix that are checked together
SHOWN = 300  # characters of a list that a message shows
LARGEST_LIST = 2**28  # bytes of a list of words
LARGEST_HEADER = 100_000_000  # bytes of a .safetensors header, its format's own limit
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "|i1"}  # of .safetensors, as NumPy stores them


def numpy_matrix(file: Path) -> np.ndarray:
    """The matrix of a .npy file, `float[words, width]`; mapped into memory unless gzipped."""
    try:
        if is_gzipped(file):
            with opened(file) as stream:
                matrix = np.lib.format.read_array(stream, allow_pickle=False)
        else:
            matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, OverflowError, MemoryError, SyntaxError, TokenError, TypeError) as problem:
        # a header is read as Python's source: what else is in it raises all of these
        found = " ".join(str(problem).split())
        raise ValueError(f"{file} is no whole .npy file of numbers: {found}; save it again") from None
    if matrix.ndim != 2 or not matrix.shape[1] or (matrix.dtype.kind != "f" and matrix.dtype != np.int8):
        raise ValueError(f"{file}: expected float[words, width], got {matrix.dtype}{list(matrix.shape)}")
    return matrix


def safetensors_matrix(file: Path, count: int, listed: Path) -> np.ndarray:
    """The one matrix of a .safetensors file that has a row for each of `count` words."""
    with opened(file) as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= LARGEST_HEADER else b""
        try:
            tensors = json.loads(header)
            tensors.pop("__metadata__", None)
            shapes = {name: list(map(index, each["shape"])) for name, each in tensors.items()}
            ranges = {name: tuple(map(index, each["data_offsets"])) for name, each in tensors.items()}
            dtypes = {name: str(each["dtype"]) for name, each in tensors.items()}
            if not all(map(str.isprintable, (*tensors, *dtypes.values()))):
                raise ValueError("a name is not printable")
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as problem:
            raise ValueError(f"{file} has no header of a .safetensors file: {problem!r}") from None
        fitting = [
            name for name, shape in shapes.items() if len(shape) == 2 and shape[0] == count and dtypes[name] in DTYPES
        ]
        if len(fitting) != 1:
            held = ", ".join(f"{name} {dtypes[name]}{shape}" for name, shape in shapes.items())
            raise ValueError(
                f"{file}: expected one matrix with a row for each of the {count:,} words of {listed}, "
                f"of type {', '.join(DTYPES)}; it holds {held[:SHOWN] or 'nothing'}"
            )
        [name] = fitting
        dtype, (start, *ends) = np.dtype(DTYPES[dtypes[name]]), ranges[name] or (0,)
        end = start + math.prod(shapes[name]) * dtype.itemsize
        if start < 0 or ends != [end] or end <= start:
            span = " to ".join(map(str, ranges[name]))
            raise ValueError(f"{file}: the header gives {name} the bytes {span}, which is not its size")
        for _ in _pieces(stream, start):
            pass
        content = b"".join(_pieces(stream, end - start))
    if len(content) != end - start:
        raise ValueError(f"{file} ends within {name}; fetch it again")
    matrix = np.frombuffer(content, dtype).reshape(shapes[name])
    if dtypes[name] == "BF16":  # the upper half of a float32
        matrix = (matrix.astype(np.uint32) << 16).view(np.float32)
    return matrix


def text_encoding(file: Path) -> str:
    """The encoding of a text file; one that is not UTF-8 is noted on stderr."""

    def tell(note: str) -> None:
        print(f"note: {note.partition(';')[0]}", file=sys.stderr)  # noqa: T201

    return find_encoding(file, str(file), Reading(tell=tell))


def read_words(file: Path) -> tuple[Tokenizer | None, list[str]]:
    """The words of the rows of a matrix, with the tokenizer that they come from, if any."""
    with opened(file) as stream:
        content = stream.read(LARGEST_LIST + 1)
    if len(content) > LARGEST_LIST:
        raise ValueError(f"{file} has more than {LARGEST_LIST:,} bytes, too many for a list of words")
    if content.lstrip()[:1] == b"{" and b'"model"' in content:
        try:
            tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        except Exception as problem:  # the tokenizer's errors have no common type
            raise ValueError(f"{file} is no tokenizer.json: {' '.join(str(problem).split())}") from None
        by_id = dict(sorted((number, piece) for piece, number in tokenizer.get_vocab().items()))
        if list(by_id) != list(range(tokenizer.get_vocab_size())):
            raise ValueError(f"{file}: the ids of its pieces are not the rows 0, 1, … of a matrix, each once")
        return tokenizer, list(by_id.values())
    lines = content.decode(text_encoding(file), "replace").split("\n")  # a word may hold other line ends
    return None, [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def composed(tokenizer: Tokenizer, listed: Path, matrix: np.ndarray, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The row of a piece, and for any other word the mean of the rows of its pieces; without pieces there is none.

    ValueError, with the tokenizer's file `listed`, if it cannot take a word apart.
    """
    own = tokenizer.get_vocab()
    unknown = own.get(str(getattr(tokenizer.model, "unk_token", None)), getattr(tokenizer.model, "unk_id", None))
    found = {}
    for word in wanted:
        try:
            ids = [own[word]] if word in own else tokenizer.encode(word, add_special_tokens=False).ids
        except Exception as problem:  # the tokenizer's errors have no common type
            raise ValueError(f"{listed} cannot take {word!r} apart: {' '.join(str(problem).split())}") from None
        if ids and unknown not in ids:
            found[word] = matrix[ids].astype(np.float32).mean(axis=0)
    return found


def check_matrix(file: Path, matrix: np.ndarray, names: list[str]) -> None:
    """Raise ValueError at the first row with a number that is not finite, or beyond ± LARGEST."""
    for start in range(0, len(matrix), ROWS):
        with np.errstate(over="ignore", invalid="ignore"):
            rows = matrix[start : start + ROWS].astype(np.float64)
        bad = ~(np.abs(rows) <= LARGEST).all(axis=1)
        if bad.any():
            row = start + int(bad.argmax())
            raise ValueError(
                f"{file}, row {row + 1}: a number of {names[row]!r} is NaN, infinite or beyond ±{LARGEST:g}; mend the row, or "
                "take out it and its word"
            )


def _pieces(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """The next `size` bytes, in pieces, or what there is of them: memory is never taken for what a header only says."""
    while size > 0 and (piece := stream.read(min(size, CHUNK))):
        size -= len(piece)
        yield piece
