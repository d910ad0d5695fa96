"""Matrices of word vectors: .npy and .safetensors, and the file that says which row is whose. Nothing is unpickled."""

import json
import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np
from tokenizers import Tokenizer

from siamese.data.dialects import Reading, find_encoding
from siamese.data.gzipped import is_gzipped, opened

CHUNK = 2**20  # bytes that are skipped together
ROWS = 2**14  # of a matrix that are checked together
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
    except (ValueError, EOFError) as problem:
        raise ValueError(f"{file} is no whole .npy file of numbers: {problem}") from None
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
            shapes = {name: [int(side) for side in each["shape"]] for name, each in tensors.items()}
            ranges = {name: tuple(map(int, each["data_offsets"])) for name, each in tensors.items()}
            dtypes = {name: str(each["dtype"]) for name, each in tensors.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise ValueError(f"{file} has no header of a .safetensors file: {problem!r}") from None
        fitting = [
            name for name, shape in shapes.items() if len(shape) == 2 and shape[0] == count and dtypes[name] in DTYPES
        ]
        if len(fitting) != 1:
            held = ", ".join(f"{name} {dtypes[name]}{shape}" for name, shape in shapes.items())
            raise ValueError(
                f"{file}: expected one matrix with a row for each of the {count:,} words of {listed}, "
                f"of type {', '.join(DTYPES)}; it holds {held or 'nothing'}"
            )
        [name] = fitting
        dtype, (start, end) = np.dtype(DTYPES[dtypes[name]]), ranges[name]
        if start < 0 or end - start != math.prod(shapes[name]) * dtype.itemsize or not shapes[name][1]:
            raise ValueError(f"{file}: the header gives {name} the bytes {start} to {end}, which is not its size")
        _skip(stream, start)
        content = stream.read(end - start)
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
        content = stream.read()
    if content.lstrip()[:1] == b"{" and b'"model"' in content:
        try:
            tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        except Exception as problem:  # the tokenizer's errors have no common type
            raise ValueError(f"{file} is no tokenizer.json: {problem}") from None
        by_id = sorted((number, piece) for piece, number in tokenizer.get_vocab().items())
        return tokenizer, [piece for _, piece in by_id]
    lines = content.decode(text_encoding(file), "replace").split("\n")  # a word may hold other line ends
    return None, [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def composed(tokenizer: Tokenizer, matrix: np.ndarray, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """The row of a piece, and for any other word the mean of the rows of its pieces; without pieces there is none."""
    own = tokenizer.get_vocab()
    unknown = own.get(str(getattr(tokenizer.model, "unk_token", None)), getattr(tokenizer.model, "unk_id", None))
    found = {}
    for word in wanted:
        ids = [own[word]] if word in own else tokenizer.encode(word, add_special_tokens=False).ids
        if ids and unknown not in ids:
            found[word] = matrix[ids].astype(np.float32).mean(axis=0)
    return found


def check_matrix(file: Path, matrix: np.ndarray, names: list[str]) -> None:
    """Raise ValueError at the first row with a number that is not finite."""
    for start in range(0, len(matrix), ROWS):
        bad = ~np.isfinite(matrix[start : start + ROWS]).all(axis=1)
        if bad.any():
            row = start + int(bad.argmax())
            raise ValueError(
                f"{file}, row {row + 1}: a number of {names[row]!r} is NaN or infinite; mend the row, or take out it and its word"
            )


def _skip(stream: IO[bytes], size: int) -> None:
    while size > 0 and (read := stream.read(min(size, CHUNK))):
        size -= len(read)
