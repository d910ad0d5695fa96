"""Encoding: questions per second, text in and vector out, against all-MiniLM-L6-v2 and static vectors on the same texts.

Networks alone, ids in and vector out, are compared with ONNX Runtime.
"""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from experiments.benchmark import onnx_rival, static_rivals
from experiments.benchmark.pairs import read_or_make
from experiments.benchmark.result import Line, Result
from experiments.benchmark.towers import measured
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.timing import in_turn, ratios, seconds_of
from siamese.pretrained.encoders import find
from siamese.text.vectorizer import Vectorizer

UNCALIBRATED = Calibration(threshold=0.5, temperature=1.0, offset=0.0)
WARM_QUESTIONS = 200


def measure(
    towers: Sequence[str],
    pairs_file: str | None,
    questions: int,
    minilm_questions: int,
    single_questions: int,
    warm_questions: int,
    vocabulary: int,
    width: int,
    repeats: int,
) -> Result:
    """Encode questions with each tower, its weights random, and with each rival; in batches and one by one.

    Raises:
        ValueError: there are too few questions for those that are encoded one by one, of which none recurs.
    """
    if questions < warm_questions + repeats * single_questions:
        raise ValueError(
            f"encoding.questions must be at least warm_questions + repeats * single_questions, "
            f"{warm_questions + repeats * single_questions}, got {questions}"
        )
    chosen = [measured(name) for name in towers]
    every = list(read_or_make(pairs_file, 2 * questions, vocabulary, seed=0).questions)
    texts = [every[i] for i in np.random.default_rng(0).permutation(len(every))[:questions]]
    vectorizer = Vectorizer.fit(every, vocabulary_size=vocabulary, min_frequency=1, oov_buckets=0)
    encoders: dict[str, Callable[[Sequence[str]], np.ndarray]] = {
        name: Detector.from_network(tower.network(vocabulary, width, 0), vectorizer, UNCALIBRATED).encode
        for name, tower in zip(towers, chosen, strict=True)
    }
    notes = [
        f"{len(texts):,} {'made' if pairs_file is None else pairs_file} questions in batches, {single_questions:,} "
        f"one by one; {vectorizer.encode(texts).lengths.mean():.1f} tokens each."
    ]
    static, static_notes = static_rivals.rivals(texts, vectorizer.tokenizer)
    encoders |= static
    notes += static_notes
    batches = {name: _per_second(encode, texts) for name, encode in encoders.items()}
    minilm, some = find("minilm"), texts[:minilm_questions]
    minilm.encode(some[:WARM_QUESTIONS])
    batches["MiniLM"], encoders["MiniLM"] = _per_second(minilm.encode, some), minilm.encode
    notes.append(f"MiniLM: int8 on ONNX Runtime, the first {len(some):,} of these texts, in batches of equal length.")

    rates = in_turn(batches, repeats, "encoding in batches")
    latencies = in_turn(
        {
            name: _latency(encode, texts, WARM_QUESTIONS if name == "MiniLM" else warm_questions, single_questions)
            for name, encode in encoders.items()
        },
        repeats,
        "encoding one by one",
    )
    medians, ends = ({name: [each[at] for each in found] for name, found in latencies.items()} for at in (0, 1))
    lines = []
    for name in encoders:
        figures = {"questions per second": rates[name]}
        if name != "MiniLM":
            figures["times MiniLM"] = ratios(rates[name], rates["MiniLM"])
        if name in towers and "model2vec" in rates:
            figures["times model2vec"] = ratios(rates[name], rates["model2vec"])
        figures |= {"one question ms": medians[name], "one question 99th percentile ms": ends[name]}
        if name != "MiniLM":
            figures["times MiniLM one by one"] = ratios(medians["MiniLM"], medians[name])
        if name in towers and "model2vec" in rates:
            figures["times model2vec one by one"] = ratios(medians["model2vec"], medians[name])
        lines.append(Line(name, figures))
    onnx_lines, onnx_notes = onnx_rival.measure(
        vectorizer.encode(texts), vectorizer.size, warm_questions, single_questions, repeats
    )
    return Result(lines + onnx_lines, notes + onnx_notes)


def _per_second(encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str]) -> Callable[[], float]:
    """Encodes all texts; gives texts per second. Warm from the start."""
    encode(texts)
    return lambda: len(texts) / seconds_of(lambda: encode(texts))


def _latency(
    encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str], warm: int, count: int
) -> Callable[[], tuple[float, float]]:
    """Median and 99th percentile of the milliseconds that a text takes alone; each call takes the next `count` texts.

    The encoder is warm from others, for what it keeps of a text may not make the same text fast.
    """
    for text in texts[:warm]:
        encode([text])
    starts = iter(range(warm, len(texts), count))

    def measure_next() -> tuple[float, float]:
        start = next(starts)
        each = [1e3 * seconds_of(partial(encode, [text])) for text in texts[start : start + count]]
        median, end = np.percentile(each, [50, 99])
        return float(median), float(end)

    return measure_next
