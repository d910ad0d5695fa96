"""Question files: which column holds the questions, and what stands beside them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siamese.data.files import read_question_table, read_questions


@pytest.fixture
def write(tmp_path):
    def file(name: str, text: str) -> str:
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        return str(tmp_path / name)

    return file


@pytest.mark.parametrize(
    ("header", "column", "expected"),
    [("text,question", None, "q"), ("id,text", None, "q"), ("a,b", "b", "q"), ("a,b", "a", "t")],
)
def test_which_column(write, header, column, expected):
    assert list(read_questions(write("a.csv", f"{header}\nt,q\n"), column).texts[0]) == [expected]


def test_a_file_without_such_a_column(write):
    with pytest.raises(ValueError, match="has no column 'question'; its columns are 'a', 'b'"):
        read_questions(write("a.csv", "a,b\nt,q\n"), None)
    with pytest.raises(FileNotFoundError, match=r"no file absent\.csv"):
        read_question_table("absent.csv", None)


def test_all_columns_come_along(write):
    path = write("a.csv", "topic,text,answer\ncards, How? ,\n,,x\nmail,Why?,\udcff\n")
    table, bad_rows = read_question_table(path, None)
    assert table.to_pydict() == {"question": ["How?", "Why?"], "topic": ["cards", "mail"], "answer": ["", "\ufffd"]}
    assert [(row.row, row.column) for row in bad_rows] == [(3, "text")]


def test_values_of_any_kind_become_texts(write, tmp_path):
    path = write("a.jsonl", '{"question": "How?", "n": 3}\n{"question": "Why?", "n": null}\n')
    assert read_question_table(path, None)[0].to_pydict() == {"question": ["How?", "Why?"], "n": ["3", ""]}
    pq.write_table(pa.table({"n": [1.5, 2.5], "question": ["a", "b"]}), tmp_path / "a.parquet")
    assert read_question_table(tmp_path / "a.parquet", None)[0]["n"].to_pylist() == ["1.5", "2.5"]


def test_refused(write):
    with pytest.raises(ValueError, match="a column 'question' beside 'text'"):
        read_question_table(write("a.csv", "question,text\na,b\n"), "text")
    with pytest.raises(ValueError, match=r"no good row; its first: .*row 2, column question: the text is empty"):
        read_question_table(write("b.csv", "question,a\n,b\n"), None)
