"""predict: two questions or a file of pairs in, verdicts out, and nothing started that it does not need."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import predict
from siamese import newest
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration

ROOT = Path(__file__).parent.parent
PAIR = ("how do i pay my bill", "where can i pay the bill ?")
HEAVY = ("tensorflow", "keras", "mlflow", "hydra", "omegaconf", "scipy", "sklearn", "pandas", "matplotlib")
# what `python -m experiments.predict` does, and then the heavy packages that it brought in
PROGRAM = f"""
import runpy, sys
runpy.run_module("experiments.predict", run_name="__main__", alter_sys=True)
print("brought in:", *set({HEAVY}) & set(sys.modules))
"""


@pytest.fixture(scope="module")
def detector(build_network, vectorizer):
    return Detector.from_network(build_network("conv1d"), vectorizer, Calibration(0.5, 1.0, 0.0))


@pytest.fixture
def folder(detector, tmp_path):
    """A working directory with a saved detector."""
    detector.save(tmp_path / "detector")
    return tmp_path


def ask(folder: Path, *arguments: str) -> list[str]:
    """The lines that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def settings(*words: str) -> dict:
    return predict.command_line(words)[0]


@pytest.mark.parametrize("way", ["run", "newest"])
def test_an_answer_needs_neither_tensorflow_nor_mlflow(detector, folder, way):
    """From a folder, and as the newest of a store that is not even there."""
    arguments = ["run=detector"]
    if way == "newest":
        newest.note(f"sqlite:///{folder}/mlflow.db", "some run", folder / "detector")
        arguments = []
    [similarity] = detector.similarity([PAIR])
    [probability] = detector.probability(similarity[None])
    verdict = "duplicate" if similarity >= 0.5 else "not duplicate"
    expected = [f"{verdict}  similarity {similarity:.4f}, probability {probability:.1%}", "brought in:"]
    assert ask(folder, *PAIR, *arguments) == expected
    assert not (folder / "mlflow.db").exists()


def test_a_file_of_pairs_is_printed_as_csv(detector, folder):
    (folder / "pairs.csv").write_text(f"question1,question2\n{','.join(PAIR)}\n,x\nl'eau,où ?\n", encoding="utf-8")
    *table, brought_in = ask(folder, "run=detector", "pairs=pairs.csv")
    assert brought_in == "brought in:"
    rows = list(csv.DictReader(table))
    assert list(rows[0]) == ["question1", "question2", "similarity", "probability", "duplicate", "error"]
    assert [row["question1"] for row in rows] == [PAIR[0], "", "l'eau"]
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    assert rows[1]["similarity"] == rows[1]["duplicate"] == ""
    expected = detector.similarity([PAIR, ("l'eau", "où ?")])
    assert [float(rows[0]["similarity"]), float(rows[2]["similarity"])] == pytest.approx(expected.tolist(), abs=1e-6)
    assert rows[0]["duplicate"] == str(expected[0] >= 0.5)


def test_columns_of_other_names(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("pairs.tsv").write_text("a\tb\nrice\tRice\n")
    table = predict.run(settings("run=detector", "pairs=pairs.tsv", "left=a", "right=b"), [])
    assert table["question2"] == ["Rice"]
    assert table["similarity"] == [1.0]
    assert table["duplicate"] == [True]


def test_a_table_as_csv_and_as_lines_of_json():
    table = {"question1": ['say "hi", ok?', None], "similarity": [0.1, None], "duplicate": [False, None]}
    as_csv, as_json = io.StringIO(), io.StringIO()
    predict.write(table, as_csv, lines_of_json=False)
    predict.write(table, as_json, lines_of_json=True)
    assert as_csv.getvalue() == 'question1,similarity,duplicate\n"say ""hi"", ok?",0.1,False\n,,\n'
    first, second = map(json.loads, as_json.getvalue().splitlines())
    assert first == {"question1": 'say "hi", ok?', "similarity": 0.1, "duplicate": False}
    assert second == {"question1": None, "similarity": None, "duplicate": None}


def test_similarities_have_no_more_digits_than_they_know(detector):
    [similarity] = predict.score(detector, [PAIR])["similarity"]
    assert len(str(similarity)) <= 11
    assert similarity == pytest.approx(detector.similarity([PAIR])[0], abs=1e-8)


def test_the_settings_of_a_command_line():
    given, questions = predict.command_line(["left=q1", "tracking.uri=sqlite:///x.db", "Why is a=b?", "output="])
    assert questions == ["Why is a=b?"]
    assert given == {
        "run": None,
        "pairs": None,
        "left": "q1",
        "right": "question2",
        "output": None,
        "tracking.uri": "sqlite:///x.db",
        "tracking.experiment": "duplicate-questions",
    }


@pytest.mark.parametrize("word", ["tracking.url=x", "tracking=x", "run.id=x"])
def test_a_misspelt_setting_is_named(word):
    with pytest.raises(
        ValueError, match=f"there is no setting {word[:-2]}; the settings are run, pairs, .*tracking.uri"
    ):
        predict.command_line([word])


@pytest.mark.parametrize(
    ("words", "questions", "message"),
    [
        ([], [], "give two questions in quotes, or pairs=FILE; got 0 questions and pairs=None"),
        ([], ["one"], "got 1 questions"),
        (["pairs=a.csv"], ["one", "two"], "got 2 questions and pairs=a.csv"),
        (["output=scored.xlsx"], ["one", "two"], r"output must end in \.csv or \.jsonl, got scored\.xlsx"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_loaded(words, questions, message):
    with pytest.raises(ValueError, match=message):
        predict.run(settings(*words), questions)
