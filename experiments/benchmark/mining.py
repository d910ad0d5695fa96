"""Mining: all near pairs of a collection, and how time and memory grow with it, beside what others do."""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import linregress

from experiments.benchmark import fresh_process
from experiments.benchmark.machine import memory, peak_memory
from experiments.benchmark.preparing import MEBIBYTE
from experiments.benchmark.result import Line, Result, by_quantity
from experiments.benchmark.search import embeddings
from siamese.evaluation.timing import in_turn, ratios, spread
from siamese.inference.threads import cores
from siamese.retrieval.mining import REACH
from siamese.retrieval.radius_pairs import pairs_within

SAMPLE = 500  # vectors whose distances to all give the radius
RIVALS = {  # and the package of each
    "faiss range_search": "faiss",
    "semhash": "semhash",
    "paraphrase_mining": "sentence_transformers",
}
QUERIES_AT_ONCE = 1_000  # of faiss, whose result is in memory

Ends = tuple[np.ndarray, np.ndarray]  # left and right of pairs, int64[pairs]


def measure(
    questions: Sequence[int], dimension: int, pairs_a_question: float, rivals_up_to: int, repeats: int
) -> Result:
    """Find the near pairs among each number of made embeddings, each time in a fresh process, and fit the growth."""
    questions = sorted(set(questions))
    if len(questions) < 2:
        raise ValueError(f"mining.questions must list at least 2 sizes, got {questions}")
    rivals = [way for way, package in RIVALS.items() if find_spec(package)]
    lines = []
    medians: dict[str, list[float]] = {"exact": [], "cells": []}
    with tempfile.TemporaryDirectory() as folder:
        for size in questions:
            file = str(Path(folder) / f"{size}.npy")
            vectors = embeddings(size, dimension, seed=0)
            np.save(file, vectors)
            ways = [*medians, *(rivals if size <= rivals_up_to else [])]
            find = partial(fresh_process.call, f"{__name__}:find", file=file, radius=_radius(vectors, pairs_a_question))
            found = in_turn({way: partial(find, way=way) for way in ways}, repeats, f"mining {size:,}")
            Path(file).unlink()
            of = {way: by_quantity(each) for way, each in found.items()}
            for way in ways:
                figures = {
                    "seconds": of[way]["seconds"],
                    "times as long as exact": ratios(of[way]["seconds"], of["exact"]["seconds"]),
                    "peak memory MiB": [peak / MEBIBYTE for peak in of[way]["peak_bytes"]],
                    "pairs": [of[way]["pairs"][0]],
                    "share of the pairs": [of[way]["pairs"][0] / of["exact"]["pairs"][0]],
                }
                lines.append(Line(f"{size} {way}", figures))
                if way in medians:
                    medians[way].append(spread(of[way]["seconds"]).median)
    for way, seconds in medians.items():
        lines.append(Line(f"growth of {way}", {"exponent": [linregress(np.log(questions), np.log(seconds)).slope]}))
    notes = [
        f"{dimension} dimensions, clustered, a radius with about {pairs_a_question:g} pairs a question; {cores()} threads.",
        f"cells: margins up to {REACH:g} of the radius, as mining does above exact_max_questions.",
        "faiss range_search: IndexFlatIP at the same radius; semhash: its own index, approximate, "
        "at the same radius; paraphrase_mining: sentence-transformers on the same "
        "embeddings with its own settings (the 100 nearest of each, 500,000 pairs at most), then cut at the radius.",
        "Memory: the most that the process held beyond what it held after its imports.",
    ]
    missing = [package for package in RIVALS.values() if not find_spec(package)]
    if missing:
        notes.append(f"Not installed, and so not measured: {', '.join(missing)}.")
    return Result(lines, notes)


def find(way: str, file: str, radius: float) -> dict[str, float]:
    """Seconds, peak memory and number of the pairs of vectors, in a file, within a radius."""
    ways: dict[str, Callable[[np.ndarray, float], Ends]] = {
        "exact": partial(_ours, reach=1.0),
        "cells": partial(_ours, reach=REACH),
        "faiss range_search": _faiss,
        "semhash": _semhash,
        "paraphrase_mining": _paraphrase_mining,
    }
    search = ways[way]
    warm = np.eye(8, dtype=np.float32)
    search(warm, radius)  # the imports
    before = memory()
    vectors = np.load(file)
    started = time.perf_counter()
    left, _ = search(vectors, radius)
    return {"seconds": time.perf_counter() - started, "peak_bytes": peak_memory() - before, "pairs": len(left)}


def _radius(vectors: np.ndarray, pairs_a_question: float) -> float:
    """A distance that about so many pairs for each vector, of length 1, do not exceed."""
    sample = vectors[:: max(1, len(vectors) // SAMPLE)]
    cosine = np.sort((sample @ vectors.T).ravel())[::-1]
    of_themselves = len(sample)
    return float(np.sqrt(2 - 2 * cosine[of_themselves + int(2 * pairs_a_question * len(sample))]))


def _ours(vectors: np.ndarray, radius: float, reach: float) -> Ends:
    def score(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.ones(len(left), np.float32)

    found = list(pairs_within(vectors, radius, score, 0.0, reach))
    return np.concatenate([some.left for some in found]), np.concatenate([some.right for some in found])


def _faiss(vectors: np.ndarray, radius: float) -> Ends:
    import faiss

    faiss.omp_set_num_threads(cores())
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    found: list[Ends] = []
    for start in range(0, len(vectors), QUERIES_AT_ONCE):
        limits, _, right = index.range_search(vectors[start : start + QUERIES_AT_ONCE], 1 - radius**2 / 2)
        left = np.repeat(np.arange(start, start + len(limits) - 1), np.diff(limits.astype(np.int64)))
        found.append((left[left < right], right[left < right]))
    return np.concatenate([left for left, _ in found]), np.concatenate([right for _, right in found])


def _semhash(vectors: np.ndarray, radius: float) -> Ends:
    """What its deduplication compares, before it decides which question of a pair stays."""
    from semhash import SemHash

    hashed = SemHash.from_embeddings(vectors, [str(row) for row in range(len(vectors))], model=None)
    near = hashed.index.query_threshold(vectors, threshold=1 - radius**2 / 2)
    left = np.repeat(np.arange(len(near)), [len(rows) for rows, _ in near])
    right = np.concatenate([rows for rows, _ in near]).astype(np.int64)
    return left[left < right], right[left < right]


def _paraphrase_mining(vectors: np.ndarray, radius: float) -> Ends:
    import torch
    from sentence_transformers.util import paraphrase_mining_embeddings

    torch.set_num_threads(cores())
    found = np.array(paraphrase_mining_embeddings(torch.from_numpy(vectors)), np.float64).reshape(-1, 3)
    found = found[found[:, 0] >= 1 - radius**2 / 2]
    return found[:, 1].astype(np.int64), found[:, 2].astype(np.int64)
