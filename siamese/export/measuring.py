"""Measurements of exported models: agreement with the network, size, speed, cost of smaller weights."""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from siamese.evaluation.timing import in_turn, ratios
from siamese.export import agreement, runners
from siamese.export.folder import size
from siamese.export.runners import Runner
from siamese.export.sample import Sample
from siamese.export.writing import Exported

TIMED, REPEATS = 512, 5  # questions or pairs that are timed, and repeats


def measure(
    exported: list[Exported], expected: dict[str, dict[str, np.ndarray]], sample: Sample, folder: Path
) -> dict[str, dict[str, Any]]:
    """The entries of export.json on each model, by file.

    Args:
        exported: the models; ONNX in float32 comes first for each part.
        expected: for each implementation of the network, the outputs of its parts for the sample.
        sample: the pairs to measure on.
        folder: of the models.

    Returns:
        part, precision; bytes; difference, from each implementation; of ONNX models speed, as a ratio to the part's
        first one; of whole networks roc_auc and, if their weights are smaller, roc_auc_lost. Errors as in `check`.
    """
    given = {each.file: runners.run(each.runner, sample.arguments(each.part), each.file) for each in exported}
    # the processor time of TensorFlow's own threads is not known here
    speed = _speeds([each for each in exported if each.file.endswith(".onnx")], sample)
    label = sample.pairs.duplicate
    models: dict[str, dict[str, Any]] = {}
    for each in exported:
        outputs = given[each.file]
        difference = {name: agreement.difference(outputs, parts[each.part]) for name, parts in expected.items()}
        agreement.check(each.file, difference, each.precision == "float32")
        models[each.file] = {"part": each.part, "precision": each.precision}
        models[each.file] |= {"bytes": size(folder / each.file), "difference": difference}
        if each.file in speed:
            models[each.file]["speed"] = speed[each.file]
        if each.part == "network":
            models[each.file]["roc_auc"] = agreement.roc_auc(label, outputs)
            if each.precision != "float32":
                lost = agreement.roc_auc_loss(label, given["network.onnx"], outputs)
                models[each.file]["roc_auc_lost"] = {name: getattr(lost, name) for name in ("value", "low", "high")}
    return models


def _speeds(models: list[Exported], sample: Sample) -> dict[str, float]:
    """The speed of each model relative to the first of the same part, in processor time, measured in turn."""
    arguments = {part: sample.arguments(part, TIMED) for part in runners.INPUTS}
    timed = {each.file: partial(_seconds, each.runner, arguments[each.part]) for each in models}
    seconds = in_turn(timed, REPEATS, "speed")
    first = {each.part: seconds[each.file] for each in reversed(models)}
    return {each.file: round(statistics.median(ratios(first[each.part], seconds[each.file])), 3) for each in models}


def _seconds(runner: Runner, arguments: list[list[np.ndarray]]) -> float:
    """Processor time of this thread for all batches."""
    started = time.thread_time()
    for each in arguments:
        runner(*each)
    return time.thread_time() - started
