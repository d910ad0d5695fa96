"""Settings: words of a command line over the defaults of a file, and the help that the file's comments make."""

import random
import sys
from pathlib import Path

import pytest

from siamese.commands import arguments
from siamese.commands.arguments import command_line
from siamese.commands.config_files import CONF, read_config_file

ROOT = Path(__file__).parents[2]
NASTY = "ab 1.~=,&()[]{}'\"\\$:é?*#%@!;|/-+<>\n\t"  # characters that shells, YAML or Hydra read in their own way
TEXT_KEYS = {  # of each program without Hydra
    "predict": "left",
    "search": "column",
    "mine": "collection",
    "encode": "collection",
    "why": "output",
    "serve": "host",
    "export": "pairs",
    "demo": "index",
    "compare": "filter",
}


def nasty_texts(count: int) -> list[str]:
    """Texts that stay texts: neither empty nor null."""
    dice = random.Random(0)
    return ["".join(dice.choices(NASTY, k=dice.randint(1, 12))) for _ in range(count)]


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, "CONF", tmp_path)
    (tmp_path / "x.yaml").write_text(
        "file: null\ntop: 5\nshare: 0.5\nfast: false\nwhere: {}\ntracking:\n  uri: here\n  name: n\n"
    )


@pytest.mark.parametrize(("program", "key"), TEXT_KEYS.items())
def test_a_text_arrives_unchanged(program, key):
    for text in [*nasty_texts(40), "Kérdések (1), l'été & co = ~.csv", '"a"', "true", "5"]:
        settings, others = command_line(program, [f"{key}={text}"])
        assert (settings[key], others) == (text, [])


@pytest.mark.parametrize("program", TEXT_KEYS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_setting_with_its_default_and_comment(program, flag, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [program, "some=thing", flag])
    with pytest.raises(SystemExit) as end:
        arguments.program_arguments(program, f"What it does.\n\npython -m experiments.{program} x=1")
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"What it does.\n\npython -m experiments.{program} x=1\n")
    for setting in read_config_file(CONF / f"{program}.yaml").settings:
        assert arguments.setting_text(setting) in printed


@pytest.mark.slow
@pytest.mark.parametrize("program", TEXT_KEYS)
def test_the_program_answers_help_before_anything_starts_slowly(program, run_program):
    heavy = ("tensorflow", "keras", "mlflow", "matplotlib", "pandas", "hydra", "omegaconf")
    done = run_program(program, "--help", watched=heavy)
    assert done.returncode == 0, done.stderr
    assert f"python -m experiments.{program}" in done.stdout
    assert "Settings, given as key=value" in done.stdout
    assert done.stdout.splitlines()[-1] == "imported:"


def test_comments_of_a_config_file(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "# @package _global_\n# What it is.\n# More.\ndefaults:\n  - a: b\n\n# above\none: 'a # b' # behind\n"
        "group: # of all\n  two: [1, 2] # a list\n  three:\n    four: null\n"
    )
    file = read_config_file(tmp_path / "x.yaml")
    assert (file.about, file.is_global, file.defaults) == ("What it is.\nMore.", True, [{"a": "b"}])
    assert [(each.name, each.default, each.comment) for each in file.settings] == [
        ("one", "a # b", "above behind"),
        ("group.two", [1, 2], "a list"),
        ("group.three.four", None, ""),
    ]


@pytest.mark.usefixtures("defaults")
def test_defaults():
    assert command_line("x", []) == (
        {
            "file": None,
            "top": 5,
            "share": 0.5,
            "fast": False,
            "where": {},
            "tracking.uri": "here",
            "tracking.name": "n",
        },
        [],
    )


@pytest.mark.usefixtures("defaults")
def test_what_is_given():
    words = [
        "file=a=b.csv",
        "top=7",
        "share=0,25",
        "fast=true",
        "where.my topic=a=b",
        "where.x=",
        "tracking.uri=there",
        "Why?",
    ]
    given, others = command_line("x", words)
    assert given == {
        "file": "a=b.csv",
        "top": 7,
        "share": 0.25,
        "fast": True,
        "where": {"my topic": "a=b", "x": ""},
        "tracking.uri": "there",
        "tracking.name": "n",
    }
    assert others == ["Why?"]


@pytest.mark.usefixtures("defaults")
def test_null_and_nothing_are_no_value():
    assert command_line("x", ["tracking.uri="])[0]["tracking.uri"] is None
    assert command_line("x", ["tracking.uri=null"])[0]["tracking.uri"] is None


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("question", ["Why is a=b?", "1+1=2", "What does x=1 mean", "=", "Wo?"])
def test_questions_with_an_equals_sign(question):
    assert command_line("x", [question])[1] == [question]


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("tip=5", "the settings are file, top, share, fast, where, tracking.uri"),
        ("tracking.url=x", "did you mean tracking.uri?"),
        ("flie=my pairs.csv", "did you mean file?"),
        ("tracking=x", "did you mean tracking.uri?"),
        ("file.x=1", "did you mean file?"),
        ("on.top=1", "the settings are file"),
    ],
)
def test_a_misspelt_setting_is_named(word, hint):
    name = word.partition("=")[0]
    with pytest.raises(ValueError, match=f"there is no setting {name}; {hint}"):
        command_line("x", [word])


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("word", ["where=x", "where.=x"])
def test_a_group_takes_names(word):
    with pytest.raises(ValueError, match=r"takes names: give where.NAME=VALUE, got"):
        command_line("x", [word])


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("word", ["top=many", "top=1.5", "top=true", "top=", "top=[", "top=@", "top=2026-99-99"])
def test_a_whole_number(word):
    with pytest.raises(ValueError, match="top must be a whole number, got"):
        command_line("x", [word])


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("word", ["share=half", "share=nan", "share=1e400", "share="])
def test_a_number(word):
    with pytest.raises(ValueError, match="share must be a number, got"):
        command_line("x", [word])


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"- 1", b"!!python/object:x {}"])
def test_a_config_file_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.yaml (is no YAML file|must hold settings)"):
        read_config_file(tmp_path / "x.yaml")


@pytest.mark.usefixtures("defaults")
@pytest.mark.parametrize("word", ["fast=1", "fast=maybe", "fast="])
def test_true_or_false(word):
    with pytest.raises(ValueError, match="fast must be true or false, got"):
        command_line("x", [word])
