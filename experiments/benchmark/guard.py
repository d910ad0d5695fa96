"""Guard: did anything become slower than the figures of the repository say? Under three minutes (`make benchmark-quick`).

What counts is processor time on one core, which other programs change little, over the processor time of a yardstick that was
measured in the same turn: a matrix product for what computes, Python's own loop for what reads text. So the ratios of two
machines are near each other, though only those of one processor and one kernel of OpenBLAS are judged. Counts of instructions
would be steadier, but virtual machines have none.
"""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark import machine, search
from experiments.benchmark.encoding import UNCALIBRATED
from experiments.benchmark.pairs import read_or_make, write_file
from experiments.benchmark.result import Line, Result
from experiments.benchmark.towers import measured, training
from siamese.data.sources import pair_file
from siamese.detector import Detector
from siamese.evaluation.timing import in_turn, ratios, spread
from siamese.retrieval.exact_search import exact_top
from siamese.text.vectorizer import Vectorizer

TOWERS = ("dense_max", "conv1d", "bilstm_128")
VOCABULARY, WIDTH, PAIRS = 30_000, 300, 4_096
VECTORS, DIMENSION, QUERIES = 20_000, 128, 200
SINGLES = 200  # questions encoded one by one
COMPUTES, READS = "a matrix product", "a loop of Python"
LEAST = 0.25  # of the reference, that a ratio may be above it in any case: the alignment of code alone makes a tenth
TIMES_THE_NOISE = 3.0
SPEED = ("machine.processor", "machine.openblas_coretype")  # of the yardstick, which must be that of the reference


@dataclass(frozen=True)
class Verdict:
    """A ratio against its reference."""

    name: str
    ratio: float
    reference: float
    allowed: float  # what the ratio may be

    @property
    def is_slower(self) -> bool:
        """Whether it is above what is allowed."""
        return self.ratio > self.allowed


def verdict(name: str, found: Sequence[float], reference: float) -> Verdict:
    """The median of some repeats against a reference; how far it may be above depends on how much the repeats differ.

    >>> verdict("a", [1.2, 1.2, 1.2], 1.0).is_slower, verdict("a", [1.3, 1.3, 1.3], 1.0).is_slower
    (False, True)
    >>> verdict("noisy", [0.9, 1.3, 1.7], 1.0).is_slower, verdict("one is slow", [1.3, 1.3, 9.0, 1.3, 1.3], 1.0).is_slower
    (False, True)
    """
    low, median, high = np.quantile(found, [0.25, 0.5, 0.75]).tolist()  # a single slow repeat says nothing of the noise
    noise = (high - low) / 2 / median
    return Verdict(name, median, reference, reference * (1 + max(LEAST, TIMES_THE_NOISE * noise)))


def run(repeats: int, reference: Path, update: bool) -> tuple[Result, list[Verdict]]:
    """Measure everything, and judge it by the figures of a file, or write them.

    Raises:
        ValueError: the file holds no figures, and is not to be written.
    """
    known = _read(reference)
    if not known and not update:
        raise ValueError(f"{reference} holds no figures; update=true writes those of this machine")
    with tempfile.TemporaryDirectory() as folder:
        found = _ratios(Path(folder), repeats)
    if update:
        medians = {name: round(spread(each).median, 4) for name, each in found.items()}
        reference.write_text(
            json.dumps({"machine": machine.description(), "ratios": medians}, indent=1) + "\n", "utf-8"
        )
        return _result(found, {}, "written"), []
    here = machine.description()
    same = all(known["machine"].get(each) == here[each] for each in SPEED)
    verdicts = [verdict(name, each, known["ratios"][name]) for name, each in found.items() if name in known["ratios"]]
    note = (
        "the processor of the reference"
        if same
        else "another processor or OPENBLAS_CORETYPE than that of the reference: nothing is judged"
    )
    return _result(found, {each.name: each for each in verdicts}, note), verdicts if same else []


def _read(reference: Path) -> dict[str, Any]:
    return json.loads(reference.read_text("utf-8")) if reference.is_file() else {}


def _result(found: dict[str, list[float]], verdicts: dict[str, Verdict], note: str) -> Result:
    lines = []
    for name, each in found.items():
        figures: dict[str, Sequence[float]] = {"over the yardstick": each}
        if name in verdicts:
            figures |= {"reference": [verdicts[name].reference], "allowed": [verdicts[name].allowed]}
        lines.append(Line(name, figures))
    return Result(lines, [note])


def _ratios(folder: Path, repeats: int) -> dict[str, list[float]]:
    """Processor time of each piece of work over that of its yardstick, for each repeat."""
    work = _work(folder)
    contestants = {COMPUTES: _matrix_product(), READS: _loop} | {name: each for name, (each, _) in work.items()}
    for each in contestants.values():
        each()  # warm
    seconds = in_turn({name: partial(_processor_seconds, each) for name, each in contestants.items()}, repeats, "guard")
    return {name: ratios(seconds[name], seconds[yardstick]) for name, (_, yardstick) in work.items()}


def _processor_seconds(action: Callable[[], object]) -> float:
    """Processor time of all threads of this process during a call."""
    started = time.process_time()
    action()
    return time.process_time() - started


def _matrix_product() -> Callable[[], object]:
    square = np.random.default_rng(0).standard_normal((1_500, 1_500), np.float32)
    return lambda: [square @ square for _ in range(4)]


def _loop() -> object:
    return sum(math.isqrt(each) for each in range(1_500_000))


def _work(folder: Path) -> dict[str, tuple[Callable[[], object], str]]:
    """The pieces of work, each with its yardstick."""
    pairs = read_or_make(None, PAIRS, VOCABULARY, seed=0)
    texts = list(pairs.questions)
    vectorizer = Vectorizer.fit(texts, vocabulary_size=VOCABULARY, min_frequency=1, oov_buckets=0)
    token_ids = vectorizer.encode(texts)
    file = folder / "pairs.tsv"
    write_file(file, 20_000, VOCABULARY, seed=0)
    vectors = search.embeddings(VECTORS + QUERIES, DIMENSION, seed=0)
    stored, asked = vectors[:-QUERIES], vectors[-QUERIES:]
    work: dict[str, tuple[Callable[[], object], str]] = {
        "read and split 20,000 pairs": (partial(pair_file, str(file)), READS),
        "vocabulary and token ids": (partial(_tokenize, texts), READS),
        f"{QUERIES} exact searches": (lambda: exact_top(asked, stored, 10), COMPUTES),
    }
    for name in TOWERS:
        network = measured(name).network(VOCABULARY, WIDTH, 0)
        detector = Detector.from_network(network, vectorizer, UNCALIBRATED)
        work[f"train {name}"] = (partial(next, training(network, pairs, token_ids)), COMPUTES)
        work[f"encode with {name}"] = (partial(detector.encode, texts), COMPUTES)
        work[f"{SINGLES} single questions with {name}"] = (partial(_one_by_one, detector, texts[:SINGLES]), READS)
    return work


def _tokenize(texts: Sequence[str]) -> object:
    return Vectorizer.fit(texts, vocabulary_size=VOCABULARY, min_frequency=1, oov_buckets=0).encode(texts)


def _one_by_one(detector: Detector, texts: Sequence[str]) -> None:
    for text in texts:
        detector.encode([text])
