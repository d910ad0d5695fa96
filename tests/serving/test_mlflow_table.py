"""MLflow's table: the answers that a logged model gives, and MLflow's error for what is not a question."""

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from siamese.detector import Detector
from siamese.serving.mlflow_table import answers
from siamese.serving.protocol import QUESTIONS

PAIRS = [("how do i pay my bill", "where can i pay the bill ?"), ("i lost my card", "how do i cook rice")]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("tests/fixtures/detector_format_5")


def table(pairs) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=list(QUESTIONS))


def test_answers_are_the_detectors(detector):
    found = answers(detector, table(PAIRS))
    similarity = detector.similarity(PAIRS)
    assert [each["similarity"] for each in found] == similarity.tolist()
    assert [each["probability"] for each in found] == detector.probability(similarity).tolist()
    assert [each["duplicate"] for each in found] == [True, False]
    assert type(found[0]["duplicate"]) is bool
    assert answers(detector, table([])) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "the text is missing"),
        (np.nan, "the text is missing"),
        (7, "a text is expected, not int"),
        (["a"], "a text is expected, not list"),
        (" \n", "the text is empty"),
    ],
)
def test_the_first_invalid_question_is_named(detector, value, problem):
    pairs = table([*PAIRS, ("a", value), (3, 4)]).astype(object)
    with pytest.raises(MlflowException, match=r"^question1 of pair 4 of 4: a text is expected, not int$"):
        answers(detector, pairs)
    with pytest.raises(MlflowException, match=f"^question2 of pair 3 of 3: {problem}$"):
        answers(detector, pairs[:3])
