"""Files of word vectors: every format gives the same rows, gzipped or not; what is damaged is refused by its place."""

import gzip
import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from siamese.text.vector_files import read_vectors

WORDS = ["red", "green", "été"]
ROWS = np.array([[0.5, -1.25, 3.0], [1.0, 2.0, -4.5], [0.0, 0.75, 8.0]], np.float32)


def as_text(header=True, rows=ROWS, words=WORDS, end="\n"):
    lines = [f"{word} {' '.join(map(str, row.tolist()))}" for word, row in zip(words, rows, strict=True)]
    return (end.join(([f"{len(rows)} {rows.shape[1]}"] if header else []) + lines) + end).encode()


def as_binary(newline=b"\n", rows=ROWS, words=WORDS):
    entries = [word.encode() + b" " + row.astype("<f4").tobytes() for word, row in zip(words, rows, strict=True)]
    return f"{len(rows)} {rows.shape[1]}\n".encode() + b"".join(entry + newline for entry in entries)


def as_safetensors(tensors, **header):
    described, content = {}, b""
    for name, array in tensors.items():
        dtype = {"<f4": "F32", "<f2": "F16", "<f8": "F64", "|i1": "I8", "<u2": "BF16"}[array.dtype.str]
        described[name] = {
            "dtype": dtype,
            "shape": array.shape,
            "data_offsets": [len(content), len(content) + array.nbytes],
        }
        content += array.tobytes()
    text = json.dumps({"__metadata__": {"format": "pt"}, **described, **header}).encode()
    return len(text).to_bytes(8, "little") + text + content


def as_npy(folder, array=ROWS):
    np.save(folder / "scratch.npy", array)
    return (folder / "scratch.npy").read_bytes()


def truncated_bfloat16(rows):
    return (rows.view(np.uint32) >> 16).astype("<u2")  # the rows above need no more bits


