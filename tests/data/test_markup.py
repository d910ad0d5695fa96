"""Markup: columns of HTML are found and read as a browser shows them; others stay as they are."""

import json

import pytest

from siamese.data.dialects import Reading
from siamese.data.files import read_pair_file, read_question_table, read_questions
from siamese.data.formats import TableFile
from siamese.data.markup import is_html, shown
from siamese.data.records import read_file

HTML = ["<p>How do I pay?</p>", "I can&#39;t pay &amp; wait", "<br>", 'Where is <a href="x">my</a> bill?']
PLAIN = ["How do I pay?", "I can't pay & wait", "Where is my bill?"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"question1": text, "question2": "1 < 2 & more", "is_duplicate": 1, "note": text} for text in HTML]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_a_browser_shows():
    assert shown("<STYLE>p {}</STYLE><!-- no -->re<b>set</b>\n it<br/>now&nbsp;&euro;") == "reset it now €"
    for text in ("a < b > c", "<name> & Co; AT&T", "x&y;", "List<String>"):
        assert shown(text) == text


@pytest.mark.parametrize(
    ("texts", "html"),
    [
        (["a"] * 38 + ["a &amp; b"] * 2, True),
        (["a"] * 39 + ["a &amp; b"] * 2, False),
        (["a", "a &amp; b"], True),
        (["a", "b", "c", "a &amp; b"], False),  # one that asks about HTML makes no column of it
        (["<p>a</p>", None, 5], True),
        (["a < b", "AT&T", "x &unheard; y", "List<String>", "<name>"], False),
        ([], False),
    ],
)
def test_a_column_is_html_if_enough_of_its_texts_are(texts, html):
    assert is_html(texts) is html


def test_columns_of_html_are_told_and_the_others_kept(file):
    told = []
    left, right, _, bad = read_pair_file(
        file, "question1", "question2", "is_duplicate", "skip", reading=Reading(tell=told.append)
    )
    assert list(left) == PLAIN
    assert set(right) == {"1 < 2 & more"}
    assert [(row.row, row.problem) for row in bad] == [(3, "the text is empty")]
    assert [note.partition(" holds")[0] for note in told] == [f"{file}: column 'question1'"]


def test_it_can_be_said(file):
    read = [
        read_pair_file(file, "question1", "question2", "is_duplicate", "skip", reading=Reading(html=html))
        for html in (False, True)
    ]
    assert list(read[0][0]) == HTML
    assert list(read[1][0]) == PLAIN
    with pytest.raises(ValueError, match=r"data\.html must be true, false or auto, got 'yes'"):
        Reading(html="yes")


def test_every_reader_follows_the_same_rule(file):
    assert list(read_questions(file, "question1").texts[0]) == PLAIN
    table, _ = read_question_table(file, "question1")
    assert table["question"].to_pylist() == PLAIN
    assert table["note"].to_pylist() == [HTML[0], HTML[1], HTML[3]]
    [block] = read_file(TableFile(file), "question1", "question2")
    assert [(row["question1"], bool(error)) for row, error in block] == [
        (PLAIN[0], False),
        (PLAIN[1], False),
        ("", True),
        (PLAIN[2], False),
    ]
    assert [row["note"] for row, _ in block] == HTML
