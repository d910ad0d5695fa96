"""Runners: exported models as functions of token ids, or of an encoder's vectors.

A runner takes `int32[batch, length]`, or `float32[batch, width]`, once (a tower) or twice (a network; lengths may differ) and
returns `float32[batch, dimension]` or `float32[batch]`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from siamese.text.inputs import Inputs

INPUTS = {"tower": ("questions",), "network": ("left", "right")}
OUTPUT = {"tower": "embedding", "network": "similarity"}
BATCH = 64

Runner = Callable[..., np.ndarray]


def onnx_runner(model: Path | bytes) -> Runner:
    """An ONNX model of this project, a file or its content, that runs on the calling thread.

    So the processor time of the thread is that of the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda *questions: session.run(None, dict(zip(names, questions, strict=True)))[0]


def batches(token_ids: Inputs, *rows: np.ndarray) -> list[list[np.ndarray]]:
    """The arguments of a runner, batch by batch, each padded to its longest question.

    `rows` are `int[n]` positions of questions: once for a tower, left and right for a network.
    """
    starts = range(0, len(rows[0]), BATCH)
    return [[token_ids.padded(each[start : start + BATCH]) for each in rows] for start in starts]


def run(runner: Runner, arguments: list[list[np.ndarray]], title: str = "") -> np.ndarray:
    """The outputs of a runner for all batches, with a progress bar if stderr is a terminal."""
    shown = tqdm(arguments, desc=title, unit="batch", leave=False, disable=not sys.stderr.isatty())
    return np.concatenate([runner(*each) for each in shown])
