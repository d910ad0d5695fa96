"""Encodings: how the bytes of a text file become characters, found from its content."""

import codecs
import re
from pathlib import Path
from typing import IO

from siamese.data.dialects import Reading
from siamese.data.gzipped import opened
from siamese.data.questions import UNDECODABLE

BYTE_ORDER_MARKS = {  # the longer ones first: UTF-32 begins as UTF-16 does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
UNDEFINED_IN_CP1252 = re.compile("[\udc81\udc8d\udc8f\udc90\udc9d]")
STRAY_FOR_EACH_CHARACTER = 10  # more stray bytes than this for each character of UTF-8: the file is not UTF-8
CHUNK = 2**20  # bytes or characters that are looked at together


def find_encoding(file: Path, name: str, reading: Reading) -> str:
    """The encoding of a text file; a note says if it is not UTF-8."""
    if reading.encoding is not None:
        given = codecs.lookup(reading.encoding).name
        return "utf-8-sig" if given == "utf-8" else given
    with opened(file) as stream:
        head = stream.read(CHUNK)
        found = next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
        found = found or _utf16_without_mark(head)
    if found is None:
        with opened(file) as stream:
            found = "utf-8-sig" if _is_utf8(stream) else None
    if found is None:
        with opened(file) as stream:
            found = _single_byte(stream)
    if found != "utf-8-sig":
        reading.tell(
            f"{name} is not UTF-8 and was read as {found}; if letters look wrong, save it as UTF-8, or name its encoding with "
            f"{reading.prefix}encoding="
        )
    return found


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 by its zero bytes, which are the upper halves of Latin letters."""
    for encoding, upper, lower in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if upper.count(0) > len(upper) / 2 and lower.count(0) == 0:
            return encoding
    return None


def _is_utf8(stream: IO[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _single_byte(stream: IO[bytes]) -> str:
    """cp1252 or Latin-1 for a file that is not UTF-8; UTF-8 if it has characters of UTF-8 and only a few stray bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    stray = characters = 0
    undefined = False
    for chunk in iter(lambda: stream.read(CHUNK), b""):
        text = decoder.decode(chunk)
        if not text.isascii():
            here = len(UNDECODABLE.findall(text))
            stray += here
            characters += sum(letter > "\x7f" for letter in text) - here
            undefined = undefined or bool(UNDEFINED_IN_CP1252.search(text))
    if stray <= STRAY_FOR_EACH_CHARACTER * characters:
        return "utf-8-sig"
    return "latin-1" if undefined else "cp1252"
