"""A plain FastAPI app that calls a detector: what the server of this project is measured against."""

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from experiments.benchmark.serving_rivals import FOLDER
from siamese.detector import Detector

detector = Detector.load(os.environ[FOLDER])
app = FastAPI()


class Pair(BaseModel):
    """Two questions."""

    question1: str
    question2: str


class Pairs(BaseModel):
    """A request."""

    dataframe_records: list[Pair]


@app.post("/invocations")
async def invocations(request: Pairs) -> dict[str, Any]:
    """Answered in the event loop, because threads of their own make it slower."""
    verdicts = detector.verdicts([(pair.question1, pair.question2) for pair in request.dataframe_records])
    columns = verdicts.columns()
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}
