"""The detector of a program: its settings name a detector and what its threshold is for."""

import pytest

from siamese.commands.detector import chosen
from siamese.detector import Detector

FIXTURE = "tests/fixtures/detector_format_3"
SETTINGS = {"run": FIXTURE, "plugins": None, "threshold": None, "prior": None, "tracking.uri": "sqlite:///mlflow.db",
            "tracking.experiment": "duplicate-questions"}  # fmt: skip


def test_without_wishes_it_is_the_detector_as_trained(capsys):
    assert chosen(SETTINGS, show_threshold=True).calibration == Detector.load(FIXTURE).calibration
    assert capsys.readouterr().err == ""


def test_threshold_and_prior_are_used_and_noted(capsys):
    wanted = Detector.load(FIXTURE).at("recall@0.5", 0.01)
    assert (
        chosen(SETTINGS | {"threshold": "recall@0.5", "prior": "0.01"}, show_threshold=True).calibration
        == wanted.calibration
    )
    assert capsys.readouterr().err == wanted.threshold_note() + "\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prior": "many"}, "prior must be a share of duplicates such as 0.01, got 'many'"),
        ({"run": None, "tracking.uri": None}, "tracking.uri is empty; give the address of a store"),
        ({"run": "nowhere", "tracking.uri": "sqlite:///{folder}/mlflow.db"}, "run=nowhere is no run of sqlite:"),
    ],
)
def test_mistakes_are_reported(changed, message, tmp_path):
    settings = {name: value and value.format(folder=tmp_path) for name, value in (SETTINGS | changed).items()}
    with pytest.raises(ValueError, match=message):
        chosen(settings)
