"""Hostile inputs: whatever a file holds, a reader gives its rows or names it in one line; nothing hangs or fills memory.

`tests.hostile` has the targets. What fuzzing found (Hypothesis, atheris, and the damage below) is kept in FOUND.
"""

import csv
import gzip
import json
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese.commands.arguments import command_line
from siamese.commands.config_files import CONF, read_config_file
from siamese.data.dialects import Reading
from siamese.data.files import read_pair_file
from siamese.data.questions import visible
from siamese.text.vector_files import read_vectors
from tests import hostile

TABLE = b"question1,question2,is_duplicate\n"
FOUND = {  # suffix, what the file holds; each gave a traceback, another library's words or a wrong row
    "a separator line that names a quote": (".csv", b'sep="\n' + TABLE),
    "a header of many columns": (".csv", ",".join(map(str, range(20_000))).encode() + b"\n"),
    "two columns of one name": (".csv", b"question1,question1,question2,is_duplicate\na,b,c,1\n"),
    "a key that is not UTF-8": (".jsonl", b'{"question1": "a", "question2": "b", "\xe9": 1}\n'),
    "half an emoji as a key": (".jsonl", b'{"\\ud83d": "a", "question2": "b"}\n'),
    "a key that occurs twice": (
        ".jsonl",
        b'{"question1": "a", "question1": "b", "question2": "c", "is_duplicate": 1}\n',
    ),
    "Parquet without a footer": (".parquet", b"PAR1" + bytes(40) + b"PAR1"),
    "a header with a superscript": (".vectors", "² 3\nred 1 2 3\n".encode()),
    "a header of thousands of digits": (".vectors", b"9" * 5000 + b" 3\nred 1 2 3\n"),
    "a header with a width of gigabytes": (".vectors", b"1 9000000000\nred \x00\x01\x02\x03"),
    "NaN in a text of vectors": (".vectors", b"red 1 nan\n"),
    "1e39 of a word that nobody asks for": (".vectors", b"mauve 1 1e39\nred 1 2\n"),
    "an empty .npy": (".vectors", b"\x93NUMPY"),
    "a .npy whose header is no Python": (".vectors", b"\x93NUMPY\x01\x00\x0b\x00{'descr': ("),
    "a .npy of a matrix of petabytes": (
        ".vectors",
        b"\x93NUMPY\x01\x00\x76\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 9999999999999), }".ljust(117)
        + b"\n",
    ),
    "safetensors with a deep header": (".vectors", (5000).to_bytes(8, "little") + b'{"m":' + b"[" * 4995),
    "safetensors with one offset": (
        ".vectors",
        (54).to_bytes(8, "little") + b'{"m":{"dtype":"F32","shape":[3,3],"data_offsets":[0]}}',
    ),
    "safetensors that claim terabytes": (
        ".vectors",
        (78).to_bytes(8, "little") + b'{"m":{"dtype":"F32","shape":[3,9999999999],"data_offsets":[0,119999999988]}}  ',
    ),
    "safetensors of a type that is not UTF-8": (
        ".vectors",
        (61).to_bytes(8, "little") + b'{"m":{"dtype":"\xed\xa0\xbd","shape":[3,3],"data_offsets":[0,36]}}     ',
    ),
    "a table's tokenizer with other names": (".table", b'{"padd\\ng": 1, "\\ud83d": 2}'),
    "a detector with another name": (".saved", b'{"format_version": 5, "calibration": {"precision\\ud83d": 1}}'),
    "pieces whose ids are no rows": (
        ".json",
        b'{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,'
        b'"post_processor":null,"decoder":null,"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",'
        b'"max_input_chars_per_word":100,"vocab":{"[UNK]":0,"red":9,"##d":2,"re":3}}}',
    ),
    "pieces without the one for what is unknown": (
        ".json",
        b'{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,'
        b'"post_processor":null,"decoder":null,"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",'
        b'"max_input_chars_per_word":100,"vocab":{"a":0,"b":1,"c":2,"d":3}}}',
    ),
}
TARGETS = {suffix: [target for target, _ in found] for suffix, found in hostile.seeds().items()}
TEXTS = (
    st.text(min_size=1, max_size=30).map(str.strip).filter(lambda text: visible(text).strip() and text == text.strip())
)


def run(folder: Path, suffix: str, target, content: bytes) -> None:
    file = folder / f"file{suffix}"
    file.write_bytes(content)
    target(file)


