"""mine label=: a file that a person fills and training reads, with no pair twice."""

import csv
from pathlib import Path

import pytest

from siamese.commands import mine
from siamese.commands.arguments import command_line
from siamese.commands.label import LabelFile
from siamese.data.dialects import USUAL
from siamese.data.files import read_pair_file
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration

QUESTIONS = ["i lost my card", "how do i cook rice", "cooking rice", "i lost my card , what now ?", "I lost  my card"]


@pytest.fixture
def detector(build_network, vectorizer, tmp_path, monkeypatch) -> Detector:
    """A detector in the working directory, beside a file of questions."""
    detector = Detector.from_network(build_network(), vectorizer, Calibration(0.5, 1.0, 0.0))
    detector.save(tmp_path / "detector")
    (tmp_path / "faq.csv").write_text("question\n" + "".join(f'"{each}"\n' for each in QUESTIONS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return detector


def run(*words: str) -> dict[str, int]:
    return mine.run(command_line("mine", ["run=detector", "collection=faq.csv", "label=pairs.csv", *words])[0])


def pairs() -> list[tuple[str, str]]:
    with Path("pairs.csv").open(encoding="utf-8-sig", newline="") as file:
        return [(row["question1"], row["question2"]) for row in csv.DictReader(file)]


def test_the_least_certain_first_and_each_pair_once(detector):
    assert run("label_pairs=2") == {"questions": 5, "texts": 4, "known": 0, "labeled": 0, "new": 2}
    first = pairs()
    distance = abs(detector.probability(detector.similarity(first)) - 0.5)
    assert distance.tolist() == sorted(distance)
    assert run("label_pairs=9")["known"] == 2
    assert pairs()[:2] == first
    rest = pairs()[2:]
    assert rest
    assert not {frozenset(pair) for pair in first} & {frozenset(pair) for pair in rest}
    assert not any({left, right} <= {QUESTIONS[0], QUESTIONS[4]} for left, right in pairs())  # one text for the model
    while run()["new"]:
        pass
    assert len(pairs()) == 6  # all pairs of four texts, as none is certain


def test_what_a_person_filled_is_read_by_training_and_stays(detector):
    """A spreadsheet in France has written it, with a column more, and half of the labels."""
    text = 'Question1;question2;is_duplicate;remarque\n"où est ma carte ?";carte perdue;oui;sûr\ncooking rice;riz;;\n'
    Path("pairs.csv").write_text(text, encoding="cp1252")
    assert run()["labeled"] == 1
    with Path("pairs.csv").open(encoding="utf-8-sig", newline="") as file:
        first, second, *new = csv.DictReader(file)
    assert first == {
        "Question1": "où est ma carte ?",
        "question2": "carte perdue",
        "is_duplicate": "oui",
        "remarque": "sûr",
    }
    assert second["question2"] == "riz"
    assert new
    assert all(row["is_duplicate"] == row["remarque"] == "" for row in new)
    with pytest.raises(ValueError, match=r"row 3, column is_duplicate: .*; mend the row or set data\.on_bad_row=skip"):
        read_pair_file("pairs.csv", "question1", "question2", "is_duplicate", "error")
    left, right, label, bad = read_pair_file("pairs.csv", "question1", "question2", "is_duplicate", "skip")
    assert (left[0], right[0], label.tolist()) == ("où est ma carte ?", "carte perdue", [1.0])
    assert len(bad) == 1 + len(new)


def test_order_case_and_spacing_make_no_new_pair(tmp_path):
    path = str(tmp_path / "pairs.csv")
    LabelFile(path, USUAL).append([("I lost  my card", "cooking rice")])
    file = LabelFile(path, USUAL)
    assert ("Cooking rice", "i lost my card") in file
    assert ("i lost my card", "cooking rice now") not in file


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["label=pairs.txt"], "label must end in .csv"),
        (["output=a.csv"], "leave out output= and clusters="),
        (["label_pairs=0"], "label_pairs must be at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be(words, problem, detector):
    with pytest.raises(ValueError, match=problem):
        run(*words)


def test_a_file_of_something_else_is_not_touched(detector):
    Path("pairs.csv").write_text("name,city\na,b\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pairs\.csv"):
        run()
    assert Path("pairs.csv").read_text(encoding="utf-8") == "name,city\na,b\n"


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Writing the file again would lose one of them."""
    (tmp_path / "a.csv").write_text("question1,question2,is_duplicate,note,note\na,b,1,c,d\n")
    with pytest.raises(ValueError, match=r"a\.csv has several columns of one name, 'question1', .* rename them"):
        LabelFile(str(tmp_path / "a.csv"), USUAL)
