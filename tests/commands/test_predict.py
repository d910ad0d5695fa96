"""predict: two questions or a file of pairs in, verdicts out, and nothing started that it does not need."""

import csv
import datetime
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from siamese.commands import predict
from siamese.commands.arguments import command_line
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.thresholds import DevScores
from siamese.registry import latest

PAIR = ("how do i pay my bill", "where can i pay the bill ?")
NAMED = "model: detector; duplicate from a probability of 50.0% on\n"
HEAVY = ("tensorflow", "keras", "mlflow", "hydra", "omegaconf", "scipy", "sklearn", "pandas", "matplotlib")


@pytest.fixture(scope="module")
def detector(build_network, vectorizer):
    return Detector.from_network(build_network("conv1d"), vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture
def folder(detector, tmp_path):
    """A working directory with a saved detector."""
    detector.save(tmp_path / "detector")
    return tmp_path


@pytest.fixture
def ask(folder, run_program):
    """A function: words -> the lines that a process of its own prints."""

    def run(*words: str) -> list[str]:
        done = run_program("predict", *words, folder=folder, watched=HEAVY)
        assert done.returncode == 0
        assert done.stderr.startswith(NAMED if "run=detector" in words else "model: run some run; duplicate from ")
        assert len(done.stderr.splitlines()) == 1
        return done.stdout.splitlines()

    return run


def rows_of(words: list[str], *questions: str) -> list[dict]:
    return [row for block in predict.run(settings(*words), questions) for row in block]


def written(rows: list[dict], form: str) -> str:
    file = io.StringIO()
    predict.write([rows], file, form)
    return file.getvalue()


def settings(*words: str) -> dict:
    return command_line("predict", words)[0]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["run", "newest"])
def test_an_answer_needs_neither_tensorflow_nor_mlflow(detector, folder, ask, way):
    """From a folder, and as the newest of a store that is not even there."""
    arguments = ["run=detector"]
    if way == "newest":
        latest.note(f"sqlite:///{folder}/mlflow.db", "some run", folder / "detector")
        arguments = []
    [similarity] = detector.similarity([PAIR])
    [probability] = detector.probability(similarity[None])
    verdict = "duplicate" if similarity >= 0.5 else "not duplicate"
    expected = [f"{verdict}: similarity {similarity:.4f}, probability {probability:.1%}", "imported:"]
    assert ask(*PAIR, *arguments) == expected
    assert not (folder / "mlflow.db").exists()


def test_a_file_of_pairs_is_printed_as_csv(detector, folder, ask):
    text = f"question1,question2\n{','.join(PAIR)}\n,x\nhow do i pay — où ?,opening hours\n"
    (folder / "pairs.csv").write_text(text, encoding="utf-8")
    *table, brought_in = ask("run=detector", "pairs=pairs.csv")
    assert brought_in == "imported:"
    rows = list(csv.DictReader(table))
    scores = ["similarity", "probability", "duplicate", "error", "known_words1", "known_words2", "cut"]
    assert list(rows[0]) == ["question1", "question2", *scores]
    assert [row["known_words2"] for row in rows] == ["1.0", "", "1.0"]
    assert rows[0]["cut"] == "0"
    assert [row["question1"] for row in rows] == [PAIR[0], "", "how do i pay — où ?"]
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    assert rows[1]["similarity"] == rows[1]["duplicate"] == ""
    expected = detector.similarity([PAIR, ("how do i pay — où ?", "opening hours")])
    assert [float(rows[0]["similarity"]), float(rows[2]["similarity"])] == pytest.approx(expected.tolist(), abs=1e-6)
    assert rows[0]["duplicate"] == str(expected[0] >= 0.5)


