"""Serving: the HTTP server, and the model that MLflow loads."""

# models saved by earlier versions import these names from here
from siamese.serving.scoring_server import ANSWERS, answers

__all__ = ["ANSWERS", "answers"]