@pytest.fixture
def word_list(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return tmp_path / "words.txt"


def written(folder, content, name="vectors", packed=False):
    (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return folder / name


FORMATS = {
    "GloVe": lambda folder: as_text(header=False),
    "word2vec text": lambda folder: as_text(),
    "fastText .vec": lambda folder: as_text().replace(b"\n", b" \n"),
    "with tabs and the line ends of Windows": lambda folder: as_text(end="\r\n").replace(b" ", b"\t"),
    "word2vec binary": lambda folder: as_binary(),
    "binary without line ends": lambda folder: as_binary(newline=b""),
    "npy": as_npy,
    "npy of float64": lambda folder: as_npy(folder, ROWS.astype(">f8")),
    "npy by columns": lambda folder: as_npy(folder, np.asfortranarray(ROWS)),
    "safetensors": lambda folder: as_safetensors({"bias": np.ones(2, "<f4"), "embeddings": ROWS}),
    "safetensors of float16": lambda folder: as_safetensors({"embeddings": ROWS.astype("<f2")}),
    "safetensors of bfloat16": lambda folder: as_safetensors({"embeddings": truncated_bfloat16(ROWS)}),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path, word_list, capsys, form, packed):
    file = written(tmp_path, FORMATS[form](tmp_path), packed=packed)
    words = word_list if form.startswith(("npy", "safetensors")) else None
    found = read_vectors(file, words, ["été", "red", "mauve"])
    assert set(found) == {"été", "red"}
    np.testing.assert_array_equal(found["red"], ROWS[0])
    np.testing.assert_array_equal(found["été"], ROWS[2])
    assert all(row.dtype == np.float32 for row in found.values())
    assert capsys.readouterr().err == ""


def test_a_binary_file_longer_than_what_is_read_at_once(tmp_path):
    rows = np.random.default_rng(0).normal(size=(3000, 200)).astype(np.float32)
    words = [f"word{number}" for number in range(3000)]
    found = read_vectors(written(tmp_path, as_binary(rows=rows, words=words)), None, ["word0", "word1700", "word2999"])
    for word, row in found.items():
        np.testing.assert_array_equal(row, rows[int(word[4:])])
    assert len(found) == 3


def test_int8_rows(tmp_path, word_list):
    rows = np.array([[1, -127], [3, 4], [5, 6]], np.int8)
    found = read_vectors(written(tmp_path, as_safetensors({"embeddings": rows})), word_list, ["red"])
    np.testing.assert_array_equal(found["red"], [1, -127])


def pieces_file(folder, unknown="[UNK]"):
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "pass": 2, "##word": 3, "red": 4}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_words_of_a_tokenizer_get_the_mean_of_the_rows_of_their_pieces(tmp_path):
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    pieces_file(tmp_path)  # beside the file, where it is found
    found = read_vectors(
        written(tmp_path, as_safetensors({"embeddings": rows})), None, ["password", "red", "##word", "été"]
    )
    assert set(found) == {"password", "red", "##word"}
    np.testing.assert_array_equal(found["password"], [5, 6])  # the mean of (4, 5) and (6, 7)
    np.testing.assert_array_equal(found["red"], [8, 9])
    np.testing.assert_array_equal(found["##word"], [6, 7])


def test_words_may_hold_spaces_and_foreign_line_ends(tmp_path):
    """GloVe has such words; only a line feed ends a line."""
    content = ". . . 1 2\nno\u00a0break 3 4\nline\u0085end\u2028 5 6\n".encode()
    found = read_vectors(written(tmp_path, content), None, [". . .", "no\u00a0break", "line\u0085end\u2028"])
    assert [row.tolist() for row in found.values()] == [[1, 2], [3, 4], [5, 6]]


def test_the_first_of_repeated_words_counts_and_a_note_says_so(tmp_path, capsys):
    found = read_vectors(written(tmp_path, b"red 1 2\ngreen 3 4\nred 5 6\n"), None, ["red", "green"])
    assert found["red"].tolist() == [1, 2]
    assert "has 1 words again, the first 'red' in line 3; the first row of each counts" in capsys.readouterr().err


def test_words_that_are_not_utf8_are_counted(tmp_path, capsys):
    content = "où 1 2\n".encode() + "été".encode("latin-1") + b" 3 4\n"
    assert set(read_vectors(written(tmp_path, content), None, ["où", "été"])) == {"où"}
    assert "has 1 words that are not UTF-8, the first in line 2" in capsys.readouterr().err


EVERYDAY = {
    "Latin-1": "red 1 2\nété 3 4\n".encode("latin-1"),
    "Latin-1 with a header": "2 2\nété 3 4\nred 1 2\n".encode("latin-1"),
    "UTF-16": "red 1 2\nété 3 4\n".encode("utf-16"),
    "a byte order mark": "\ufeffred 1 2\nété 3 4\n".encode(),
    "a byte order mark before a header": "\ufeff2 2\nred 1 2\nété 3 4\n".encode(),
    "blank lines at the end": "red 1 2\r\nété 3 4\r\n \r\n\r\n".encode(),
    "tabs": "red\t1\t2\nété\t3\t4\n".encode(),
    "two spaces": "red  1  2 \nété  3  4\n".encode(),
    "binary numbers that no control character shows": b"2 2\nred "
    + np.array([0.1, 0.2], "<f4").tobytes()
    + "\nété ".encode()
    + np.array([0.3, 0.2], "<f4").tobytes(),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("case", EVERYDAY)
def test_everyday_files_are_read(tmp_path, capsys, case, packed):
    found = read_vectors(written(tmp_path, EVERYDAY[case], packed=packed), None, ["red", "été"])
    assert np.isclose(found["red"] * (10 if "binary" in case else 1), [1, 2]).all()
    assert set(found) == {"red", "été"}
    assert ("is not UTF-8 and was read as" in capsys.readouterr().err) == (case.startswith(("Latin-1", "UTF-16")))


NAN = np.where(ROWS == 2.0, np.nan, ROWS).astype(np.float32)
BROKEN = {
    "NaN in a binary file": (as_binary(rows=NAN), "row 2: a number of 'green' is NaN, infinite or beyond"),
    "a binary file that ends too soon": (as_binary()[:-6], "row 3: the file ends within it, but line 1 says 3 words"),
    "a binary file with too few rows": (as_binary().replace(b"3 3\n", b"4 3\n"), "row 4: the file ends within it"),
    "a binary file with more rows": (as_binary().replace(b"3 3\n", b"2 3\n"), "line 1 says 2 words, but more follow"),
    "a binary file of another width": (
        as_binary(newline=b"").replace(b"3 3\n", b"3 2\n"),
        r"row \d: (a number of|no word ends)|line 1 says",
    ),
    "a header that counts too many": (as_text().replace(b"3 3\n", b"9 3\n"), "line 1: says 9 words, but 3 follow"),
    "a header that counts too few": (as_text().replace(b"3 3\n", b"2 3\n"), "line 1: says 2 words, but 3 follow"),
    "a header with another width": (as_text().replace(b"3 3\n", b"3 4\n"), "line 2: expected a word and 4 numbers"),
    "a text that ends within a line": (as_text()[:-8], "line 4: expected a word and 3 numbers"),
    "a number that float32 cannot hold": (
        b"green 1 2\nred 1 1e39\n",
        "line 2: a number of 'red' is NaN, infinite or beyond ±1e",
    ),
    "a blank line within": (b"green 1 2\n\nred 3 4\n", "line 2: is blank, but more follow"),
    "words alone": (b"red\ngreen\n", "line 1: expected a word and its numbers, got 'red'"),
    "nothing": (b"", "holds no vectors"),
    "a header alone": (b"2 3\n", "holds no vectors"),
    "a pickle": (b"\x80\x04\x95whatever", "is a pickle, which could run code and is never loaded"),
    "a ZIP archive": (b"PK\x03\x04whatever", "is a ZIP archive"),
    "a fastText model": (b"\xba\x16\x4f\x2f\x0c", "is a fastText model; give its .vec file"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_by_its_name_and_place(tmp_path, case, packed):
    content, problem = BROKEN[case]
    with pytest.raises(ValueError, match=problem) as refused:
        read_vectors(written(tmp_path, content, packed=packed), None, ["red", "green"])
    assert str(tmp_path / "vectors") in str(refused.value)


@pytest.mark.parametrize("form", FORMATS)
def test_a_gzipped_file_that_ends_too_soon_is_refused(tmp_path, word_list, form):
    file = written(tmp_path, FORMATS[form](tmp_path), packed=True)
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"vectors is no whole gzip file: .*; fetch it again"):
        read_vectors(file, word_list if form.startswith(("npy", "safetensors")) else None, WORDS)


def test_a_damaged_gzip_file_is_refused(tmp_path):
    content = bytearray(gzip.compress(as_text()))
    content[20] ^= 0xFF
    (tmp_path / "vectors").write_bytes(content)
    with pytest.raises(ValueError, match="is no whole gzip file"):
        read_vectors(tmp_path / "vectors", None, WORDS)


MATRICES = {
    "NaN in a .npy": (lambda folder: as_npy(folder, NAN), "row 2: a number of 'green' is NaN, infinite or beyond"),
    "infinity in .safetensors": (
        lambda folder: as_safetensors({"m": np.where(ROWS == 8, np.inf, ROWS).astype("<f4")}),
        "row 3: a number of 'été'",
    ),
    "a .npy that ends too soon": (lambda folder: as_npy(folder)[:-3], "is no whole .npy file"),
    "a .npy with another number of rows": (
        lambda folder: as_npy(folder, ROWS[:2]),
        r"has shape \(2, 3\), but .*words.txt lists 3",
    ),
    "a .npy of one dimension": (
        lambda folder: as_npy(folder, ROWS[0]),
        r"expected float\[words, width\], got float32\[3\]",
    ),
    "a .npy of texts": (lambda folder: as_npy(folder, np.array([["a"]] * 3)), "expected float"),
    "safetensors that end too soon": (lambda folder: as_safetensors({"m": ROWS})[:-3], "ends within m"),
    "safetensors with a short header": (
        lambda folder: as_safetensors({"m": ROWS})[:40],
        "has no header of a .safetensors file",
    ),
    "safetensors without such a matrix": (
        lambda folder: as_safetensors({"m": ROWS[:2], "bias": np.ones(3, "<f4")}),
        r"one matrix with a row for each of the 3 words of .*; it holds m F32\[2, 3\], bias F32\[3\]",
    ),
    "safetensors with two": (lambda folder: as_safetensors({"m": ROWS, "n": ROWS}), "expected one matrix"),
    "safetensors with offsets of another size": (
        lambda folder: as_safetensors({}, m={"dtype": "F32", "shape": [3, 3], "data_offsets": [0, 8]}),
        "gives m the bytes 0 to 8, which is not its size",
    ),
    "safetensors with a negative offset": (
        lambda folder: as_safetensors({}, m={"dtype": "F32", "shape": [3, 3], "data_offsets": [-36, 0]}),
        "gives m the bytes -36 to 0",
    ),
    "safetensors with a header that is no object": (
        lambda folder: (10).to_bytes(8, "little") + b'{"a": [1]}',
        "has no header",
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("case", MATRICES)
def test_a_broken_matrix_is_refused_by_its_name_and_place(tmp_path, word_list, case, packed):
    content, problem = MATRICES[case]
    with pytest.raises(ValueError, match=problem) as refused:
        read_vectors(written(tmp_path, content(tmp_path), packed=packed), word_list, WORDS)
    assert str(tmp_path / "vectors") in str(refused.value)


def test_objects_are_never_unpickled(tmp_path, word_list):
    np.save(tmp_path / "objects.npy", np.array([[{}, {}]] * 3, object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_vectors(written(tmp_path, (tmp_path / "objects.npy").read_bytes(), packed=True), word_list, WORDS)


def test_a_matrix_needs_the_words_of_its_rows(tmp_path):
    for content in (as_npy(tmp_path), as_safetensors({"m": ROWS})):
        with pytest.raises(ValueError, match=r"vectors\.words must name the word list"):
            read_vectors(written(tmp_path, content), None, WORDS)


def test_words_beside_their_numbers_need_no_list(tmp_path, word_list):
    with pytest.raises(ValueError, match=r"vectors\.words is for \.npy and \.safetensors"):
        read_vectors(written(tmp_path, as_text()), word_list, WORDS)


def test_a_broken_tokenizer_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ValueError, match=r"tokenizer\.json is no tokenizer\.json"):
        read_vectors(written(tmp_path, as_safetensors({"m": ROWS})), None, WORDS)
