"""Model card: its figures are those of the reports, its thresholds those that dev gives, its limits those of the tower."""

from dataclasses import replace
from pathlib import Path

import pytest

from siamese.data.pairs import PairSplits, QuestionPairs
from siamese.detector import Detector
from siamese.evaluation.report import report
from siamese.evaluation.thresholds import choose_threshold
from siamese.registry.model_card import Training, model_card

FIXTURE = Path(__file__).parents[1] / "fixtures" / "detector_format_5"
SETTINGS = {
    "data": "corpus",
    "tower": "dense",
    "tower.units": [8],
    "similarity": "cosine",
    "loss": "weighted_sum",
    "loss.first": "binary_crossentropy",
    "training.epochs": 4,
    "seed": 7,
}
COST = {"parameters": 12_345.0, "bytes": 4.5e6, "questions_per_second": 98_765.0, "seconds": 12.3}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(FIXTURE)


@pytest.fixture(scope="module")
def training(detector) -> Training:
    texts = ["How do I pay my bill?", "Where can I pay the bill?", "I lost my card", "My card is gone", "rice", "soup"]
    pairs = QuestionPairs.from_texts(texts[:-1], texts[1:], [1, 0, 1, 0, 0])
    splits = PairSplits("questions about bills", pairs, pairs, pairs.take([0, 1, 2]))
    reports = {
        name: report(each, detector.score(each), detector.calibration, 0, 50)
        for name, each in (("dev", splits.dev), ("test", splits.test))
    }
    baseline = {f"{split}/{name}": 0.5123 for split, each in reports.items() for name in each.metrics}
    baselines = {"word_overlap": baseline}
    return Training("1a2b", "c0ffee", "Run it again with\n\n    make train", SETTINGS, splits, reports, baselines, COST)


def table(card: str, heading: str) -> dict[str, list[str]]:
    """The rows of the last table below a heading, by their first cells."""
    section = card.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {first: others for first, *others in rows}


def test_each_metric_with_its_interval(detector, training):
    rows = table(model_card(detector, training), "Metrics")
    for column, each in enumerate(training.reports.values()):
        for name, value in each.metrics.items():
            low, high = each.intervals[name]
            assert rows[name][column] == f"{value:.4f} [{low:.4f}, {high:.4f}]"


def test_baselines_are_in_the_table_of_the_network(detector, training):
    rows = table(model_card(detector, training), "Metrics")
    columns = [f"{split}/{name}" for split in ("dev", "test") for name in ("accuracy", "roc_auc", "average_precision")]
    own = [training.reports[column.split("/")[0]].metrics[column.split("/")[1]] for column in columns]
    assert rows["this network"] == [f"{value:.4f}" for value in own]
    assert rows["word_overlap"] == ["0.5123"] * len(columns)
    assert "this network" not in table(model_card(detector, replace(training, baselines={})), "Metrics")


def test_thresholds_are_those_that_dev_gives(detector, training):
    card = model_card(detector, training)
    rows = table(card, "Thresholds")
    dev = training.reports["dev"].scores()
    for criterion in ("best_accuracy", "recall@0.9"):
        point = choose_threshold(dev, criterion)
        assert rows[criterion] == [f"{point.threshold:.6g}", f"{point.precision:.4f}", f"{point.recall:.4f}"]
    assert detector.threshold_note() in card
    assert f"from a similarity of {detector.calibration.threshold:.6g} on" in card
    hopeless = QuestionPairs.from_texts(["rice", "I lost my card"], ["rice", "My card is gone"], [0, 1])
    wrong = report(hopeless, detector.score(hopeless), detector.calibration, 0, 0)
    rows = table(model_card(detector, replace(training, reports={"dev": wrong}, baselines={})), "Thresholds")
    assert rows["precision@0.9"] == ["not reached on dev", "", ""]


def test_data_with_sizes_shares_and_digests(detector, training):
    rows = table(model_card(detector, training), "Data")
    train, test = training.splits.train, training.splits.test
    assert rows["train"] == ["5", "40.0%", f"`{train.digest()}`"]
    assert rows["test"] == ["3", "66.7%", f"`{test.digest()}`"]


def test_the_card_has_command_and_cost(detector, training):
    card = model_card(detector, training)
    for text in (
        "The seed is 7.",
        "    make train\n",
        "run=1a2b",
        "git commit c0ffee",
        "| 12,345 | 4.5 | 12.3 | 98,765 |",
    ):
        assert text in card
    rows = table(card, "Training")
    assert rows["tower"] == ["dense", "units=[8]"]
    assert rows["loss"] == ["weighted_sum", "first=binary_crossentropy"]
    assert rows["training"] == ["", "epochs=4"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"data": "corpus"}, "MIT license"),
        ({"data": "pair_file"}, "Your own file: its license"),
        ({"data": "tfds_pairs", "data.name": "glue/qqp"}, "https://www.tensorflow.org/datasets/catalog/glue\n"),
        ({"data": "of_mine"}, "Its license is not known here."),
        ({"tower": "dense"}, "neither their order nor what a negation refers to"),
        ({"tower": "bilstm"}, "reads words in order"),
        ({"tower": "averaging"}, "as a bag"),
        ({"tower": "attention"}, "in order unless tower.positions is false"),
        ({"tower": "of_mine"}, "is up to its code"),
    ],
)
def test_license_and_limits_follow_the_choices(detector, training, settings, text):
    assert text in model_card(detector, replace(training, settings=SETTINGS | settings))
