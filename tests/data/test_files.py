"""Files of pairs, intents and questions: all formats read equally, and a bad row is reported with its number."""

import gzip
import json
import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siamese.data import formats
from siamese.data.dialects import Reading
from siamese.data.files import read_columns, read_pair_file, read_question_table, read_questions
from siamese.data.formats import TableFile

HEADER = "question1,question2,is_duplicate\n"
GOOD = "How do I pay?,How can I pay?,1\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, on_bad_row: str = "skip", label_scale: float = 1.0):
    return read_pair_file(path, "question1", "question2", "is_duplicate", on_bad_row, label_scale)


def bad_places(path: Path, **options) -> list[tuple[int, str]]:
    return [(bad.row, bad.column) for bad in read(path, **options)[3]]


def test_the_four_formats_give_the_same_pairs(tmp_path):
    records = [
        {"question1": "Où ?", "question2": 'Say "hi", or\tnot', "is_duplicate": 1},
        {"question1": "a\nb", "question2": "c", "is_duplicate": 0},
    ]
    comma = write(tmp_path / "a.csv", HEADER + 'Où ?,"Say ""hi"", or\tnot",1\n"a\nb",c,0\n')
    tsv = write(
        tmp_path / "a.TSV", 'is_duplicate\tquestion2\tquestion1\n1\t"Say ""hi"", or\tnot"\tOù ?\n0\tc\t"a\nb"\n'
    )
    jsonl = write(tmp_path / "a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(records), parquet)
    for path in (comma, tsv, jsonl, parquet):
        left, right, labels, bad = read(path, "error")
        assert (left, right, bad) == (["Où ?", "a\nb"], ['Say "hi", or\tnot', "c"], ()), path
        assert labels.dtype == np.float64
        assert labels.tolist() == [1.0, 0.0], path


def test_quoras_original_layout(tmp_path):
    path = write(
        tmp_path / "quora_duplicate_questions.tsv",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        '0\t1\t2\tWhat is "it"?\t"""It"" is what?"\t1\n'
        '1\t3\t4\t"two\nlines"\t\t0\n'
        "2\t5\t6\tWhy?\tWhy not?\t0\n",
    )
    left, right, labels, bad = read(path)
    assert left == ['What is "it"?', "Why?"]
    assert right == ['"It" is what?', "Why not?"]
    assert labels.tolist() == [1.0, 0.0]
    assert [(found.row, found.column, found.problem) for found in bad] == [(3, "question2", "the text is empty")]


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        (",b,1", "question1", "the text is empty"),
        ("a,  \u00a0,1", "question2", "the text is empty"),
        ("a,b,", "is_duplicate", "the label must be a number in [0, 1]"),
        ("a,b,maybe", "is_duplicate", "the label must be a number in [0, 1]"),
        ("a,b,nan", "is_duplicate", "the label must be a number in [0, 1]"),
        ("a,b,1.5", "is_duplicate", "the label must be a number in [0, 1]"),
        ("a,b,-1", "is_duplicate", "the label must be a number in [0, 1]"),
        ("a,b", "(whole row)", "it has 2 columns, the header has 3"),
        ("a,b,1,c", "(whole row)", "it has 4 columns, the header has 3"),
        ('a,"b" c,1', "(whole row)", "broken quoting"),
        ('a,"b,1', "(whole row)", "broken quoting"),
    ],
)
def test_a_bad_csv_row_costs_that_row_only(tmp_path, row, column, problem):
    path = write(tmp_path / "a.csv", HEADER + GOOD + row + "\n" + GOOD + '"c, d",e,0\n')
    left, _, labels, bad = read(path)
    assert left == ["How do I pay?", "How do I pay?", "c, d"]
    assert labels.tolist() == [1, 1, 0]
    assert [(found.file, found.row, found.column) for found in bad] == [(str(path), 3, column)]
    assert bad[0].problem.startswith(problem)
    with pytest.raises(ValueError, match=r"a\.csv, row 3, column .*; mend the row or set data\.on_bad_row=skip$"):
        read(path, "error")


def test_rows_are_physical_lines_and_reading_resumes_one_line_after_a_broken_start(tmp_path):
    path = write(
        tmp_path / "a.csv",
        HEADER  # line 1
        + '"two\r\nlines",b,1\r\n'  # lines 2 and 3
        + "\n"  # a blank line is no row
        + 'a,"never closed,1\n'  # line 5
        + GOOD  # line 6
        + ",b,1\n"  # line 7
        + '"last,b,1',  # line 8, and no line end
    )
    left, *_, bad = read(path)
    assert left == ["two\r\nlines", "How do I pay?"]
    assert [(found.row, found.column) for found in bad] == [(5, "(whole row)"), (7, "question1"), (8, "(whole row)")]
    assert bad[0].found == 'a,"never closed,1'
    assert read_columns(TableFile(path), ["question2"], None, "skip").rows.tolist() == [2, 6, 7]


