"""Stages are told where a program would be silent, and nowhere else."""

import time

import pytest

from experiments import stages


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in (("FIRST", 0.1), ("EVERY", 0.2), ("STEADY", 0.3)):
        monkeypatch.setattr(stages, name, seconds)


def test_a_long_stage_is_told_again_and_again_ever_less_often(capsys):
    with stages.telling("reading"):
        time.sleep(1.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["reading (0.1 s)", "reading (0.3 s)", "reading (0.6 s)"]
    assert lines[3:4] in ([], ["reading (1.2 s)"])  # on a busy machine a second may be longer


def test_the_next_stage_begins_anew_and_none_is_silent(capsys):
    with stages.telling("reading"):
        stages.doing("training")
        time.sleep(0.2)
        stages.doing(None)
        time.sleep(0.3)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "training (0.1 s)"
    assert all(line.startswith("training ") for line in others)


def test_a_short_stage_is_not_told(capsys, monkeypatch):
    monkeypatch.setattr(stages, "FIRST", 60.0)
    with stages.telling("reading"):
        pass
    stages.doing("nothing listens")
    assert capsys.readouterr().err == ""
