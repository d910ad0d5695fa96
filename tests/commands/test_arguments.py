"""Settings: words of a command line over the defaults of a file."""

import pytest

from siamese.commands import arguments
from siamese.commands.arguments import command_line


@pytest.fixture(autouse=True)
def defaults(tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, "CONF", tmp_path)
    (tmp_path / "x.yaml").write_text("file: null\ntop: 5\nfast: false\nwhere: {}\ntracking:\n  uri: here\n  name: n\n")


def test_defaults():
    assert command_line("x", []) == (
        {"file": None, "top": 5, "fast": False, "where": {}, "tracking.uri": "here", "tracking.name": "n"},
        [],
    )


def test_what_is_given():
    words = ["file=a=b.csv", "top=7", "fast=true", "where.my topic=a=b", "where.x=", "tracking.uri=there", "Why?"]
    given, others = command_line("x", words)
    assert given == {
        "file": "a=b.csv",
        "top": 7,
        "fast": True,
        "where": {"my topic": "a=b", "x": ""},
        "tracking.uri": "there",
        "tracking.name": "n",
    }
    assert others == ["Why?"]


def test_nothing_is_null():
    assert command_line("x", ["tracking.uri="])[0]["tracking.uri"] is None


@pytest.mark.parametrize("question", ["Why is a=b?", "1+1=2", "What does x=1 mean", "=", "Wo?"])
def test_questions_with_an_equals_sign(question):
    assert command_line("x", [question])[1] == [question]


@pytest.mark.parametrize(
    "word", ["tip=5", "tracking.url=x", "tracking=x", "where=x", "where.=x", "file.x=1", "on.top=1"]
)
def test_a_misspelt_setting_is_named(word):
    name = word.partition("=")[0]
    with pytest.raises(ValueError, match=f"there is no setting {name}; the settings are file, top, fast, where, track"):
        command_line("x", [word])


@pytest.mark.parametrize("word", ["top=many", "top=1.5", "top=true", "top="])
def test_a_whole_number(word):
    with pytest.raises(ValueError, match="top must be a whole number, got"):
        command_line("x", [word])


@pytest.mark.parametrize("word", ["fast=1", "fast=maybe", "fast="])
def test_true_or_false(word):
    with pytest.raises(ValueError, match="fast must be true or false, got"):
        command_line("x", [word])
