"""The first training step of a fresh process, and a small detector saved by one."""

import time
from pathlib import Path

import numpy as np

from experiments.benchmark.pairs import read_or_make
from siamese.text.vectorizer import Vectorizer
from siamese.training.batches import PairBatches

PAIRS = 2_048
BATCH = 256


def measure(tower: str, vocabulary: int, width: int) -> dict[str, float]:
    """Seconds to import TensorFlow, to build network and step, and of the first and the second step."""
    pairs = read_or_make(None, PAIRS, vocabulary, seed=0)
    token_ids = Vectorizer.fit(pairs.questions, vocabulary_size=vocabulary, oov_buckets=0).encode(pairs.questions)
    group, weight = np.zeros(len(pairs.questions), np.int32), np.ones(len(pairs), np.float32)
    first, second, *_ = PairBatches(pairs, token_ids, group, weight, BATCH, seed=0).epoch(1)

    times = [time.perf_counter()]
    import siamese.model.quiet_tensorflow  # isort: skip  # noqa: F401
    from experiments.benchmark.towers import measured
    from siamese.model.losses import BinaryCrossentropy
    from siamese.training.loop import training_step
    from siamese.training.optimizers import adam, constant

    times.append(time.perf_counter())
    network = measured(tower).network(vocabulary, width, seed=0)
    optimizer = adam(lambda peak, steps: constant(peak, steps, 0.0), 1, 0.001)
    step = training_step(network, BinaryCrossentropy(), optimizer, 0.0)
    times.append(time.perf_counter())
    for batch in (first, second):
        float(step(batch))
        times.append(time.perf_counter())
    imports, building, first_step, second_step = np.diff(times).tolist()
    return {
        "imports s": imports,
        "building s": building,
        "first step s": first_step,
        "second step s": second_step,
        "in all s": imports + building + first_step,
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
