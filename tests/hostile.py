"""Hostile input for the readers: each target reads bytes as a program would; seeds are small good files, to be damaged.

A target refuses input with a ValueError of one line that names the file. Any other error, a row of the wrong form and a
reading of more than SECONDS are findings.
"""

import csv
import gzip
import io
import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, pre_tokenizers

from siamese.commands.label import LabelFile
from siamese.data.checked_folder import HEAD, seal
from siamese.data.columns import pair_columns
from siamese.data.dialects import Reading
from siamese.data.files import read_pair_file, read_question_table
from siamese.data.formats import TableFile
from siamese.data.gzipped import MAGIC
from siamese.data.intent_files import read_intent_file
from siamese.data.questions import text_problem
from siamese.data.records import read_file, read_lines
from siamese.detector import Detector
from siamese.pretrained.piece_table import PieceTable
from siamese.text.vector_files import read_vectors
from siamese.text.vocabulary import word_pieces

DETECTOR = Path(__file__).parent / "fixtures" / "detector_format_5"
SECONDS = 5.0  # that a target may take
PAIR = ("question1", "question2", "is_duplicate")
WORDS = ("red", "green", "été")
TOKENS = (  # that change the meaning of a file
    b'"', b'""', b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"\xff\xfe",
    b"sep=", b"sep=;\n", b"nan", b"inf", b"1e39", b"-1", b"1_0", b"9" * 25, b"0", b" ", b"{", b"}", b"[", b"]", b":", b"null",
    b"\\ud83d", b"\\u0000", b"\x1f\x8b", b"PAR1", b"PK\x03\x04", b"\x93NUMPY", b"<b>", b"&amp;", b"\xe2\x80\x8b", b"\xed\xa0\xbd",
    b"\x80", b"\x7f", b"question1", b"\xc2\xb2", b"(", b"'", b"shape", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80",
)  # fmt: skip


def pairs(file: Path) -> None:
    """Pairs as training reads them, and records as predict does: they agree."""
    reading = Reading(html=False)
    found = accepted(lambda: read_pair_file(file, *PAIR, "skip", reading=reading), file)
    records = accepted(lambda: _records(file, reading), file)
    if records is not None:
        good = [values for values, problem in records if not problem]
        assert not any(text_problem(each) for values in good for each in values[:2])
    if found is not None and records is not None:
        left, right, labels, _ = found
        assert len(left) == len(right) == len(labels)
        assert ((labels >= 0) & (labels <= 1)).all()
        scored = iter((values[0].strip(), values[1].strip()) for values in good)
        assert all(pair in scored for pair in zip(left, right, strict=True)), "a pair that predict does not see"


def _records(file: Path, reading: Reading) -> list[tuple[list[Any], str]]:
    table = TableFile(file, reading)
    left, right = pair_columns(table.columns, *PAIR[:2], None, table.name, table.tell)
    return [
        ([values[left], values[right], *values.values()], problem)
        for block in read_file(table, left, right)
        for values, problem in block
    ]


def questions(file: Path) -> None:
    """Questions with their other columns, as search and mine read them; then as a file of pairs to label."""
    table = accepted(lambda: read_question_table(file, None), file)
    if table is not None:
        assert not any(map(text_problem, table[0]["question"].to_pylist()))
        "".join(text for column in table[0].columns for text in column.to_pylist()).encode()
    if file.suffix == ".csv":
        accepted(lambda: LabelFile(str(file), Reading()), file)


def intents(file: Path) -> None:
    """Questions with intents and topics."""
    found = accepted(lambda: read_intent_file(file, "text", "intent", "topic", "skip"), file)
    if found is not None:
        assert not any(map(text_problem, found[0]))
        assert all(found[1])


def stream(file: Path) -> None:
    """Lines of standard input: each gives a record, whatever it holds and wherever it is cut."""
    data = file.read_bytes()
    whole = [record for block in read_lines([data], *PAIR[:2]) for record in block]
    cut = [record for block in read_lines([data[:7], data[7:]], *PAIR[:2]) for record in block]
    assert str(whole) == str(cut)  # NaN is no NaN
    assert len(whole) == data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    json.dumps(whole, default=str).encode()


def vectors(file: Path) -> None:
    """Word vectors, with words beside their numbers or in a list or tokenizer.json in the folder."""
    for words in (None, file.with_name("words.txt"), file.with_name("tokenizer.json")):
        found = accepted(lambda words=words: read_vectors(file, words, WORDS), file.parent)
        for row in (found or {}).values():
            assert row.dtype == np.float32
            assert np.isfinite(row).all()
            assert row.ndim == 1
            assert len(row)


