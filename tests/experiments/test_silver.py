"""Silver pairs: labeled by detectors, and learned from."""

import csv
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from experiments import silver
from siamese.data.dialects import Reading
from siamese.data.labeled import with_labeled
from siamese.data.sources import corpus
from siamese.detector import Detector

ROOT = Path(__file__).parents[2]
DETECTOR = ROOT / "tests" / "fixtures" / "detector_format_5"


SMALL = "data.duplicates_per_question=0.1"


def label(folder: Path, *overrides: str) -> list[dict[str, str]]:
    output = folder / "silver.csv"
    given = [SMALL, f"tracking.uri=sqlite:///{folder}/mlflow.db", f"output={output}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert silver.run(compose("silver", overrides=[*given, *overrides])) == output
    with output.open(encoding="utf-8", newline="") as found:
        return list(csv.DictReader(found))


def test_pairs_of_training_questions_that_have_no_label_get_that_of_the_teachers(tmp_path, capsys):
    splits = corpus(languages=["en"], duplicates_per_question=0.1)
    train = splits.train
    known = {frozenset(pair) for pair in zip(train.left_texts(), train.right_texts(), strict=True)}
    rows = label(tmp_path, f"teachers=[{DETECTOR},{DETECTOR}]", "top_k=3", "pairs=20")
    found = [(row["question1"], row["question2"]) for row in rows]
    assert 0 < len({frozenset(pair) for pair in found}) == len(found) <= 20
    assert {text for pair in found for text in pair} <= set(train.questions)
    assert known.isdisjoint(map(frozenset, found))
    own = Detector.load(DETECTOR).similarity(found).clip(1e-6, 1 - 1e-6)
    assert [float(row["is_duplicate"]) for row in rows] == pytest.approx(own.tolist(), abs=2e-6)
    printed = capsys.readouterr().out
    assert f"2 teachers read {len(train.questions):,} questions" in printed
    assert f"silver.csv: {len(rows):,} pairs that nobody labeled, " in printed
    notes = []
    learned = with_labeled(splits, str(tmp_path / "silver.csv"), Reading(tell=notes.append)).train
    assert len(learned) == len(train) + len(rows)
    assert learned.label[len(train) :] == pytest.approx([float(row["is_duplicate"]) for row in rows], abs=1e-6)


def test_the_same_seed_draws_the_same_pairs(tmp_path):
    drawn = [label(tmp_path, f"teachers=[{DETECTOR}]", "pairs=5", f"seed={seed}") for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("teachers", ["[]", "a_run", "3"])
def test_without_a_list_of_teachers_the_error_says_how_to_give_one(tmp_path, teachers):
    with pytest.raises(
        ValueError, match=r"teachers must list runs or folders of detectors, as 'teachers=\[RUN,RUN\]'; got"
    ):
        label(tmp_path, f"teachers={teachers}")


def test_what_is_no_detector_and_no_csv_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match=r"output must end in \.csv, got silver\.txt"):
        label(tmp_path, f"teachers=[{DETECTOR}]", "output=silver.txt")
    with pytest.raises(ValueError, match="there is no tracking store"):
        label(tmp_path, "teachers=[abc]", "data.languages=[nowhere]")
