"""MLflow's table: what the model that MLflow loads takes and gives."""

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from siamese.data.questions import text_problem
from siamese.detector import Detector
from siamese.serving.protocol import ANSWERS, QUESTIONS

SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", name) for name in QUESTIONS]),
    outputs=Schema([ColSpec(kind, name) for name, kind in ANSWERS.items()]),
)


def answers(detector: Detector, pairs: pd.DataFrame) -> list[dict[str, float | bool | None]]:
    """The values of `ANSWERS` for each pair of the columns question1 and question2, in order.

    A value that is empty or not a string raises MlflowException; MLflow's server answers with status 400.
    """
    columns = [pairs[name].tolist() for name in QUESTIONS]
    for name, values in zip(QUESTIONS, columns, strict=True):
        for number, value in enumerate(values, start=1):
            problem = text_problem(value)
            if problem:
                raise MlflowException.invalid_parameter_value(f"{name} of pair {number} of {len(values)}: {problem}")
    found = detector.verdicts(list(zip(*columns, strict=True))).columns()
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
