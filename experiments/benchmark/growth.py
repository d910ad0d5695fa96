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
from experiments.benchmark.result import Line, Result, by_quantity
from siamese.evaluation.figures import DIFFERENT, DUPLICATE, NEUTRAL
from siamese.evaluation.timing import in_turn, spread


def measure(pairs: Sequence[int], vocabulary: int, repeats: int) -> Result:
    """Make a file of each size, read, split and tokenize it in fresh processes, and fit lines to time and memory."""
    pairs = sorted(set(pairs))
    if len(pairs) < 2:
        raise ValueError(f"growth.pairs must list at least 2 sizes, got {pairs}")
    with tempfile.TemporaryDirectory() as folder:
        contestants: dict[str, partial] = {}
        for size in pairs:
            file = Path(folder) / f"{size}.tsv"
            write_file(file, size, vocabulary, seed=0)
            prepare = partial(fresh_process.call, "experiments.benchmark.preparing:token_ids", vocabulary=vocabulary)
            contestants[str(size)] = partial(prepare, file=str(file))
        found = in_turn(contestants, repeats, "growth")

    lines = []
    for size, stages in zip(pairs, map(by_quantity, found.values()), strict=True):
        figures = {
            "seconds": stages["seconds"],
            "microseconds a pair": [seconds / size * 1e6 for seconds in stages["seconds"]],
            "peak memory MiB": [peak / MEBIBYTE for peak in stages["peak_bytes"]],
            "token ids MiB": [tokens / MEBIBYTE for tokens in stages["token_bytes"]],
        }
        lines.append(Line(f"{size} pairs", figures))
    medians = {name: [spread(line.figures[name]).median for line in lines] for name in lines[0].figures}
    time = linregress(pairs, medians["seconds"])
    memory = linregress(medians["token ids MiB"], medians["peak memory MiB"])
    drawing = _draw(medians, pairs, time, memory)
    of_time = {"constant s": time.intercept, "microseconds a pair": time.slope * 1e6, "R squared": time.rvalue**2}
    of_memory = {"constant MiB": memory.intercept, "times the token ids": memory.slope, "R squared": memory.rvalue**2}
    lines.append(Line("line of time", by_quantity([of_time])))
    lines.append(Line("line of memory", by_quantity([of_memory])))
    start = found[str(pairs[0])][0]["start_bytes"] / MEBIBYTE
    notes = [
        f"Time = {time.intercept:.2f} s + {time.slope * 1e6:.2f} µs a pair, R² {time.rvalue**2:.4f}.",
        f"Peak memory = {memory.intercept:.0f} MiB + {memory.slope:.2f} times the bytes of the token ids, "
        f"R² {memory.rvalue**2:.4f}; the imports alone take {start:.0f} MiB.",
    ]
    return Result(lines, notes, {"growth": drawing})


def _draw(medians: dict[str, list[float]], pairs: Sequence[int], time: Any, memory: Any) -> Figure:
    """Time over the pairs, and peak memory over the size of the token ids, each with its line."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    ids = medians["token ids MiB"]
    left.plot(pairs, time.intercept + time.slope * np.array(pairs), color=NEUTRAL, linestyle=":")
    left.plot(pairs, medians["seconds"], "o", color=DUPLICATE)
    left.set(xlabel="pairs", ylabel="seconds", title=f"R² {time.rvalue**2:.4f}")
    right.plot(ids, memory.intercept + memory.slope * np.array(ids), color=NEUTRAL, linestyle=":")
    right.plot(ids, medians["peak memory MiB"], "o", color=DIFFERENT)
    right.set(xlabel="token ids, MiB", ylabel="peak memory, MiB", title=f"R² {memory.rvalue**2:.4f}")
    return figure
