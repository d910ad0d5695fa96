"""The first training step of a fresh process, and a small detector saved by one."""

import time
from pathlib import Path

from experiments.benchmark.pairs import read_or_make
from siamese.text.vectorizer import Vectorizer

PAIRS = 2_048
BATCH = 256  # one step is then an epoch


def measure(tower: str, vocabulary: int, width: int) -> dict[str, float]:
    """Seconds to import TensorFlow, to build the network, and of the first (which compiles it) and the second step."""
    pairs = read_or_make(None, BATCH, vocabulary, seed=0)
    token_ids = Vectorizer.fit(pairs.questions, vocabulary_size=vocabulary, oov_buckets=0).encode(pairs.questions)

    started = time.perf_counter()
    import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
    from experiments.benchmark.towers import measured, training

    imported = time.perf_counter()
    network = measured(tower).network(vocabulary, width, seed=0)
    built = time.perf_counter()
    steps = training(network, pairs, token_ids)
    next(steps)
    stepped = time.perf_counter()
    return {
        "imports s": imported - started,
        "building s": built - imported,
        "first step s": stepped - built,
        "second step s": next(steps).seconds,
        "in all s": stepped - started,
    }


def save_detector(folder: str, tower: str, vocabulary: int, width: int) -> None:
    """A detector with random weights, as training leaves one."""
    import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
    from experiments.benchmark.towers import measured
    from siamese.detector import Detector
    from siamese.evaluation.calibration import Calibration

    pairs = read_or_make(None, PAIRS, vocabulary, seed=0)
    vectorizer = Vectorizer.fit(pairs.questions, vocabulary_size=vocabulary, min_frequency=1)
    network = measured(tower).network(vectorizer.size, width, seed=0)
    Detector.from_network(network, vectorizer, Calibration(0.5, 1.0, 0.0)).save(Path(folder))
