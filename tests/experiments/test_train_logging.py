"""What training says of its data before the first epoch."""

import pytest

from experiments import train_logging
from siamese.data.pairs import PairSplits, QuestionPairs


def labeled(name: str, *labels: int) -> QuestionPairs:
    return QuestionPairs.from_texts(
        [f"{name} a{i}" for i in range(len(labels))], [f"{name} b{i}" for i in range(len(labels))], labels
    )


@pytest.fixture
def said(monkeypatch, capsys):
    """A function: splits -> the notes on them."""
    monkeypatch.setattr("siamese.tracking.log_data", lambda *given: None)

    def said(splits: PairSplits) -> list[str]:
        train_logging.track_data(splits, splits.train)
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]

    return said


def test_notes_few_dev_pairs_and_parts_of_one_kind_are_told(said):
    test = labeled("test", 0, 0)
    splits = PairSplits("a.csv", labeled("train", 1, 1), labeled("dev", 0, 1), test, notes=("a.csv has tabs",))
    assert said(splits) == [
        "note: all pairs of train are duplicates: only loss=ranking learns from them",
        "note: all pairs of test are labeled different: metrics of both kinds are undefined",
        "note: dev has 2 pairs: the epoch, threshold and probabilities that it chooses are uncertain; "
        "add pairs or raise data.dev",
        "note: a.csv has tabs",
    ]


def test_of_ordinary_data_there_is_nothing_to_note(said):
    assert said(PairSplits("a.csv", labeled("train", 0, 1), labeled("dev", *[0, 1] * 25))) == []
