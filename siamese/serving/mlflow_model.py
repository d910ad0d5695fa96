"""The model that MLflow loads and serves: pairs of questions in, similarity and verdict out.

MLflow runs this file ("models from code"). The trained weights are plain files among the model's artifacts.
"""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from siamese.detector import Detector
from siamese.serving.mlflow_table import answers
from siamese.serving.protocol import ANSWERS


class ServedDetector(PythonModel):
    """A detector behind MLflow's table-in, table-out interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the detector from the model's artifacts."""
        self.detector = Detector.load(Path(context.artifacts["detector"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None
    ) -> pd.DataFrame:
        """Columns question1, question2 -> similarity, probability, duplicate, in the same order."""
        return pd.DataFrame(answers(self.detector, model_input), columns=list(ANSWERS))


mlflow.models.set_model(ServedDetector())
