"""Dialects: files of spreadsheets and of public data sets are read as they are, and what is unusual is told."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siamese.data.dialects import Reading
from siamese.data.files import read_pair_file, read_question_table, read_questions
from siamese.data.formats import TableFile
from siamese.data.intent_files import read_intent_file
from siamese.data.records import read_file

COLUMNS = ("question1", "question2", "is_duplicate")
PAIRS = [("Où est-il ?", "Ça coûte combien ?", "0"), ("Je l’ai perdu", "Perdu !", "1"), ("How, then?", "How?", "1")]
GLUE = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"


def read(path: Path, content: str | bytes, on_bad_row: str = "error", **options) -> tuple[list[tuple], list[str]]:
    """The pairs of a file with this content, and what was told."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    told: list[str] = []
    left, right, label, _ = read_pair_file(path, *COLUMNS, on_bad_row, reading=Reading(tell=told.append, **options))
    return list(zip(left, right, label.tolist(), strict=True)), told


def table(delimiter: str = ",", header=COLUMNS, rows=PAIRS) -> str:
    def cell(text: str) -> str:
        return f'"{text}"' if delimiter in text else text

    return "".join(delimiter.join(map(cell, row)) + "\r\n" for row in (header, *rows))


EXPECTED = [(left, right, float(label)) for left, right, label in PAIRS]


# Delimiters


@pytest.mark.parametrize(
    ("name", "delimiter", "note"),
    [
        ("a.csv", ",", None),
        ("a.csv", ";", "has semicolons between its columns"),
        ("a.csv", "\t", "has tabs between its columns"),
        ("a.csv", "|", "has vertical bars between its columns"),
        ("a.tsv", "\t", None),
        ("a.tsv", ",", "has commas between its columns"),
        ("a.txt", "\t", None),
    ],
)
def test_a_delimiter_is_found_and_one_that_the_name_does_not_say_is_told(tmp_path, name, delimiter, note):
    pairs, told = read(tmp_path / name, "\ufeff" + table(delimiter))
    assert pairs == EXPECTED
    assert told == ([] if note is None else [f"{tmp_path / name} {note}"])


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n'])
def test_the_first_line_of_excel_names_the_delimiter(tmp_path, line):
    path = tmp_path / "a.csv"
    assert read(path, line + table(";"))[0] == EXPECTED
    with pytest.raises(ValueError, match="row 4, column question2: the text is empty"):
        read(path, line + table(";", rows=[("a", "b", "1"), ("c", "", "1")]))


@pytest.mark.parametrize("before", ["\n", "\r\n  \r\n", "\nsep=;\n"])
def test_blank_lines_before_the_header_are_left_out(tmp_path, before):
    delimiter = ";" if "sep" in before else ","
    path = tmp_path / "a.csv"
    assert read(path, before + table(delimiter))[0] == EXPECTED
    lines = before.count("\n")
    with pytest.raises(ValueError, match=f"row {lines + 3}, column question2: the text is empty"):
        read(path, before + table(delimiter, rows=[("a", "b", "1"), ("c", "", "1")]))


def test_other_delimiters_in_the_texts_change_nothing(tmp_path):
    rows = [("a; b; c", "d; e", "1"), ("f; g; h", "i | j", "0")]
    assert read(tmp_path / "a.csv", table(",", rows=rows)) == ([(a, b, float(c)) for a, b, c in rows], [])


# Encodings


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_an_encoding_is_found_and_told(tmp_path, encoding):
    pairs, told = read(tmp_path / "a.csv", table().encode(encoding))
    assert pairs == EXPECTED
    assert [note.partition("; ")[0] for note in told] == [
        f"{tmp_path / 'a.csv'} is not UTF-8 and was read as {encoding}"
    ]


def test_latin_1_is_what_cp1252_has_no_character_for(tmp_path):
    pairs, told = read(tmp_path / "a.csv", table(rows=[("caf\u00e9\u0081", "b", "1")]).encode("latin-1"))
    assert pairs == [("café\u0081", "b", 1)]
    assert "was read as latin-1" in told[0]


def test_a_given_encoding_wins(tmp_path):
    content = table(rows=[("é", "à", "1")]).encode("mac_roman")
    assert read(tmp_path / "a.csv", content, encoding="mac-roman") == ([("é", "à", 1)], [])
    with pytest.raises(ValueError, match=r"a\.csv is not ascii: .*; name its encoding with data\.encoding="):
        read(tmp_path / "a.csv", content, encoding="ascii")
    for name in ("hex", "a\0", ""):
        with pytest.raises(ValueError, match=r"data\.encoding must be a name that Python knows"):
            Reading(encoding=name)
    with pytest.raises(ValueError, match=r"data\.encoding must be a name that Python knows, .*got 'excel'"):
        Reading(encoding="excel")


