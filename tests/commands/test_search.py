"""search: an index from a file, its folder, and answers in every form."""

import csv
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siamese.commands import search
from siamese.commands.arguments import command_line
from siamese.data.locks import exclusive
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores

QUESTIONS = {"i lost my card": "cards", "how do i cook rice": "food", "cooking rice": "food", "card gone": ""}
NAMED = "model: detector\n"
OWN = (
    "note: this model was saved without dev scores, from which a threshold for the collection could be worked out; its "
    "own serves, duplicate from a probability of 50.0% on; threshold= sets another\n"
)
ASKED = "rice , how ?"
HEAVY = ("tensorflow", "keras", "mlflow", "hydra", "faiss", "scipy", "pandas")


@pytest.fixture(scope="module")
def detector(build_network, vectorizer) -> Detector:
    return Detector.from_network(build_network(), vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture(autouse=True)
def folder(detector, tmp_path, monkeypatch) -> Path:
    """A working directory with a detector and a file of questions."""
    detector.save(tmp_path / "detector")
    with (tmp_path / "faq.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "topic"], *QUESTIONS.items()])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(*words: str) -> dict:
    return command_line("search", ["run=detector", *words])[0]


def answered(given: dict, question: str) -> list[dict]:
    return search.answers(*search.run(given), question, given["top"], given["where"], given["candidates"])


@pytest.fixture
def program(run_program):
    """A function: words -> the lines that a process of its own prints, and what it says on stderr."""

    def run(*words: str, stdin: str = "") -> tuple[list[str], str]:
        done = run_program("search", "run=detector", *words, stdin=stdin, watched=HEAVY)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr

    return run


def test_answers_with_all_columns(detector):
    given = settings("index=faq.csv", "top=2")
    rows = answered(given, ASKED)
    similarity = detector.similarity([(ASKED, text) for text in QUESTIONS])
    best = np.argsort(-similarity)[:2]
    assert [row["number"] for row in rows] == best.tolist()
    assert [row["question"] for row in rows] == [list(QUESTIONS)[i] for i in best]
    assert [row["topic"] for row in rows] == [list(QUESTIONS.values())[i] for i in best]
    assert [row["similarity"] for row in rows] == pytest.approx(similarity[best].tolist(), abs=1e-6)
    assert [row["probability"] for row in rows] == pytest.approx(
        detector.probability(similarity[best]).tolist(), abs=1e-5
    )
    assert [row["duplicate"] for row in rows] == (similarity[best] >= 0.5).tolist()
    assert {row["asked"] for row in rows} == {ASKED}


def test_built_saved_changed_and_asked(capsys):
    search.run(settings("index=faq.csv", "save=kept"))
    Path("more.jsonl").write_text('{"question": "rice , how ?", "source": "mail"}\n')
    search.run(settings("index=kept", "append=more.jsonl", "delete.topic=cards"))
    notes = ["kept holds 4 questions", "1 questions were taken out", "kept holds 4 questions"]
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("model: ", OWN[:20]))]
    assert told == [f"note: {note}" for note in notes]
    _, collection = search.run(settings("index=kept"))
    assert collection.table["number"].to_pylist() == [1, 2, 3, 4]
    given = settings("index=kept", "where.source=mail")
    [row] = answered(given, ASKED)
    assert (row["number"], row["similarity"], row["topic"]) == (4, 1.0, "")
    search.run(settings("index=kept", "delete.number=4", "save=copy"))
    assert len(search.run(settings("index=kept"))[1]) == 4
    assert len(search.run(settings("index=copy"))[1]) == 3


@pytest.mark.slow
def test_two_appends_at_once_wait_for_each_other(folder, start_program):
    search.run(settings("index=faq.csv", "save=kept"))
    appends = []
    with exclusive(Path("kept"), 0, print):  # so that both begin in the same moment
        for name in ("first", "second"):
            Path(f"{name}.jsonl").write_text("".join(f'{{"question": "{name} {n}"}}\n' for n in range(500)))
            appends.append(start_program("search", "run=detector", "index=kept", f"append={name}.jsonl", folder=folder))
        for each in appends:
            lines = iter(each.stderr.readline, "")
            waiting = next(line for line in lines if "waiting" in line)
            assert waiting.startswith(f"note: waiting for process {os.getpid()} of ")
    for each in appends:
        each.communicate(timeout=60)
        assert each.returncode == 0
    kept = search.run(settings("index=kept"))[1].table["question"].to_pylist()
    assert sorted(kept[4:]) == sorted(f"{name} {n}" for name in ("first", "second") for n in range(500))
    assert not list(folder.glob(".kept*"))


def test_another_threshold():
    given = settings("index=faq.csv", "threshold=1")
    verdicts = [row["duplicate"] for row in answered(given, "cooking rice")]
    assert verdicts == [True, False, False, False]


