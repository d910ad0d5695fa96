"""What training says of its data before the first epoch, and of its results after the last; its name."""

import pandas as pd
import pytest

from experiments import train_logging, training_run
from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.evaluation.report import Report


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


def test_the_description_of_a_run_is_what_the_screen_shows(monkeypatch, capsys):
    pages = {}
    monkeypatch.setattr("siamese.tracking.log_page", lambda page, file: pages.update({file: page}))
    table = pd.DataFrame({"question1": ["a"], "question2": ["b"], "similarity": [0.5], "probability": [0.5]})
    reports = {"dev": Report({"accuracy": 0.75}, {"accuracy": (0.5, 1.0)}, table.assign(verdict=True, correct=True))}
    baselines = {"majority": {"dev/accuracy": 0.5}}
    train_logging.track_results(reports, baselines, "Run it again")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in pages["results.md"].splitlines()]
    short = [["this network", "0.7500"], ["majority", "0.5000"]]
    whole = [["accuracy", "0.7500 [0.5000, 1.0000]"]]
    assert [row for row in cells if row in short + whole] == short + whole
    assert cells[-1] == ["Run it again"]
    train_logging.show(reports, baselines, 0)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert all(" ".join(row) in lines for row in short + whole)


@pytest.mark.parametrize(("earlier", "name"), [(0, "dense"), (1, "dense (2)"), (2, "dense (3)")])
def test_runs_of_one_config_and_seed_have_different_names(earlier, name, monkeypatch):
    asked = []
    monkeypatch.setattr(training_run, "find_runs", lambda condition: asked.append(condition) or [None] * earlier)
    config = {"tower": {"units": [3]}, "seed": 1}
    assert training_run.distinct("dense", config) == name
    digest = training_run.tracking.config_digest(config)
    assert asked == [f"tags.kind = 'model' and tags.config_digest = '{digest}' and tags.seed = '1'"]