def test_skipping_is_no_remedy_for_an_encoding(tmp_path):
    """As the file is said to be UTF-8, the row with an accent is bad; to leave it out would lose just these rows."""
    with pytest.raises(ValueError, match=r"not UTF-8 .*; save the file as UTF-8, or name its encoding") as caught:
        read(tmp_path / "a.csv", table().encode("cp1252"), encoding="utf-8")
    assert "on_bad_row" not in str(caught.value)


# Quoting


def test_glue_and_mrpc_have_no_quoting(tmp_path):
    path = tmp_path / "a.tsv"
    glue = [
        ('"Brexit, what is that?', "What is it?", "1"),
        ('Is a screen of 5"', "How big?", "0"),
        ('"A" is?', '"b', "1"),
    ]
    pairs, told = read(path, GLUE + "".join(f"{n}\t1\t2\t" + "\t".join(row) + "\n" for n, row in enumerate(glue)))
    assert pairs == [(left, right, float(label)) for left, right, label in glue]
    assert told == [
        f"{path} has quotes that enclose no field, first in line 2: all were read as plain text, each line as a row; "
        "data.quoting=double reads them otherwise"
    ]
    mrpc = '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said "no".\tNo.\n0\t7\t9\t"No," he said.\tYes.\n'
    pairs, told = read(path, mrpc)
    assert pairs == [('He said "no".', "No.", 1), ('"No," he said.', "Yes.", 0)]
    assert told[1:] == [
        f"{path}: columns taken: '#1 String' for question1, '#2 String' for question2, 'Quality' for is_duplicate"
    ]


def test_a_record_that_swallows_lines_is_told(tmp_path):
    """By a comma and by chance the two lines of an ordinary quoted field are as long as the header."""
    path = tmp_path / "a.csv"
    content = 'question1,question2,is_duplicate\n"Hello, all,\nhow, are you",b,1\nc,d,0\n'
    pairs, told = read(path, content)
    assert [left for left, *_ in pairs] == ["Hello, all,\nhow, are you", "c"]
    assert len(told) == 1
    assert told[0].startswith(f"{path} has 1 rows of several lines, the first in lines 2 to 3, where a quote opens")
    content = 'question1,question2,is_duplicate\n"Brexit? what,x,1\nis a screen of 5",How big?,0\n'
    assert len(read(path, content)[0]) == len(read(path, content)[1]) == 1
    assert read(path, content, quoting="none") == (
        [('"Brexit? what', "x", 1), ('is a screen of 5"', "How big?", 0)],
        [],
    )


@pytest.mark.parametrize(
    "rows",
    [
        '"a"\t"b"\t"1"\n"c" x\t"d"\t"1"\n"e"\t"f"\t"0"\n',  # all fields are quoted
        'a\tb\t1\n"c" x\td\t1\n"say ""e"""\tf\t0\n"g\th"\ti\t0\n',  # quotes are doubled, a tab is enclosed
        'a\tb\t1\n"c\td\t1\n"two\nlines"\tf\t0\n',  # a field has a line break
    ],
)
def test_a_broken_row_does_not_make_a_quoted_file_plain(tmp_path, rows):
    path = tmp_path / "a.tsv"
    pairs, told = read(path, "question1\tquestion2\tis_duplicate\n" + rows, on_bad_row="skip")
    assert [note for note in told if "plain text, each line" in note] == []
    assert len(pairs) < rows.count("\n")
    assert '"' not in pairs[0][0]


def test_quoting_can_be_given(tmp_path):
    content = 'question1;question2;is_duplicate\n"a" b;c;1\n"d";e;0\n'
    assert [left for left, *_ in read(tmp_path / "a.csv", content)[0]] == ['"a" b', '"d"']
    assert [left for left, *_ in read(tmp_path / "a.csv", content, "skip", quoting="double")[0]] == ["d"]
    with pytest.raises(ValueError, match=r"data\.quoting must be double, none or null, got 'csv'"):
        Reading(quoting="csv")


# Columns and labels


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (("Question1", " question 2", "Is_Duplicate"), ("Question1", " question 2", "Is_Duplicate")),
        (("sentence1", "sentence2", "label"), ("sentence1", "sentence2", "label")),
        (("TEXT_1", "TEXT_2", "Duplicate"), ("TEXT_1", "TEXT_2", "Duplicate")),
        (("question1", "question2", "label"), ("label",)),
    ],
)
def test_columns_of_usual_names_are_found_and_told(tmp_path, header, taken):
    pairs, told = read(tmp_path / "a.csv", table(header=header))
    assert pairs == EXPECTED
    sought = COLUMNS[-len(taken) :]
    assert told == [
        f"{tmp_path / 'a.csv'}: columns taken: "
        + ", ".join(f"{a!r} for {b}" for a, b in zip(taken, sought, strict=True))
    ]