def test_verdicts_follow_the_share_of_duplicates_in_the_collection(detector, folder, capsys):
    """A model calibrated where half are duplicates calls all answers duplicates; where they are rare, only the same text."""
    known = Calibration(0.0, temperature=1.0, offset=-3.0, criterion="best_accuracy", prior=0.5)
    dev = DevScores(np.array([0.9, 0.2]), np.array([True, False]))
    replace(detector, calibration=known, dev=dev).save(folder / "known")
    rare = answered(settings("index=faq.csv", "run=known", "prior=0.001"), "cooking rice")
    assert [row["duplicate"] for row in rare] == [row["probability"] >= 0.5 for row in rare]
    assert rare[-1]["duplicate"] is False
    assert "are duplicates, 0 of 6 (from prior=); duplicate from a probability of 50.0% on" in capsys.readouterr().err
    careful = answered(settings("index=faq.csv", "run=known", "min_probability=0.999"), "cooking rice")
    assert not careful[-1]["duplicate"]
    assert "(estimated; prior= sets it); duplicate from a probability of 99.9% on" in capsys.readouterr().err
    assert search.run(settings("index=faq.csv", "run=known"))[0].model.endswith("from a probability of 50.0% on")


ROWS = [
    {
        "asked": 'say "hi"',
        "similarity": 0.75,
        "probability": 0.5,
        "duplicate": True,
        "number": 3,
        "question": "où ?",
        "x": "",
    },
    {
        "asked": 'say "hi"',
        "similarity": 0.5,
        "probability": 0.25,
        "duplicate": False,
        "number": 1,
        "question": "b",
        "x": "y",
    },
]


def written(form: str, found: list) -> str:
    file = io.StringIO()
    search.write(found, list(ROWS[0]), file, form)
    return file.getvalue()


def test_answers_in_every_form():
    lines = [
        "duplicate: similarity 0.7500, probability 50.0%       où ?  (number 3)",
        "not duplicate: similarity 0.5000, probability 25.0%   b  (number 1, x y)",
    ]
    assert written("text", [ROWS]).splitlines() == lines
    assert written("text", [[], ROWS[:1]]) == f"nothing to compare with\n\n{lines[0]}\n"
    table = ["asked,similarity,probability,duplicate,number,question,x", '"say ""hi""",0.75,0.5,True,3,où ?,']
    assert written("csv", [ROWS[:1], [], ROWS[1:]]).splitlines()[:2] == table
    assert len(written("csv", [ROWS, ROWS]).splitlines()) == 5
    assert [json.loads(line) for line in written("jsonl", [ROWS[:1], ROWS[1:]]).splitlines()] == ROWS


def test_the_program_answers_its_words_and_starts_little(folder, program):
    lines, notes = program("index=faq.csv", "top=1", "cooking rice", "i lost my card")
    assert notes == NAMED + OWN
    assert lines[1] == ""
    assert [line.rpartition("  (")[2] for line in (lines[0], lines[2])] == [
        "number 2, topic food)",
        "number 0, topic cards)",
    ]
    assert lines[3:] == ["imported:"]
    assert not (folder / "mlflow.db").exists()


def test_the_program_answers_lines_of_standard_input(program):
    lines, _ = program("index=faq.csv", "top=1", "format=jsonl", stdin=f"\ufeff{ASKED}\n\n\u200b\n lost card \n")
    assert [json.loads(line)["asked"] for line in lines[:-1]] == [ASKED, "lost card"]


def test_the_program_writes_a_file(folder, program):
    lines, _ = program("index=faq.csv", "top=3", "output=answers.csv", ASKED)
    assert lines == ["imported:"]
    with Path("answers.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_a_mistake_leaves_the_older_file(folder, monkeypatch):
    Path("answers.csv").write_text("of yesterday")
    monkeypatch.setattr(
        sys, "argv", ["search", "run=detector", "index=faq.csv", "output=answers.csv", "where.x=y", ASKED]
    )
    with pytest.raises(ValueError, match="there is no column 'x'"):
        search.main()
    assert Path("answers.csv").read_text() == "of yesterday"
    assert not list(folder.glob(".*.part"))


def test_an_index_is_kept_without_a_question(program):
    assert program("index=faq.csv", "save=kept") == (
        ["imported:"],
        NAMED + "note: kept holds 4 questions\n" + OWN,
    )


def test_a_dialogue_remembers_only_if_it_may(folder, monkeypatch):
    typed = iter(["first", "  ", "second"])

    def answer(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    assert list(search._dialogue(None)) == ["first", "", "second"]  # who asks leaves out what is empty
    assert not (folder / "history").exists()
    assert list(search._dialogue("history")) == []
    assert (folder / "history").exists()
    assert list(search._dialogue("history")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a file of questions or a saved index: index=FILE or index=FOLDER"),
        (["index=faq.csv", "append=more.csv"], r"change an index that is kept; give save=FOLDER, or index=FOLDER"),
        (["index=faq.csv", "delete.topic=x"], r"change an index that is kept"),
        (["index=detector", "approximate=true"], "approximate=true is chosen when an index is built"),
        (["index=faq.csv", "min_probability=half"], "min_probability must be a number, got 'half'"),
        (["index=faq.csv", "format=xml"], "format must be one of text, csv, jsonl; got xml"),
        (["index=faq.csv", "output=a.txt"], r"output must end in \.csv or \.jsonl, got a\.txt"),
        (["index=detector"], r"detector is no collection: it has no collection\.json"),
    ],
)
def test_refused(words, message):
    with pytest.raises(ValueError, match=message):
        search.run(settings(*words))