@pytest.fixture
def folder(tmp_path):
    hostile.beside(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", FOUND)
def test_what_fuzzing_found(folder, case):
    suffix, content = FOUND[case]
    for target in dict.fromkeys(TARGETS[suffix]):
        run(folder, suffix, target, content)


@pytest.mark.parametrize("suffix", TARGETS)
def test_seeds_are_read(folder, suffix, monkeypatch):
    """Damage to a file that is refused as it is would prove nothing."""
    accepted, found = hostile.accepted, []
    monkeypatch.setattr(hostile, "accepted", lambda read, file: found.append(accepted(read, file)) or found[-1])
    for target, content in hostile.seeds()[suffix]:
        found.clear()
        run(folder, suffix, target, content)
        assert any(each is not None for each in found) or target is hostile.stream


def fuzz(folder: Path, inputs: int, seed: int) -> None:
    dice, found = random.Random(seed), hostile.seeds()
    items = [(suffix, *each) for suffix, several in found.items() for each in several]
    contents = [content for *_, content in items]
    for number in range(inputs):
        suffix, target, content = items[number % len(items)]
        data = hostile.damaged(content, dice, contents)
        try:
            run(folder, suffix, target, data)
        except BaseException as problem:  # a panic of Rust is no Exception
            problem.add_note(f"input {number} of seed {seed}, {target} of {suffix}: {data[:2000]!r}")
            raise


def test_damaged_files_are_read_or_refused_by_their_name(folder):
    fuzz(folder, 700, seed=0)


def memory(kind: str) -> int:
    """Memory of this process in kB: VmRSS now, VmHWM at its peak."""
    return int(Path("/proc/self/status").read_text().partition(f"{kind}:")[2].split()[0])


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_damaged_files_are_read_or_refused_by_their_name(folder, seed):
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    fuzz(folder, 25_000, seed)
    assert memory("VmHWM") - before < 1_000_000


@given(
    st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from([0, 1, 0.25])), min_size=1, max_size=6), st.sampled_from(",;\t|")
)
def test_each_row_comes_back_from_each_format(rows, delimiter):
    """Whatever the texts hold, as long as they are quoted where a format has quotes."""
    columns = dict(zip(hostile.PAIR, map(list, zip(*rows, strict=True)), strict=True))
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / name for name in ("a.jsonl", "a.parquet", "a.csv", "b.csv.gz")]
        files[0].write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
        pq.write_table(pa.table(columns), files[1])
        with files[2].open("w", encoding="utf-8", newline="") as out:
            table = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
            table.writerows([columns, *rows])
        files[3].write_bytes(gzip.compress(files[2].read_bytes()))
        for file in files:
            left, right, labels, bad = read_pair_file(
                file, *hostile.PAIR, "error", reading=Reading("utf-8", html=False)
            )
            assert (list(zip(left, right, labels.tolist(), strict=True)), bad) == (rows, ()), file.name


@given(st.dictionaries(st.from_regex(r"[^\s\d.+\-_nNiI]\S{0,8}", fullmatch=True), st.lists(
    st.floats(-(2.0**40), 2.0**40, width=32), min_size=3, max_size=3), min_size=1, max_size=5))  # fmt: skip
def test_each_vector_comes_back_from_each_format(rows):
    words, matrix = list(rows), np.array(list(rows.values()), np.float32)
    entries = [word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(words, matrix, strict=True)]
    lines = [f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, matrix.tolist(), strict=True)]
    header = f"{len(words)} 3\n"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "words").write_text("\n".join(words) + "\n", encoding="utf-8", newline="")
        (folder / "text").write_bytes((header + "".join(lines)).encode())
        (folder / "binary").write_bytes(header.encode() + b"".join(entries))
        np.save(folder / "matrix.npy", matrix)
        for name, listed in (("text", None), ("binary", None), ("matrix.npy", folder / "words")):
            found = read_vectors(folder / name, listed, words)
            assert list(found) == words, name
            assert np.array_equal(np.array(list(found.values())), matrix), name


@given(st.data())
def test_any_word_of_a_command_line_is_a_setting_a_text_or_refused(data):
    program = data.draw(st.sampled_from(["predict", "search", "mine", "encode", "why", "serve", "export"]))
    names = [each.name for each in read_config_file(CONF / f"{program}.yaml").settings]
    value = data.draw(
        st.one_of(
            st.text(max_size=8), st.sampled_from(["nan", "inf", "1e400", "[", "{a", "!!python/x", "@", "9" * 5000])
        )
    )
    word = data.draw(st.sampled_from(names)) + data.draw(st.sampled_from(["=", ".x=", ".=", ""])) + value
    try:
        settings, _ = command_line(program, [word])
    except ValueError as refused:
        assert type(refused) is ValueError  # noqa: PT017
        return
    assert all(np.isfinite(value) for value in settings.values() if isinstance(value, float))