def tokenizer(file: Path) -> None:
    """The words of a matrix."""
    accepted(lambda: read_vectors(file.with_name("matrix.npy"), file, WORDS), file.parent)


def detector(name: str, file: Path) -> None:
    """A detector's folder in which this file takes the place of `name`, with the checksums made anew."""
    folder = file.with_name("detector")
    shutil.copytree(DETECTOR, folder, dirs_exist_ok=True)
    shutil.copy(file, folder / name)
    with suppress(ValueError, RecursionError):  # a damaged head stays as it is
        state = json.loads((folder / HEAD).read_bytes())
        if isinstance(state, dict):
            seal(folder, state)
    found = accepted(lambda: Detector.load(folder), folder)
    if found is not None:
        verdicts = found.verdicts([("How do I pay my bill?", "Where can I pay?"), ("How do I pay my bill?", "rice")])
        for scores in (verdicts.similarity, verdicts.probability):
            assert ((scores >= 0) & (scores <= 1 + 1e-5)).all(), scores


def piece_table(name: str, file: Path) -> None:
    """A table of word pieces in whose folder this file takes the place of `name`."""
    folder = file.with_name("table")
    if not folder.exists():
        _table().save(folder)
    good = (folder / name).read_bytes()
    shutil.copy(file, folder / name)
    try:
        found = accepted(lambda: PieceTable.load(folder), folder)
        if found is not None:
            assert np.isfinite(found.matrix).all()
            found.pieces_per_word(["red password"])
    finally:
        (folder / name).write_bytes(good)


def accepted(read: Callable[[], Any], file: Path) -> Any:
    """What is read, or None if it is refused as it should be."""
    begun, refused = time.monotonic(), None
    try:
        return read()
    except (ValueError, FileNotFoundError) as error:
        refused = error
    finally:
        assert time.monotonic() - begun < SECONDS
    assert str(file) in str(refused), f"no place: {refused!r}"
    assert "\n" not in str(refused), f"several lines: {refused!r}"
    assert type(refused) in (ValueError, FileNotFoundError), f"another's error: {refused!r}"
    str(refused).encode()
    return None


def seeds() -> dict[str, list[tuple[Callable[[Path], None], bytes]]]:
    """Small good files, by suffix, with the target that reads each."""
    rows = [
        {"id": 1, "question1": "How do I pay?", "question2": "Where can I pay?", "is_duplicate": 1},
        {"id": 2, "question1": 'Où est "mon" colis, Zoé ?', "question2": "a\nb; c", "is_duplicate": 0},
        {"id": None, "question1": "I lost my card", "question2": "card gone", "is_duplicate": 0.5},
    ]
    asked = [
        {"text": row["question1"], "intent": intent, "topic": "x"}
        for row, intent in zip(rows, ["a", "a", "b"], strict=True)
    ]
    found: dict[str, list[tuple[Callable[[Path], None], bytes]]] = {}
    for target, table in ((pairs, rows), (questions, asked), (intents, asked)):
        for name, delimiter in ((".csv", ","), (".csv", ";"), (".tsv", "\t")):
            found.setdefault(name, []).append((target, _delimited(table, delimiter)))
        found[".csv"] += [(target, _delimited(table, ",").decode().encode(name)) for name in ("utf-16", "latin-1")]
        found[".tsv"].append((target, b"sep=|\n" + _delimited(table, "|").replace(b"\n", b"\r\n")))
        found.setdefault(".jsonl", []).append((target, "".join(json.dumps(row) + "\n" for row in table).encode()))
        found.setdefault(".csv.gz", []).append((target, gzip.compress(_delimited(table, ","), mtime=0)))
        for codec in ("none", "zstd"):
            found.setdefault(".parquet", []).append((target, _parquet(pa.Table.from_pylist(table), codec)))
    found[".parquet"].append((pairs, _parquet(_typed_table(), "none")))
    lines = "How do I pay?\tWhere can I pay?\n" + json.dumps(rows[1]) + "\n\nI lost my card\tcard gone\r\n"
    found[".txt"] = [(stream, lines.encode())]
    found[".vectors"] = [(vectors, content) for content in _vector_files()]
    found[".json"] = [(tokenizer, _tokenizer().to_str().encode())]
    content = io.BytesIO()
    np.savez(content, rows=_table().rows, scale=_table().scale)
    found[".table"] = [
        (partial(piece_table, "rows.npz"), content.getvalue()),
        (partial(piece_table, "tokenizer.json"), _pieces()),
    ]
    found[".saved"] = [(partial(detector, each.name), each.read_bytes()) for each in sorted(DETECTOR.iterdir())]
    return found