BROKEN = [
    ("a.csv", HEADER + 'a,b,1\r\n"a\n\nb","\n",1\n\n\na,b\na,"b,1\n,b,1\nc,d,x\n"e",f,0\n"g\nh",i,0\n"last,b,1'),
    ("a.csv", '"question1","question2",is_duplicate,"\nmore\n"\na,"b\nc",1,\na,b,0\n"d,e,0,\nf,g,1,\n"h",i,1,"\n"'),
    (
        "a.csv",
        HEADER + GOOD + 'a,"' + ("never closed," * 1000 + "1\n") * 20 + GOOD,
    ),  # a field of more than 131,072 letters
    ("a.jsonl", '{"question1": "a", "question2": "b", "is_duplicate": 1}\n\n{}\n{"question1"\n' * 3),
    ("a.jsonl", '{}\n{"is_duplicate": 1}\n' + '{"question1": "a", "question2": "b", "is_duplicate": 1}\n' * 3),
]


@pytest.mark.parametrize("characters", [1, 8, 20, 50])
@pytest.mark.parametrize(("name", "content"), BROKEN)
def test_blocks_change_nothing(tmp_path, monkeypatch, name, content, characters):
    """Records, broken or good, that cross the border of two blocks are found as in one block."""
    path = write(tmp_path / name, content)
    expected = read_columns(TableFile(path), ["question1", "question2"], "is_duplicate", "skip")
    monkeypatch.setattr("siamese.data.formats.CHARACTERS", characters)
    found = read_columns(TableFile(path), ["question1", "question2"], "is_duplicate", "skip")
    assert (found.texts, found.bad_rows) == (expected.texts, expected.bad_rows)
    assert (found.labels.tolist(), found.rows.tolist()) == (expected.labels.tolist(), expected.rows.tolist())


def test_blocks_of_parquet(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    texts = pa.array(["a", "b", None, "d", "e"]).dictionary_encode()
    pq.write_table(pa.table({"question1": texts, "question2": texts, "is_duplicate": range(5)}), path)
    monkeypatch.setattr("siamese.data.parquet_blocks.BLOCK", 2)
    found = read_columns(TableFile(path), ["question2", "question1"], "is_duplicate", "skip", label_scale=3)
    assert found.texts == [["a", "b", "d"]] * 2
    assert found.rows.tolist() == [1, 2, 4]
    assert [(bad.row, bad.column) for bad in found.bad_rows] == [(3, "question2"), (5, "is_duplicate")]


FAR = pa.array([0, 4 * 10**17, None])  # microseconds; the second is a time in the year 14645


def test_times_that_python_has_not_come_through_as_texts(tmp_path):
    """In any column; such a value is a question in none."""
    path = tmp_path / "a.parquet"
    days = pa.array([1, 2**31 - 1, None], pa.int32()).cast(pa.date32())
    columns = {"text": ["a", "b", "c"], "time": FAR.cast(pa.timestamp("us", "UTC")), "day": days}
    pq.write_table(pa.table(columns), path)
    table, bad_rows = read_question_table(path, None)
    assert (table["time"].to_pylist()[1:], bad_rows) == (["14645-06-30 15:06:40.000000Z", ""], ())
    assert table["day"].to_pylist()[0] == "1970-01-02"
    with pytest.raises(ValueError, match=r"no good row; .* row 1, column time: a text is expected, not datetime"):
        read_questions(path, "time")


@pytest.mark.parametrize("is_known_to_arrow", [True, False])
def test_a_text_that_many_rows_of_parquet_share_is_in_memory_once(tmp_path, is_known_to_arrow):
    """A dictionary makes 10 GB of a small file."""
    rows = 10_000
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 1_000_000]))
    table = pa.table({"question1": shared, "question2": ["a"] * rows, "label": [1] * rows})
    pq.write_table(table, tmp_path / "a.parquet", store_schema=is_known_to_arrow)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="row 1, column question1: the text has 1,000,000 characters"):
        read_pair_file(tmp_path / "a.parquet", "question1", "question2", "label", "skip")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_a_value_of_parquet_that_cannot_be_read_costs_its_row(tmp_path):
    path = tmp_path / "a.parquet"
    unreadable = pa.array([[0], [4 * 10**17], None], pa.list_(pa.int64())).cast(pa.list_(pa.timestamp("us")))
    pq.write_table(pa.table({"text": ["a", "b", "c"], "times": unreadable}), path)
    table, bad_rows = read_question_table(path, None)
    assert table["question"].to_pylist() == ["a", "c"]
    assert [(row.row, row.column, row.problem) for row in bad_rows] == [(2, "times", "the value cannot be read")]