def test_columns_of_other_names_and_what_else_is_in_a_row(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("pairs.tsv").write_text("a\tid\tb\tduplicate\nrice\t7\tRice\tmaybe\n")
    [row] = rows_of(["run=detector", "pairs=pairs.tsv", "left=a", "right=b"])
    answer = {"duplicate": True, "similarity": 1.0, "error": "", "known_words1": 1.0, "known_words2": 1.0, "cut": 0}
    assert row == {"a": "rice", "id": "7", "b": "Rice", "input_duplicate": "maybe"} | answer | {
        "probability": pytest.approx(1, abs=1e-5)
    }


def test_every_form_has_one_line_for_each_row():
    rows = [
        {"q": 'say "hi", ok?', "similarity": 0.1, "probability": 0.05, "duplicate": False, "error": ""},
        {"q": None, "similarity": None, "probability": None, "duplicate": None, "error": "bad"},
        {"q": "Où ?", "similarity": 0.98765, "probability": 0.875, "duplicate": True, "error": ""},
    ]
    assert written(rows, "csv") == (
        "q,similarity,probability,duplicate,error\n"
        '"say ""hi"", ok?",0.1,0.05,False,\n,,,,bad\nOù ?,0.98765,0.875,True,\n'
    )
    assert [json.loads(line) for line in written(rows, "jsonl").splitlines()] == rows
    assert "Où ?" in written(rows, "jsonl")
    assert written(rows, "text").splitlines() == [
        "not duplicate: similarity 0.1000, probability 5.0%",
        "error: bad",
        "duplicate: similarity 0.9877, probability 87.5%",
    ]


def test_what_is_hardly_read_or_cut_is_counted_and_told(detector):
    """The long questions begin alike: what tells them apart is not read."""
    long = "how do i pay my bill ? " * 20
    pairs = [("how do i cook rice", "wie koche ich Reis"), (long + "first", long + "last"), ("水", "")]
    records = [({"a": left, "b": right}, "" if right else "bad") for left, right in pairs]
    rows = predict.answer(detector, records, "a", "b")
    assert [(row["known_words1"], row["known_words2"], row["cut"]) for row in rows] == [
        (1.0, 0.0, 0),
        (pytest.approx(1, abs=0.01), pytest.approx(1, abs=0.01), 2),
        (None, None, None),
    ]
    assert rows[1]["similarity"] == 1
    file = io.StringIO()
    counted = predict.write([rows], file, "text")
    assert (counted["unread"], counted["cut"]) == (1, 2)
    lines = file.getvalue().splitlines()
    assert lines[0].endswith(", known words 100%, 0%")
    assert lines[1].endswith(", 2 cut")


def test_rows_of_a_csv_have_the_columns_of_the_first():
    """As lines of JSON from standard input may have others."""
    block = [{"a": 1, "duplicate": True, "error": ""}, {"duplicate": None, "error": "bad", "more": 2}]
    file = io.StringIO()
    counted = predict.write([block, block[:1]], file, "csv")
    assert file.getvalue() == "a,duplicate,error\n1,True,\n,,bad\n1,True,\n"
    assert counted == {"pairs": 3, "errors": 1, "duplicates": 2, "unread": 0, "cut": 0}


def test_values_that_json_does_not_know_are_written_as_text():
    row = {"when": datetime.date(2024, 2, 29), "duplicate": True, "error": ""}
    assert written([row], "jsonl") == '{"when": "2024-02-29", "duplicate": true, "error": ""}\n'


def test_similarities_have_no_more_digits_than_they_know(detector):
    [row] = predict.answer(detector, [(dict(zip(("a", "b"), PAIR, strict=True)), "")], "a", "b")
    for name in ("similarity", "probability"):
        assert len(str(row[name])) <= 11
    assert row["similarity"] == pytest.approx(detector.similarity([PAIR])[0], abs=1e-8)


def test_lines_are_answered_while_the_stream_is_open(folder, start_program):
    """One line in, one answer out; the next line is written only when the answer was read."""
    process = start_program("predict", "run=detector", "pairs=-", "format=jsonl", folder=folder, stdin=subprocess.PIPE)
    for line, error in (("rice\tRice", False), ("", True), ('{"question1": "a", "question2": "b", "id": 5}', False)):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert bool(answer["error"]) == error
        assert (answer["similarity"] is None) == error
    assert answer["id"] == 5
    process.stdin.write("last\tlast")
    rest, complaints = process.communicate(timeout=60)
    assert json.loads(rest)["similarity"] == 1.0
    note = "note: of 3 of 6 questions the model knows under half of the words; what it says of them is a guess\n"
    assert (process.returncode, complaints) == (0, NAMED + note)


def test_a_reader_that_stops_early_ends_it_quietly(folder, start_program):
    (folder / "pairs.csv").write_text("question1,question2\n" + "a,b\n" * 50_000)
    process = start_program("predict", "run=detector", "pairs=pairs.csv", folder=folder)
    assert process.stdout.readline().startswith("question1,")
    process.stdout.close()
    assert process.wait(timeout=60) == -signal.SIGPIPE
    assert process.stderr.read() == NAMED


def test_another_threshold_and_prior(detector, folder, monkeypatch, capsys):
    """From 0.95 on one of the two duplicates of dev is found and no other pair; 1 % are duplicates instead of half."""
    dev = DevScores(np.array([0.99, 0.91, 0.89, 0.2], np.float32), np.array([True, False, True, False]))
    asked = Detector(detector.network, detector.vectorizer, Calibration(0.5, 1.0, 0.0), dev)
    asked.save(folder / "detector")
    monkeypatch.chdir(folder)
    [similarity] = detector.similarity([PAIR])
    [row] = rows_of(["run=detector", "threshold=precision@0.9", "prior=0.01"], *PAIR)
    expected = asked.at("precision@0.9", prior=0.01).calibration
    assert row["probability"] == pytest.approx(expected.probability(similarity), rel=1e-5)
    assert row["probability"] < detector.probability(similarity)
    assert row["duplicate"] == (similarity >= 0.95)
    assert capsys.readouterr().err == (
        f"model: detector; {expected.rule()}\n"
        "threshold=precision@0.9: 0.95, at 1 % duplicates precision 1.0000, recall 0.5000 (4 dev pairs, false alarms: 0 of 2)\n"
    )
    assert rows_of(["run=detector", "threshold=0.2"], *PAIR)[0]["duplicate"] == (similarity >= 0.2)


def test_a_file_is_written_whole(folder, monkeypatch, capsys):
    """In the format of its name, also over the file that is being read."""
    monkeypatch.chdir(folder)
    Path("pairs.jsonl").write_text('{"question1": "rice", "question2": "rice"}\nno\n')
    for name in ("pairs.jsonl", "pairs.csv", "pairs.txt"):
        monkeypatch.setattr(sys, "argv", ["predict", "run=detector", "pairs=pairs.jsonl", f"output={name}"])
        predict.main()
        printed = capsys.readouterr()
        assert printed.out == f"2 pairs, 1 duplicates, 1 could not be scored; wrote {name}\n"
        assert printed.err == NAMED
    as_json, as_csv, as_text = (Path(f"pairs.{suffix}").read_text().splitlines() for suffix in ("jsonl", "csv", "txt"))
    assert [json.loads(line)["duplicate"] for line in as_json] == [True, None]
    assert [row["duplicate"] for row in csv.DictReader(as_csv)] == ["True", ""]
    assert [line.partition(":")[0] for line in as_text] == ["duplicate", "error"]
    assert sorted(path.name for path in folder.iterdir()) == ["detector", "pairs.csv", "pairs.jsonl", "pairs.txt"]


def test_what_cannot_be_encoded_is_replaced(folder, monkeypatch):
    """Half an emoji, and a byte that is no UTF-8 in another column."""
    monkeypatch.chdir(folder)
    Path("pairs.csv").write_bytes(b"question1,question2,note\na,b\xc3\xa9,\xff\n")
    Path("pairs.jsonl").write_text('{"question1": "a", "question2": "b", "note": "\\ud83d"}\n')
    for name in ("pairs.csv", "pairs.jsonl"):
        monkeypatch.setattr(sys, "argv", ["predict", "run=detector", f"pairs={name}", "output=out.jsonl"])
        predict.main()
        assert json.loads(Path("out.jsonl").read_text(encoding="utf-8"))["note"] == "?"


def test_an_error_leaves_what_was_there_before(tmp_path):
    file = tmp_path / "scored.csv"
    file.write_text("of yesterday")

    def rows_that_end_in(error):
        yield [{"duplicate": True, "error": ""}]
        assert len(list(tmp_path.iterdir())) == 2
        raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), predict.destination(str(file)) as half:
            predict.write(rows_that_end_in(error), half, "csv")
        assert [path.name for path in tmp_path.iterdir()] == ["scored.csv"]
        assert file.read_text() == "of yesterday"


