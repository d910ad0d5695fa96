"""The detector of a program: its settings name a detector and what its threshold is for."""

import numpy as np
import pytest

from siamese.commands.detector import chosen
from siamese.detector import Detector
from tests.encoders import write_encoder

FIXTURE = "tests/fixtures/detector_format_5"
SETTINGS = {"run": FIXTURE, "encoder": None, "plugins": None, "threshold": None, "prior": None,
            "tracking.uri": "sqlite:///mlflow.db", "tracking.experiment": "duplicate-questions"}  # fmt: skip


def test_without_wishes_it_is_the_detector_as_trained(capsys):
    assert chosen(SETTINGS, show_threshold=True).calibration == Detector.load(FIXTURE).calibration
    assert capsys.readouterr().err == f"model: {FIXTURE}; {Detector.load(FIXTURE).calibration.rule()}\n"


def test_a_detector_without_checksums_is_noted(capsys):
    old = FIXTURE.replace("5", "3")
    chosen(SETTINGS | {"run": old})
    note, model = capsys.readouterr().err.splitlines()
    assert note.startswith(f"note: {old} was saved without checksums, by an older version, so that a damaged file may")
    assert model.startswith("model: ")


def test_threshold_and_prior_are_used_and_noted(capsys):
    wanted = Detector.load(FIXTURE).at("recall@0.5", 0.01)
    assert (
        chosen(SETTINGS | {"threshold": "recall@0.5", "prior": "0.01"}, show_threshold=True).calibration
        == wanted.calibration
    )
    assert capsys.readouterr().err == f"model: {FIXTURE}; {wanted.calibration.rule()}\n{wanted.threshold_note()}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prior": "many"}, "prior must be a share of duplicates such as 0.01, got 'many'"),
        ({"run": None, "tracking.uri": None}, "tracking.uri is empty; give the address of a store"),
        (
            {"run": "nowhere", "tracking.uri": "sqlite:///{folder}/mlflow.db"},
            "run=nowhere is no folder, and there is no",
        ),
    ],
)
def test_mistakes_are_reported(changed, message, tmp_path):
    settings = {name: value and value.format(folder=tmp_path) for name, value in (SETTINGS | changed).items()}
    with pytest.raises(ValueError, match=message):
        chosen(settings)


def test_an_encoder_without_a_threshold_only_ranks(tmp_path, capsys):
    encoder = SETTINGS | {"encoder": str(write_encoder(tmp_path))}
    with pytest.raises(ValueError, match=r"no threshold was chosen for encoder=.*; give one, such as threshold=0.8"):
        chosen(encoder)
    assert not chosen(encoder, ranks=True).is_duplicate([("pay", "pay")]).any()
    assert 'every verdict is "not duplicate"; threshold=0.8 sets one' in capsys.readouterr().err
    detector = chosen(encoder | {"threshold": "0.8"})
    assert detector.is_duplicate([("pay", "pay"), ("pay my bill", "lost card")]).tolist() == [True, False]
    assert detector.probability(np.array([0.25])) == pytest.approx(0.25)
    note = capsys.readouterr().err
    assert note.startswith("note: nothing was trained; encoder=")
    assert note.endswith("The probability is the similarity\n")
    with pytest.raises(ValueError, match=r"threshold=best_f1, .*give the threshold as a number"):
        chosen(encoder | {"threshold": "best_f1"})
