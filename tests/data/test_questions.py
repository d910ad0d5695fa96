"""Questions: what is none, and which characters do not count."""

import re

import pytest
from tokenizers import Regex, normalizers

from siamese.data.questions import INVISIBLE, LONGEST, all_questions, question_list, text_problem, visible

LOOK_ALIKE = {
    "byte order mark": "\ufeffHow do I reset my PIN?",
    "zero-width space": "How do I re\u200bset my PIN?",
    "direction marks": "\u200eHow do I reset my PIN?\u200e",
    "direction isolates": "\u2068How do I reset my PIN?\u2069",
    "soft hyphen": "How do I re\u00adset my PIN?",
    "joiners in Latin script": "How do I re\u200dset my\u200c PIN?",
    "word joiner": "How do I reset\u2060 my PIN?",
    "variation selectors": "How do I reset my PIN?\ufe0e\U000e0100",
    "tags": "How do I reset my PIN\U000e0041?",
    "control characters": "How do I reset my PIN?\x00\x7f\x9f",
    "fillers": "How do I reset my PIN?\u3164\uffa0",
}
SHAPED = {
    "Persian": "می\u200cخواهم",
    "Hindi": "क्\u200dष",
    "Malayalam": "ന്\u200d\u0d15",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
}


@pytest.mark.parametrize("text", LOOK_ALIKE.values(), ids=LOOK_ALIKE)
def test_invisible_characters_do_not_count(text):
    assert visible(text) == "How do I reset my PIN?"


@pytest.mark.parametrize("text", SHAPED.values(), ids=SHAPED)
def test_joiners_count_where_they_shape_a_word_or_an_emoji(text):
    assert visible(text) == text
    assert visible(f"{text[0]}\u200c {text}\u200d") == f"{text[0]} {text}"  # but not at an end


def test_white_space_is_not_invisible():
    white = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
    assert visible(white) == white


def test_python_and_the_tokenizers_leave_out_the_same_characters():
    """Two engines read the one pattern: every character, between letters and between emoji."""
    replace = normalizers.Replace(Regex(INVISIBLE), "")
    for code in (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE1001)):
        for text in (f"a{chr(code)}b", f"\u0645{chr(code)}\u0645") if code < 0x2100 else (f"a{chr(code)}b",):
            assert replace.normalize_str(text) == re.sub(INVISIBLE, "", text), hex(code)


@pytest.mark.parametrize("text", ["", " \t", "\u00a0", "\u200b", "\ufeff \u00ad", "\x00"])
def test_what_nobody_sees_is_empty(text):
    assert text_problem(text) == "the text is empty"
    assert not all_questions(["How?", text])


@pytest.mark.parametrize("texts", [["How?", "Où ?"], ["two\nlines", "b"], ["\u200bé"], []])
def test_questions_pass_the_fast_check(texts):
    assert all_questions(texts)


def test_a_text_that_is_far_too_long_is_no_question():
    for longest in ("a" * LONGEST, "é" * LONGEST):
        assert text_problem(longest) == ""
        assert all_questions(["How?", longest])
        assert not all_questions(["How?", longest + "a"])
        assert text_problem(longest + "a") == "the text has 100,001 characters; a question has at most 100,000"
    with pytest.raises(
        ValueError, match=r"^question 2 of 2: the text has 100,001 characters; a question has at most 100,000$"
    ):
        question_list(["How?", "a" * (LONGEST + 1)])