def test_a_full_standard_output_is_named(monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with (
            pytest.raises(OSError, match="No space left on device: 'standard output'"),
            predict.destination(None) as out,
        ):
            out.write("a row")


def test_the_settings_of_a_command_line():
    given, questions = command_line("predict", ["left=q1", "tracking.uri=sqlite:///x.db", "Why is a=b?", "output="])
    assert questions == ["Why is a=b?"]
    assert given == {
        "run": None,
        "encoder": None,
        "plugins": None,
        "pairs": None,
        "left": "q1",
        "right": "question2",
        "threshold": None,
        "prior": None,
        "output": None,
        "encoding": None,
        "quoting": None,
        "html": "auto",
        "format": None,
        "tracking.uri": "sqlite:///x.db",
        "tracking.experiment": "duplicate-questions",
    }


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("tracking.url=x", "did you mean tracking.uri?"),
        ("tracking=x", "did you mean tracking.uri?"),
        ("run.id=x", "the settings are run, encoder, plugins, pairs, .*tracking.uri"),
    ],
)
def test_a_misspelt_setting_is_named(word, hint):
    with pytest.raises(ValueError, match=f"there is no setting {word[:-2]}; {hint}"):
        command_line("predict", [word])


@pytest.mark.parametrize(
    ("words", "questions", "message"),
    [
        ([], [], "give two questions in quotes, or pairs=FILE; got 0 questions and pairs=None"),
        ([], ["one"], "got 1 questions"),
        (["pairs=a.csv"], ["one", "two"], "got 2 questions and pairs=a.csv"),
        (["output=scored.xlsx"], ["one", "two"], r"output must end in \.csv, \.jsonl, \.txt, got scored\.xlsx"),
        (["format=xml"], ["one", "two"], "format, for what is printed, must be csv, jsonl, text; got xml, output=None"),
        (["format=csv", "output=a.csv"], ["one", "two"], r"format, for what is printed, .* got csv, output=a\.csv"),
        (["prior=1%"], ["one", "two"], "prior must be a share of duplicates such as 0.01, got '1%'"),
        ([], ["rice", " \t"], "^question 2: the text is empty$"),
        ([], ["\udcff", "rice"], "^question 1: the text is not UTF-8$"),
    ],
)
def test_bad_arguments_are_reported_before_anything_is_loaded(words, questions, message):
    with pytest.raises(ValueError, match=message):
        predict.run(settings(*words), questions)
