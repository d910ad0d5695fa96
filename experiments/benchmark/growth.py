"""Growth: how time and peak memory of the way from a file to token ids grow with the pairs."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import linregress

from experiments.benchmark import fresh_process
from experiments.benchmark.pairs import write_file
from experiments.benchmark.preparing import MEBIBYTE
from experiments.benchmark.result import Line, Result
from siamese.evaluation.figures import DIFFERENT, DUPLICATE, NEUTRAL
from siamese.evaluation.timing import in_turn, spread


def measure(pairs: Sequence[int], vocabulary: int, repeats: int) -> Result:
    """Make a file of each size, and read, split and tokenise it in fresh processes.

    Args:
        pairs: the sizes, at least 2 of them.
        vocabulary: token ids.
        repeats: processes for each size.
    """
    if len(set(pairs)) < 2:
        raise ValueError(f"growth.pairs must list at least 2 sizes, got {list(pairs)}")
    found: dict[int, list[dict[str, float]]] = {size: [] for size in pairs}
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder) / f"{size}.tsv" for size in pairs}
        for size, file in files.items():
            write_file(file, size, vocabulary, seed=0)

        def seconds(size: int) -> float:
            arguments = {"file": str(files[size]), "vocabulary": vocabulary}
            found[size].append(fresh_process.call("experiments.benchmark.preparing:token_ids", **arguments))
            return found[size][-1]["seconds"]

        in_turn({str(size): partial(seconds, size) for size in pairs}, repeats, "growth")

    lines = [
        Line(
            f"{size} pairs",
            {
                "seconds": [each["seconds"] for each in found[size]],
                "microseconds a pair": [each["seconds"] / size * 1e6 for each in found[size]],
                "peak memory MiB": [each["peak_bytes"] / MEBIBYTE for each in found[size]],
                "token ids MiB": [each["token_bytes"] / MEBIBYTE for each in found[size]],
            },
        )
        for size in pairs
    ]
    time_line = linregress(pairs, [spread([each["seconds"] for each in found[size]]).median for size in pairs])
    token_bytes = [found[size][0]["token_bytes"] for size in pairs]
    memory_line = linregress(
        token_bytes, [spread([each["peak_bytes"] for each in found[size]]).median for size in pairs]
    )
    lines += [
        Line(
            "line of time",
            {
                "constant s": [time_line.intercept],
                "microseconds a pair": [time_line.slope * 1e6],
                "R squared": [time_line.rvalue**2],
            },
        ),
        Line(
            "line of memory",
            {
                "constant MiB": [memory_line.intercept / MEBIBYTE],
                "times the token ids": [memory_line.slope],
                "R squared": [memory_line.rvalue**2],
            },
        ),
    ]
    start = found[pairs[0]][0]["start_bytes"] / MEBIBYTE
    notes = [
        f"Time = {time_line.intercept:.2f} s + {time_line.slope * 1e6:.2f} µs a pair, R² {time_line.rvalue**2:.4f}.",
        f"Peak memory = {memory_line.intercept / MEBIBYTE:.0f} MiB + {memory_line.slope:.2f} times the bytes of the token "
        f"ids, R² {memory_line.rvalue**2:.4f}; the imports alone take {start:.0f} MiB.",
    ]
    return Result(lines, notes, {"growth": _draw(lines[: len(pairs)], pairs, time_line, memory_line)})


def _draw(lines: list[Line], pairs: Sequence[int], time_line: Any, memory_line: Any) -> Figure:
    """Time over the pairs, and peak memory over the size of the token ids, each with its line."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    medians = {name: np.array([spread(line.figures[name]).median for line in lines]) for name in lines[0].figures}
    ids = medians["token ids MiB"]
    left.plot(pairs, time_line.intercept + time_line.slope * np.array(pairs), color=NEUTRAL, linestyle=":")
    left.plot(pairs, medians["seconds"], "o", color=DUPLICATE)
    left.set(xlabel="pairs", ylabel="seconds", title=f"R² {time_line.rvalue**2:.4f}")
    right.plot(ids, memory_line.intercept / MEBIBYTE + memory_line.slope * ids, color=NEUTRAL, linestyle=":")
    right.plot(ids, medians["peak memory MiB"], "o", color=DIFFERENT)
    right.set(xlabel="token ids, MiB", ylabel="peak memory, MiB", title=f"R² {memory_line.rvalue**2:.4f}")
    return figure