def test_two_columns_of_one_name(tmp_path):
    """Those of questions and labels are refused; of others the first is read, and a note says so."""
    notes: list[str] = []
    names, values = ["question1", "question2", "question1", "x", "x"], ["a", "b", "c", "d", "e"]
    pq.write_table(pa.table([pa.array([value]) for value in values], names), tmp_path / "a.parquet")
    write(tmp_path / "a.csv", ",".join(names) + "\n" + ",".join(values) + "\n")
    for name in ("a.parquet", "a.csv"):
        with pytest.raises(ValueError, match=rf"{name} has several columns 'question1': .*; rename all but one"):
            read(tmp_path / name)
        table, _ = read_question_table(tmp_path / name, "question2", Reading(tell=notes.append))
        assert table.to_pydict() == {"question": ["b"], "question1": ["a"], "x": ["d"]}
        assert notes.pop().endswith("several columns of one name, of which the first is read: 'question1', 'x'")


def test_keys_of_jsonl_are_utf8_and_unique(tmp_path):
    good = '{"question1": "é", "question2": "b", "is_duplicate": 1}\n'
    path = write(tmp_path / "a.jsonl", good.encode() + b'{"question1": "a", "\xe9": 1}\n{"x": {"y": 1, "y": 2}}\n')
    assert [(row.row, row.problem) for row in read(path)[3]] == [
        (2, "a key is not UTF-8"),
        (3, "unreadable JSON, the key 'y' occurs twice"),
    ]


def test_a_small_gzip_file_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("siamese.data.dialects.LONGEST_LINE", 2**22)
    monkeypatch.setattr("siamese.data.parquet_blocks.LARGEST_UNPACKED", 2**20)
    for name in ("a.csv.gz", "a.jsonl.gz"):
        with pytest.raises(ValueError, match=r"has a line of more than 4,194,304 bytes"):
            read(write(tmp_path / name, gzip.compress(b"question1," + bytes(2**23))))
    with pytest.raises(ValueError, match=r"unpacks to more than 1,048,576 bytes; give the unpacked file"):
        read(write(tmp_path / "a.parquet.gz", gzip.compress(b"PAR1" + bytes(2**21))))


def test_an_open_quote_before_many_lines_is_found_soon(tmp_path, monkeypatch):
    """What it begins is read again, but each time twice as far: not a hundred times."""
    monkeypatch.setattr("siamese.data.formats.CHARACTERS", 100)
    read_records, calls = formats.read_records, []
    monkeypatch.setattr(formats, "read_records", lambda *arguments: calls.append(1) or read_records(*arguments))
    left, *_ = read(write(tmp_path / "a.csv", HEADER + 'a,"b\n' + GOOD * 1_000))
    assert len(left) == 1_000
    assert len(calls) < 15


def test_a_column_that_no_record_has_is_named_before_bad_rows(tmp_path):
    path = write(tmp_path / "a.jsonl", "{}\n{}\n")
    with pytest.raises(ValueError, match="has no column 'question1'"):
        read(path, "error")


def test_error_names_the_first_bad_row_and_counts_the_others(tmp_path):
    path = write(tmp_path / "a.csv", HEADER + GOOD + 'a,b,2\na,"b,1\n,b,1\n')
    with pytest.raises(ValueError, match=r"row 3, column is_duplicate: .*\(found '2'\); 2 more rows are bad; mend"):
        read(path, "error")


def test_a_wrong_byte_spoils_one_row_and_none_in_an_unused_column(tmp_path):
    content = b"note,question1,question2,is_duplicate\n,caf\xe9,b,1\n,caf\xc3\xa9,b,1\ncaf\xe9,c,d,0\n"
    left, *_, bad = read(write(tmp_path / "a.csv", content))
    assert left == ["café", "c"]
    assert [(found.row, found.column, found.found, found.problem) for found in bad] == [
        (2, "question1", "caf\N{REPLACEMENT CHARACTER}", "the text is not UTF-8")
    ]
    str(bad[0]).encode()  # printable everywhere


