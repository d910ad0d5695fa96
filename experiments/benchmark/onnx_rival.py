"""The NumPy network against ONNX Runtime on this project's ONNX files, from token ids to vectors."""

import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from experiments.benchmark.fresh_process import environment
from experiments.benchmark.result import Line
from siamese.evaluation.timing import in_turn, ratios, seconds_of
from siamese.inference.from_keras import numpy_network
from siamese.inference.network import NumpyNetwork
from siamese.inference.threads import cores
from siamese.model import towers
from siamese.model.network import siamese_network, word_embedding
from siamese.model.similarity import Cosine
from siamese.text.inputs import TokenIds
from siamese.text.word_vectors import random

RECIPES = {  # the towers of Quora's recipes: width of the word vectors, tower
    "dense": (300, partial(towers.dense, units=[300, 300], normalization="layer", pooling=["mean", "max"])),
    "conv1d": (300, partial(towers.conv1d, filters=[200], kernel_sizes=[1, 2, 3], pooling=["max"])),
    "bilstm": (200, partial(towers.bilstm, units=[128], pooling=["max"])),
    "attention": (300, partial(towers.attention, units=[256], heads=8, pooling=["mean"])),
}
BATCHES = (32, 64, 128)  # of questions of about one length, for ONNX Runtime; the best counts
OURS = """
import sys; from pathlib import Path; import numpy as np
from siamese.inference.network import NumpyNetwork; from siamese.text.inputs import TokenIds
ids = np.array([3, 4, 5, 6], np.int32)
NumpyNetwork.load(Path(sys.argv[1])).encode(TokenIds(ids, np.array([0, 4])))
"""
THEIRS = """
import sys; import numpy as np; import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/tower.onnx", providers=["CPUExecutionProvider"])
session.run(None, {"questions": np.array([[3, 4, 5, 6]], np.int32)})
"""


def measure(
    token_ids: TokenIds, vocabulary: int, warm: int, singles: int, repeats: int
) -> tuple[list[Line], list[str]]:
    """A line for each tower, its weights random, and notes on how to read them.

    Args:
        token_ids: of distinct questions; each repeat asks for `singles` of them that were not asked for one by one before.
        vocabulary: number of token ids.
        warm: questions that are asked one by one before.
        singles: questions of a repeat.
        repeats: of each figure.
    """
    try:
        import onnxruntime  # noqa: F401

        from siamese.export.onnx_models import tower_model
    except ImportError as problem:
        return [], [f"ONNX Runtime is left out: {problem}; pip install siamese[export]."]
    lines = []
    for name, (width, tower) in RECIPES.items():
        words = word_embedding(random([], vocabulary, 0, width).matrix, True)
        network = numpy_network(siamese_network(tower(words), Cosine()))
        with tempfile.TemporaryDirectory() as folder:
            network.save(Path(folder))
            (Path(folder) / "tower.onnx").write_bytes(tower_model(network).SerializeToString())
            lines.append(
                Line(f"{name}, ids to vectors", _figures(network, Path(folder), token_ids, warm, singles, repeats))
            )
    return lines, [
        f"Ids to vectors: Quora's recipes on {cores()} threads, ONNX Runtime's batches sorted by length, the best of "
        f"{', '.join(map(str, BATCHES))}; one by one the best of its 1 and {cores()} threads. One by one NumPy keeps what "
        f"layers compute of frequent words; {warm:,} questions came before, and those measured were not among them.",
        "Cold: a new process that imports, loads the tower and embeds a question.",
    ]


def _figures(
    network: NumpyNetwork, folder: Path, token_ids: TokenIds, warm: int, singles: int, repeats: int
) -> dict[str, list[float]]:
    run = {threads: _session(folder / "tower.onnx", threads) for threads in (1, cores())}
    order = np.argsort(token_ids.lengths, kind="stable")

    def in_batches(size: int) -> None:
        for start in range(0, len(order), size):
            run[cores()](token_ids.padded(order[start : start + size]))

    def per_second(answer: Callable[[], object]) -> float:
        return len(order) / seconds_of(answer)

    network.encode(token_ids)
    batches = {"ours": partial(per_second, partial(network.encode, token_ids))}
    batches |= {str(size): partial(per_second, partial(in_batches, size)) for size in BATCHES}
    rates = in_turn(batches, repeats, "ids to vectors in batches")

    each = [token_ids.take(np.array([row])) for row in range(warm + singles * repeats)]
    for one in each[:warm]:
        network.encode(one)
    fresh = {who: iter(range(warm, len(each), singles)) for who in ("ours", *map(str, run))}

    def one_by_one(who: str, answer: Callable) -> float:
        start = next(fresh[who])
        asked = each[start : start + singles]
        given = asked if who == "ours" else [one.padded(np.arange(1)) for one in asked]
        return 1e3 * float(np.median([seconds_of(partial(answer, one)) for one in given]))

    answers: dict[str, Callable] = {"ours": network.encode}
    answers |= {str(threads): answer for threads, answer in run.items()}
    latencies = in_turn({who: partial(one_by_one, who, answers[who]) for who in answers}, repeats, "one by one")

    def cold(program: str) -> float:
        command = [sys.executable, "-c", program, str(folder)]
        return seconds_of(partial(subprocess.run, command, env=environment(), check=True))

    starting = {"ours": partial(cold, OURS), "theirs": partial(cold, THEIRS), "numpy": partial(cold, "import numpy")}
    for start in starting.values():
        start()  # brings the files into memory: cold is the process, not the disk
    starts = in_turn(starting, repeats, "cold")
    best_rate = [max(figures) for figures in zip(*(rates[str(size)] for size in BATCHES), strict=True)]
    best_latency = [min(figures) for figures in zip(*(latencies[str(threads)] for threads in run), strict=True)]
    return {
        "questions per second": rates["ours"],
        "times ONNX Runtime": ratios(rates["ours"], best_rate),
        "one question ms": latencies["ours"],
        "times ONNX Runtime one by one": ratios(best_latency, latencies["ours"]),
        "cold start s": starts["ours"],
        "import numpy s": starts["numpy"],
        "times ONNX Runtime cold": ratios(starts["theirs"], starts["ours"]),
    }


def _session(model: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda questions: session.run(None, {"questions": questions})[0]
