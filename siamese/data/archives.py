"""Archives: the entries of a ZIP file, and the arrays of an .npz file, in memory, without more copies than they need.

What an archive claims of itself is held against its size before any memory is taken for it.
"""

import io
import math
import zipfile
import zlib

import numpy as np

LARGEST = 1e9  # number of an array; weights beyond make embeddings that float32 cannot square
ARRAYS = ("<f4", "<f8", "|i1", "|b1")  # types of numbers that are written
LOCAL_HEADER = 30  # bytes, the last four of which are the lengths of the name and of the extra field behind it


def entries(content: memoryview, most: int) -> dict[str, memoryview]:
    """The contents of a ZIP file by their names; those that are not compressed are parts of its own memory.

    Args:
        content: of the file.
        most: bytes that they may have together where they are compressed.

    Raises:
        Exception: it is no whole archive; those of zipfile and zlib have no common type.
    """
    found: dict[str, memoryview] = {}
    with zipfile.ZipFile(_InMemory(content)) as archive:
        listed = archive.infolist()
        ways = {each.compress_type for each in listed}
        limit = len(content) if ways <= {zipfile.ZIP_STORED} else most
        claimed = sum(each.file_size for each in listed)
        if claimed > limit or not ways <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"it claims to hold {claimed:,} bytes, {limit:,} are expected at most")
        for each in listed:
            if each.filename in found:
                raise ValueError(f"{each.filename} occurs twice")
            with archive.open(each) as entry:  # checks the header
                if each.compress_type == zipfile.ZIP_STORED:
                    found[each.filename] = _stored(content, each)
                else:
                    found[each.filename] = memoryview(entry.read(each.file_size))  # no more, whatever it unpacks to
    return found


def _stored(content: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """An entry that is not compressed, which `ZipFile.open` found to begin with a header."""
    lengths = np.frombuffer(content, "<u2", 2, entry.header_offset + LOCAL_HEADER - 4)
    start = entry.header_offset + LOCAL_HEADER + int(lengths.sum())
    inside = content[start : start + entry.file_size]
    if len(inside) != entry.file_size or zlib.crc32(inside) != entry.CRC:
        raise ValueError(f"{entry.filename} is cut, or has another checksum")
    return inside


def array(content: memoryview) -> np.ndarray:
    """The array of an .npy file, read-only, in aligned memory of its own.

    Raises:
        ValueError: it is no such file, of another type than `ARRAYS`, or holds a number that is NaN or beyond ± LARGEST.
    """
    stream = _InMemory(content)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = header(stream)
    if dtype.str not in ARRAYS or by_column:
        raise ValueError(f"is of type {dtype.str}{' by columns' * by_column}, expected one of {', '.join(ARRAYS)}")
    size = len(content) - stream.tell()
    if math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"claims to be {dtype}{list(shape)}, but has {size:,} bytes")
    found = np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape).copy()
    found.flags.writeable = False
    if dtype.kind == "f" and not (found.min(initial=0) >= -LARGEST and found.max(initial=0) <= LARGEST):
        raise ValueError(f"has numbers that are NaN, infinite or beyond ±{LARGEST:g}")
    return found


class _InMemory(io.RawIOBase):
    """A file to read from memory; `io.BytesIO` would copy it."""

    def __init__(self, content: memoryview):
        self._content, self._at = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}[whence]
        if origin + offset < 0:
            raise OSError(f"there is nothing before the first byte, at {origin + offset}")
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._content[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