def test_a_byte_order_mark_is_accepted(tmp_path):
    assert read(write(tmp_path / "a.csv", b"\xef\xbb\xbf" + (HEADER + GOOD).encode()), "error")[0] == ["How do I pay?"]


def test_only_line_ends_end_a_line(tmp_path):
    text = "a\u2028b\x0bc\x85d"  # str.splitlines would break all of these
    assert read(write(tmp_path / "a.csv", HEADER + f"{text},b,1\n"), "error")[0] == [text]


def test_bad_jsonl_rows(tmp_path):
    lines = [
        '{"question1": "a", "question2": "b", "is_duplicate": true}',  # true is 1
        '{"question1": "a", "question2": "b"',
        '["a", "b", 1]',
        '{"question1": 5, "question2": "b", "is_duplicate": 1}',
        "",
        '{"question1": "a", "question2": null, "is_duplicate": 1}',
        '{"question1": "a", "is_duplicate": 1}',
        '{"question1": "a", "question2": "b", "is_duplicate": [1]}',
        '{"question1": "a", "question2": "b", "is_duplicate": NaN}',
        '{"question1": "a", "question2": "b", "is_duplicate": 1' + "0" * 400 + "}",
        '{"question1": "\\ud83d", "question2": "b", "is_duplicate": 1}',  # half of an emoji
        '{"question1": "c", "question2": "d", "is_duplicate": 0.25, "more": 1}',
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(lines))
    left, right, labels, _ = read(path)
    assert (left, right, labels.tolist()) == (["a", "c"], ["b", "d"], [1.0, 0.25])
    assert bad_places(path) == [
        (2, "(whole row)"),
        (3, "(whole row)"),
        (4, "question1"),
        (6, "question2"),
        (7, "question2"),
        (8, "is_duplicate"),
        (9, "is_duplicate"),
        (10, "is_duplicate"),
        (11, "question1"),
    ]


def test_bad_parquet_rows_are_counted_from_one(tmp_path):
    path = tmp_path / "a.parquet"
    not_utf8 = pa.array([b"a", b"caf\xe9", b"c", b"d"]).view(pa.string())
    right = pa.array(["e", "f", None, "h"]).dictionary_encode()
    pq.write_table(
        pa.table({"question1": not_utf8, "question2": right, "is_duplicate": [True, True, False, None]}), path
    )
    left, right_texts, labels, _ = read(path)
    assert (left, right_texts, labels.tolist()) == (["a"], ["e"], [1.0])
    assert bad_places(path) == [(2, "question1"), (3, "question2"), (4, "is_duplicate")]


def test_grades_are_scaled_before_their_range_is_checked(tmp_path):
    path = write(tmp_path / "a.csv", HEADER + "a,b,5\na,b,2.5\na,b,0\na,b,5.1\n")
    assert read(path, label_scale=5)[2].tolist() == [1.0, 0.5, 0.0]
    assert bad_places(path, label_scale=5) == [(5, "is_duplicate")]
    for scale in (0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"label_scale must be a number above 0, got {scale}"):
            read(path, label_scale=scale)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.doc", "a", r"must end in one of \.csv, \.tsv, .*\.jsonl, .*\.parquet, .*got '\.doc'"),
        ("a.csv", "", "is empty"),
        ("a.jsonl", "", "is empty"),
        ("a.parquet", "", "is empty"),
        ("a.csv", HEADER, "has no rows"),
        ("a.jsonl", "\n\n", "has no rows"),
        ("a.csv", "q1;question2;is_duplicate\na;b;1\n", "no column 'question1'; .* 'q1', 'question2', 'is_duplicate'$"),
        ("a.jsonl", '{"question1": "a", "q2": "b"}\n', "no column 'question2'; its columns are 'question1', 'q2'$"),
        ("a.csv", "question1,question2,is_duplicate".encode("utf-16"), "has no rows"),
        ("a.csv", b"caf\xe9," + "é,".encode() * 2 + b"\na,b,c,d\n", "is not UTF-8 .its header"),
        ("a.csv", b"PK\x03\x04", "is a spreadsheet; save it as a CSV file"),
        ("a.xlsx", "", "is a spreadsheet; save it as a CSV file"),
        ("a.csv.gz", gzip.compress(HEADER.encode(), mtime=0)[:20], "is no whole gzip file"),
        ("a.csv", 'question1,"question2\n', "broken quoting in its header"),
        ("a.parquet", "question1,question2", "is not a Parquet file"),
        ("a.csv", HEADER + "a,,1\n", "has no good row; its first: .*row 2, column question2"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(write(tmp_path / name, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_wrong_switch_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.csv"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"data\.on_bad_row must be error or skip, got 'ignore'"):
        read(write(tmp_path / "a.csv", HEADER + GOOD), "ignore")


def test_the_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.csv", HEADER + GOOD)
    assert read(Path("~/a.csv"), "error")[0] == ["How do I pay?"]


def test_columns_and_rows_are_known_without_reading_a_file(tmp_path):
    """A line break inside quotes counts as a row of text; Parquet knows its rows."""
    comma = write(tmp_path / "a.csv", '\ufeffid,a,a,"b c"\n1,2,3,"4\n5"\n')
    tsv = write(tmp_path / "a.tsv", "id\ta\n1\t2\n")
    jsonl = write(tmp_path / "a.jsonl", '\nno\n{"a": 1, "id": 2}\n{"other": 3}\n')
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3], "id": [4, 5, 6]}), parquet)
    assert [TableFile(path).columns for path in (comma, tsv, jsonl, parquet)] == [
        ["id", "a", "a", "b c"],
        ["id", "a"],
        ["a", "id"],
        ["a", "id"],
    ]
    assert [TableFile(path).count_rows() for path in (comma, tsv, jsonl, parquet)] == [3, 2, 4, 3]
    assert TableFile(write(tmp_path / "b.jsonl", "no\n")).columns == []
    with pytest.raises(ValueError, match="is not a Parquet file"):
        TableFile(write(tmp_path / "b.parquet", "no"))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        TableFile(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 5_000], ids=["too deep", "too long a number"])