def test_a_column_that_is_named_wins_and_two_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("question1,question2,text,label,is_duplicate\na,b,c,1,0\n")
    left, right, label, _ = read_pair_file(tmp_path / "a.csv", "text", "question1", "label", "error")
    assert (list(left), list(right), label.tolist()) == (["c"], ["a"], [1])
    with pytest.raises(ValueError, match="has no column 'q1'"):
        read_pair_file(tmp_path / "a.csv", "q1", "question2", "label", "error")
    with pytest.raises(ValueError, match=r"several columns .*: 'Question1', 'question_1'; rename all but one"):
        read(tmp_path / "a.csv", "Question1,question_1,question2,is_duplicate\na,b,c,1\n")


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("True", "False"),
        ("TRUE", "FALSE"),
        ("yes", "no"),
        ("Oui", "Non"),
        ("duplicate", "not duplicate"),
        ("VRAI", "FAUX"),
    ],
)
def test_labels_may_be_words_which_are_told(tmp_path, yes, no):
    pairs, told = read(tmp_path / "a.csv", table(rows=[("a", "b", yes), ("c", "d", f" {no} "), ("e", "f", "1")]))
    assert [label for *_, label in pairs] == [1, 0, 1]
    meant = sorted([f"{yes.lower()} = duplicate", f"{no.lower()} = different"])
    assert told == [f"{tmp_path / 'a.csv'}: the labels are words: {', '.join(meant)}"]


def test_labels_may_have_a_decimal_comma(tmp_path):
    rows = [("a", "b", "1,0"), ("c", "d", "0,0"), ("e", "f", "0,25")]
    assert [label for *_, label in read(tmp_path / "a.csv", table(";", rows=rows))[0]] == [1, 0, 0.25]


def test_bad_rows_are_to_be_skipped_only_where_they_are_few(tmp_path):
    few = [("a", "b", "1"), ("c", "d", "maybe"), ("e", "f", "0")]
    with pytest.raises(ValueError, match=r"a number in \[0, 1\], or a word such as yes and no .*on_bad_row=skip$"):
        read(tmp_path / "a.csv", table(rows=few))
    with pytest.raises(ValueError, match=r"; mend the file$"):
        read(tmp_path / "a.csv", table(rows=few[1:2] * 2 + few[:1]))


# Every reader


def test_every_reader_of_tables_reads_them_alike(tmp_path):
    """A collection, a table of questions, intents and unlabeled pairs: semicolons, cp1252, other names."""
    told: list[str] = []
    reading = Reading(tell=told.append)
    path = tmp_path / "a.csv"
    path.write_bytes("Nr;Question;Category\n7;Où ?;accès\n".encode("cp1252"))
    assert list(read_questions(path, None, reading).texts[0]) == ["Où ?"]
    assert read_question_table(path, None, reading)[0].to_pylist() == [
        {"question": "Où ?", "Nr": "7", "Category": "accès"}
    ]
    assert read_intent_file(path, "text", "intent", None, "error", reading)[:2] == (["Où ?"], ["accès"])
    assert [[values for values, _ in block] for block in read_file(TableFile(path, reading), "Nr", "Question")] == [
        [{"Nr": "7", "Question": "Où ?", "Category": "accès"}]
    ]
    assert sum("cp1252" in note for note in told) == sum("semicolons" in note for note in told) == 4
    assert f"{path}: columns taken: 'Question' for text, 'Category' for intent" in told


def test_the_only_column_has_the_questions_with_their_commas(tmp_path):
    told: list[str] = []
    path = tmp_path / "a.csv"
    path.write_text('Frage\nWo, bitte?\n"Wann, und warum?"\n')
    assert list(read_questions(path, None, Reading(tell=told.append)).texts[0]) == ["Wo, bitte?", "Wann, und warum?"]
    assert told == [
        f"{path} has one column, so commas are part of its texts",
        f"{path}: columns taken: 'Frage' for question",
    ]
    path.write_text("Where is it?\nWhen?\n")
    with pytest.raises(
        ValueError, match=r"no column 'question'; its columns are 'Where is it\?'; the first line must hold"
    ):
        read_questions(path, None)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.CSV.GZ", "packed.csv"])
def test_gzipped_files_are_read(tmp_path, name):
    assert read(tmp_path / name, gzip.compress(table().encode())) == (EXPECTED, [])


def test_gzipped_lines_and_parquet(tmp_path):
    records = [dict(zip(COLUMNS, (left, right, int(label)), strict=True)) for left, right, label in PAIRS]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    assert read(tmp_path / "a.jsonl.gz", gzip.compress(lines.encode()))[0] == EXPECTED
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    packed = gzip.compress((tmp_path / "a.parquet").read_bytes())
    assert read(tmp_path / "a.parquet.gz", packed)[0] == EXPECTED
    assert TableFile(tmp_path / "a.parquet.gz").count_rows() == 3


def test_a_cell_may_be_long(tmp_path):
    """Longer than Python's csv takes by itself, and than a question may be: in another column."""
    long = "word " * 30_000 + "end"
    rows = [("a", "b", "1", long), ("c", "d", "0", f'"{long}"')]
    found = read(tmp_path / "a.csv", table(header=(*COLUMNS, "note"), rows=rows))[0]
    assert found == [("a", "b", 1), ("c", "d", 0)]