def beside(folder: Path) -> None:
    """Write what the targets of vectors read beside their file: words, a tokenizer and a matrix."""
    (folder / "words.txt").write_text("\n".join(WORDS), encoding="utf-8")
    (folder / "tokenizer.json").write_text(_tokenizer().to_str())
    np.save(folder / "matrix.npy", np.ones((4, 3), np.float32))


def damaged(content: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """A copy with one to six changes: bytes flipped, cut, doubled or put in, or a piece of another file."""
    if content.startswith(MAGIC) and dice.random() < 0.8:
        return gzip.compress(damaged(gzip.decompress(content), dice, others), mtime=0)
    data = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        at = dice.randint(0, len(data))
        end = min(len(data), at + int(dice.paretovariate(0.7)))
        match dice.randint(0, 6):
            case 0 if data:
                data[at % len(data)] ^= 1 << dice.randint(0, 7)
            case 1:
                data[at:end] = b""
            case 2:
                data[at:at] = data[at:end] * dice.choice((1, 1, 2, 40))
            case 3:
                data[at:at] = dice.choice(TOKENS)
            case 4:
                data[at:end] = dice.choice(TOKENS)
            case 5:
                data[at:end] = dice.randbytes(end - at)
            case _:
                other = dice.choice(others)
                start = dice.randint(0, len(other))
                data[at:end] = other[start : start + int(dice.paretovariate(0.7))]
        del data[2**16 :]
    return bytes(data)


def _delimited(rows: Sequence[dict[str, Any]], delimiter: str) -> bytes:
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _parquet(table: pa.Table, codec: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=codec)
    return sink.getvalue()


def _typed_table() -> pa.Table:
    """Columns of many types, among them a time after the year 9999."""
    number = pa.array([0, 1, 4 * 10**17])
    return pa.table(
        {
            "question1": pa.array(["a", "b", "c"]).dictionary_encode(),
            "question2": pa.array([b"d", b"e", b"caf\xe9"]).view(pa.string()),
            "is_duplicate": pa.array([True, False, None]),
            "time": number.cast(pa.timestamp("us", "UTC")),
            "day": pa.array([0, 1, 2**31 - 1], pa.int32()).cast(pa.date32()),
            "tags": pa.array([[1], None, [2, 3]]),
            "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        }
    )


def _vector_files() -> list[bytes]:
    rows = np.array([[0.5, -1.25, 3.0], [1.0, 2.0, -4.5], [0.0, 0.75, 8.0]], np.float32)
    lines = [f"{word} {' '.join(map(str, row))}\n" for word, row in zip(WORDS, rows.tolist(), strict=True)]
    entries = [word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, rows, strict=True)]
    header = json.dumps({"m": {"dtype": "F32", "shape": [3, 3], "data_offsets": [0, 36]}}).encode()
    pieces = json.dumps({"m": {"dtype": "F64", "shape": [4, 3], "data_offsets": [0, 96]}}).encode()
    matrix = io.BytesIO()
    np.save(matrix, rows)
    return [
        "".join(lines).encode(),
        "".join(["3 3\n", *lines]).encode(),
        b"3 3\n" + b"".join(entries),
        gzip.compress(b"3 3\n" + b"".join(entries), mtime=0),
        matrix.getvalue(),
        gzip.compress(matrix.getvalue(), mtime=0),
        len(header).to_bytes(8, "little") + header + rows.tobytes(),
        len(pieces).to_bytes(8, "little") + pieces + np.ones((4, 3)).tobytes(),
    ]


@cache
def _table() -> PieceTable:
    pieces = word_pieces(["red green password"] * 2, 40)
    return PieceTable.of(pieces, np.random.default_rng(0).normal(size=(pieces.get_vocab_size(), 3)).astype(np.float32))


def _pieces() -> bytes:
    return _table().tokenizer.to_str().encode()


def _tokenizer() -> Tokenizer:
    pieces = Tokenizer(models.WordPiece({"[UNK]": 0, "red": 1, "##d": 2, "re": 3}, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    return pieces