def test_json_that_python_cannot_hold_costs_its_line_only(tmp_path, value):
    good = json.dumps({"question1": "a", "question2": "b", "is_duplicate": 1})
    path = write(tmp_path / "a.jsonl", f'{good}\n{{"question1": {value}}}\n{good}\n')
    left, _, _, bad = read(path)
    assert left == ["a", "a"]
    assert [(each.row, each.problem.partition(",")[0]) for each in bad] == [(2, "unreadable JSON")]


# Files of questions


@pytest.fixture
def question_file(tmp_path):
    def file(name: str, text: str) -> str:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        return str(tmp_path / name)

    return file


@pytest.mark.parametrize(
    ("header", "column", "expected"),
    [("text,question", None, "q"), ("id,text", None, "q"), ("a,b", "b", "q"), ("a,b", "a", "t")],
)
def test_which_column_has_the_questions(question_file, header, column, expected):
    assert list(read_questions(question_file("a.csv", f"{header}\nt,q\n"), column).texts[0]) == [expected]


def test_a_question_file_without_such_a_column(question_file):
    with pytest.raises(ValueError, match="has no column 'question'; its columns are 'a', 'b'"):
        read_questions(question_file("a.csv", "a,b\nt,q\n"), None)
    with pytest.raises(FileNotFoundError, match=r"no file absent\.csv"):
        read_question_table("absent.csv", None)


def test_all_columns_come_along_with_questions(question_file):
    path = question_file("a.csv", "topic,text,answer\ncards, How? ,\n,,é\nmail,Why?,\udcff\n")
    table, bad_rows = read_question_table(path, None)
    assert table.to_pydict() == {"question": ["How?", "Why?"], "topic": ["cards", "mail"], "answer": ["", "\ufffd"]}
    assert [(row.row, row.column) for row in bad_rows] == [(3, "text")]


def test_values_of_any_kind_become_texts(question_file, tmp_path):
    path = question_file("a.jsonl", '{"question": "How?", "n": 3}\n{"question": "Why?", "n": null}\n')
    assert read_question_table(path, None)[0].to_pydict() == {"question": ["How?", "Why?"], "n": ["3", ""]}
    pq.write_table(pa.table({"n": [1.5, 2.5], "question": ["a", "b"]}), tmp_path / "a.parquet")
    assert read_question_table(tmp_path / "a.parquet", None)[0]["n"].to_pylist() == ["1.5", "2.5"]


def test_refused_question_files(question_file):
    with pytest.raises(ValueError, match="a column 'question' beside 'text'"):
        read_question_table(question_file("a.csv", "question,text\na,b\n"), "text")
    with pytest.raises(ValueError, match=r"no good row; its first: .*row 2, column question: the text is empty"):
        read_question_table(question_file("b.csv", "question,a\n,b\n"), None)
