"""Records: every row of a file and every line of a stream gives one record, in order, valid or not."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siamese.data import formats, records
from siamese.data.formats import TableFile
from siamese.data.records import read_file, read_lines


def rows_of(path: Path, left: str = "question1", right: str = "question2") -> list[tuple[dict, str]]:
    return [record for block in read_file(TableFile(path), left, right) for record in block]


def lines_of(*pieces: bytes) -> list[list[tuple[dict, str]]]:
    return list(read_lines(pieces, "question1", "question2"))


def values_of(*pieces: bytes) -> list[tuple]:
    return [tuple(values.values()) for block in lines_of(*pieces) for values, _ in block]


def test_all_columns_of_the_four_formats_come_through_in_their_order(tmp_path):
    table = [{"id": 7, "question2": "b?", "question1": " a? "}, {"id": None, "question2": "d", "question1": "c"}]
    texts = [[str(row["id"] or ""), row["question2"], row["question1"]] for row in table]
    (tmp_path / "a.csv").write_text("id,question2,question1\n" + "".join(",".join(row) + "\n" for row in texts))
    (tmp_path / "a.tsv").write_text("id\tquestion2\tquestion1\n" + "".join("\t".join(row) + "\n" for row in texts))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        assert rows_of(tmp_path / name) == [(row, "") for row in table], name
    for name in ("a.csv", "a.tsv"):
        found = rows_of(tmp_path / name)
        assert [list(values.values()) for values, _ in found] == texts, name
        assert [list(values) for values, _ in found] == [["id", "question2", "question1"]] * 2


def test_bad_rows_stay_in_their_places_and_say_what_is_wrong(tmp_path):
    """Line 3 has no question2, line 4 falls apart, line 5 is not UTF-8, line 7 is too short; lines 6 and 8 are good."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'question1,question2,id\na,b,1\nc, ,2\nd,"e"f,3\ng\xff,h,4\ni\xc3\xa9,j,5\nk\nl,m,6\n')
    found = rows_of(path)
    assert [values["id"] for values, _ in found] == ["1", "2", None, "4", "5", None, "6"]
    assert [error for _, error in found] == [
        "",
        f"{path}, row 3, column question2: the text is empty (found ' ')",
        f"{path}, row 4, column (whole row): broken quoting; quote the whole field and double each quote inside it "
        "(found 'd,\"e\"f,3')",
        f"{path}, row 5, column question1: the text is not UTF-8 (found 'g\N{REPLACEMENT CHARACTER}')",
        "",
        f"{path}, row 7, column (whole row): it has 1 columns, the header has 3 (found 'k')",
        "",
    ]
    assert found[2][0] == {"question1": None, "question2": None, "id": None}
    assert found[1][0]["question1"] == "c"


def test_bad_lines_of_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    good = '{"question1": "a", "question2": "b"}'
    deep, long = "[" * 100_000, "1" * 5_000
    path.write_text(
        f'{{"question1": "a"}}\nno\n{good}\n[1]\n{{"question1": 3, "question2": "b"}}\n{deep}\n{{"x": {long}}}\n{good}\n'
    )
    found = rows_of(path)
    problems = [error.partition(": ")[2].partition(" (found")[0] for _, error in found]
    assert problems[:6] == [
        "the text is missing",
        "invalid JSON, Expecting value at character 1",
        "",
        "a JSON object is expected",
        "a text is expected, not int",
        problems[5],
    ]
    assert [problem.startswith("unreadable JSON, ") for problem in problems[5:]] == [True, True, False]
    assert found[-1] == ({"question1": "a", "question2": "b"}, "")


def test_a_line_of_a_stream_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(records, "LONGEST_LINE", 100)
    with pytest.raises(ValueError, match=r"standard input, row 2: the line has more than 100 bytes"):
        lines_of(b"a\tb\nc", b"c" * 60, b"c" * 60, b"c")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_small_blocks_give_the_same_records(tmp_path, monkeypatch, size):
    path = tmp_path / "a.csv"
    path.write_text("question1,question2\na,b\n,c\n\nd\ne,f\ng,h\n")
    expected = rows_of(path)
    assert [bool(error) for _, error in expected] == [False, True, True, False, False]
    monkeypatch.setattr(formats, "CHARACTERS", size)
    assert rows_of(path) == expected
    monkeypatch.undo()
    monkeypatch.setattr(records, "BLOCK", size)
    assert rows_of(path) == expected
    assert max(len(block) for block in read_file(TableFile(path), "question1", "question2")) == size


def test_columns_of_other_names(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tid\tb\nx\t1\ty\n")
    assert rows_of(path, "b", "a") == [({"a": "x", "id": "1", "b": "y"}, "")]
    with pytest.raises(ValueError, match=r"has no column 'question1'; its columns are 'a', 'id', 'b'"):
        rows_of(path)


def test_a_stream_gives_a_record_for_each_line_as_soon_as_it_is_whole():
    """Three pieces: the first completes no line, the second completes two at once."""
    assert lines_of(b"a\t", b"b\nc\td\ne", b"\tf") == [
        [({"question1": "a", "question2": "b"}, ""), ({"question1": "c", "question2": "d"}, "")],
        [({"question1": "e", "question2": "f"}, "")],
    ]


def test_a_line_may_be_a_json_object_and_keeps_what_else_is_in_it():
    line = b'{"id": 3, "question2": "b", "question1": "a"}'
    assert values_of(line + b"\r\n") == [("a", "b", 3)]
    # a character may be cut in two by a piece
    assert values_of("Où ?\tWo ?".encode()[:2], "Où ?\tWo ?\n".encode()[2:]) == [("Où ?", "Wo ?")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "row 2, column (whole row): two questions with one tab between them are expected (found '')"),
        (
            b"a\tb\tc",
            "row 2, column (whole row): two questions with one tab between them are expected (found 'a\\tb\\tc')",
        ),
        (b"a\t ", "row 2, column question2: the text is empty (found ' ')"),
        ("a\t\u200b".encode(), "row 2, column question2: the text is empty (found '\\u200b')"),
        (b"\xff\tb", "row 2, column question1: the text is not UTF-8 (found '\N{REPLACEMENT CHARACTER}')"),
        (b'{"question1": "a"}', "row 2, column question2: the text is missing (found '')"),
        (b'{"question1": 1, "question2": "b"}', "row 2, column question1: a text is expected, not int (found '1')"),
        (b"{a}", "row 2, column (whole row): invalid JSON, Expecting property name enclosed in double quotes"),
    ],
)
def test_a_bad_line_is_a_record_with_its_problem(line, problem):
    [block] = lines_of(b"a\tb\n" + line + b"\nc\td\n")
    assert [bool(error) for _, error in block] == [False, True, False]
    assert block[1][1].startswith(f"standard input, {problem}")
    assert list(block[1][0]) == ["question1", "question2"]


def test_a_byte_order_mark_begins_no_question():
    """As programs of Windows write it, also inside a stream where files were joined."""
    mark = "\ufeff".encode()
    [block] = lines_of(mark + b"a\tb\n" + mark + b'{"question1": "c", "question2": "d"}\n')
    assert [(row["question1"], row["question2"], error) for row, error in block] == [("a", "b", ""), ("c", "d", "")]


def test_lines_are_counted_through_all_pieces():
    found = [error for block in lines_of(b"a\tb\nc\td\n", b"e\n", b"f") for _, error in block]
    assert [error.partition(", column")[0] for error in found] == [
        "",
        "",
        "standard input, row 3",
        "standard input, row 4",
    ]
