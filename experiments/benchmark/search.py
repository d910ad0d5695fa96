"""Search: the nearest among many vectors, exactly and by the index, against reading the vectors once."""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from experiments.benchmark import fresh_process
from experiments.benchmark.machine import memory, peak_memory
from experiments.benchmark.result import Line, Result
from siamese.evaluation.timing import in_turn, ratios, seconds_of
from siamese.inference.threads import cores
from siamese.retrieval.approximate_index import ApproximateIndex
from siamese.retrieval.exact_search import exact_top, normalized

TOPICS = 500
QUESTIONS_PER_INTENT = 50  # on average: some intents are asked often, most seldom
HAS_INDEX = find_spec("faiss") is not None
FLAT = ("IndexFlatIP", "IndexFlatL2")
SINGLE_QUERIES = 20  # in one measurement of the latency


def measure(vectors: Sequence[int], dimension: int, nearest: int, queries: int, repeats: int) -> Result:
    """Search among each number of vectors, each in processes of its own."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for count in vectors:
            file = str(Path(folder) / f"{count}.npy")
            np.save(file, embeddings(count + queries, dimension, seed=0))
            arguments = {"file": file, "nearest": nearest, "queries": queries}
            found = fresh_process.call(f"{__name__}:latency", **arguments, repeats=repeats)
            found["exact"] |= fresh_process.call(f"{__name__}:exact_memory", **arguments)
            lines += [Line(f"{count} vectors {way}", figures) for way, figures in found.items()]
            Path(file).unlink()
    notes = [
        f"{dimension} dimensions, clustered; the {nearest} nearest, {queries:,} queries in a batch; queries one by one: "
        f"the median of {SINGLE_QUERIES}.",
        f"IndexFlatIP and IndexFlatL2: the exact searches of faiss with {cores()} threads on the same vectors, of length "
        "1; both find the same similarities up to rounding. Times: how often as fast ours is.",
        f"Reading once: the fastest of several reductions of the array by {cores()} threads.",
        "Memory: the most that the process held, the vectors included, over the bytes of the vectors; of the index, its "
        "own without the vectors that it was built from.",
    ]
    if not HAS_INDEX:
        notes.append("No figures of faiss and the index: faiss is not installed. pip install faiss-cpu")
    return Result(lines, notes)


def embeddings(count: int, dimension: int, seed: int) -> np.ndarray:
    """Vectors of length 1, `float32[count, dimension]`, distributed as embeddings are.

    Questions lie around intents, some near and some far, and intents around topics; some intents are frequent, and the
    dimensions differ in variance.
    """
    generator = np.random.default_rng(seed)
    scale = (np.arange(1, dimension + 1) ** -0.3).astype(np.float32)

    def normal(number: int) -> np.ndarray:
        return generator.standard_normal((number, dimension), np.float32) * scale

    intents = max(1, count // QUESTIONS_PER_INTENT)
    intent = 0.7 * normal(TOPICS)[generator.integers(TOPICS, size=intents)] + 0.7 * normal(intents)
    asked = np.arange(1, intents + 1) ** -0.5
    vectors = intent[generator.choice(intents, count, p=asked / asked.sum())]
    vectors += generator.lognormal(-0.6, 0.4, (count, 1)).astype(np.float32) * normal(count)
    return normalized(vectors)


def latency(file: str, nearest: int, queries: int, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Latency, throughput, recall and memory of exact search, of the index and of one reading, by quantity."""
    vectors, asked = _load(file, queries)
    singles = np.split(asked[:SINGLE_QUERIES], min(SINGLE_QUERIES, len(asked)))

    def one_by_one(search: Callable[[np.ndarray, int], object]) -> Callable[[], float]:
        def median() -> float:
            return float(np.median([seconds_of(partial(search, one, nearest)) for one in singles]))

        median()
        return median

    def exact(some: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return exact_top(some, vectors, k)

    def figures(way: str) -> dict[str, list[float]]:
        return {
            "one query ms": _milliseconds(times[way]),
            "over reading once": ratios(times[way], times["read"]),
            "batch queries per second": [len(asked) / each for each in times[f"{way} batch"]],
        }

    contestants: dict[str, Callable[[], float]] = {
        "exact": one_by_one(exact),
        "read": _fastest_reading(vectors),
        "exact batch": lambda: seconds_of(lambda: exact(asked, nearest)),
    }
    if HAS_INDEX:
        for metric in FLAT:
            flat = _flat(vectors, metric)
            _require_same(exact(asked, nearest), flat(asked, nearest))
            contestants[metric] = one_by_one(flat)
            contestants[f"{metric} batch"] = partial(lambda flat: seconds_of(lambda: flat(asked, nearest)), flat)
        started = time.perf_counter()
        index = ApproximateIndex.build(vectors)
        building = time.perf_counter() - started
        true, found = exact(asked, nearest)[1], index.search(asked, nearest)[1]
        recall = float(np.mean([len(set(some) & set(best)) for some, best in zip(found, true, strict=True)])) / nearest
        contestants["index"] = one_by_one(index.search)
        contestants["index batch"] = lambda: seconds_of(lambda: index.search(asked, nearest))
    times = in_turn(contestants, repeats, f"search among {len(vectors):,}")
    lines = {"exact": figures("exact"), "reading once": {"one query ms": _milliseconds(times["read"])}}
    if HAS_INDEX:
        own = {"memory over vectors": [index.memory / vectors.nbytes], "recall": [recall], "building s": [building]}
        for metric in FLAT:
            lines["exact"] |= {
                f"times {metric}": ratios(times[metric], times["exact"]),
                f"batch times {metric}": ratios(times[f"{metric} batch"], times["exact batch"]),
            }
            lines[f"faiss {metric}"] = figures(metric)
        lines["index"] = figures("index") | own
    return lines


def _flat(vectors: np.ndarray, metric: str) -> Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]:
    """The exact search of faiss with as many threads as ours, which gives inner products."""
    import faiss

    faiss.omp_set_num_threads(cores())
    index = getattr(faiss, metric)(vectors.shape[1])
    index.add(vectors)
    if metric == "IndexFlatIP":
        return index.search

    def search(some: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        squared_distance, row = index.search(some, k)
        return 1 - squared_distance / 2, row  # of vectors of length 1

    return search


def _require_same(ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]) -> None:
    """Raise ValueError unless both found the same similarities, up to rounding; equal ones may come in another order."""
    apart = np.abs(ours[0] - theirs[0]).max()
    if apart > 1e-5:
        raise ValueError(f"our exact search and that of faiss differ by {apart:.3g}; one of them is wrong")


def exact_memory(file: str, nearest: int, queries: int) -> dict[str, list[float]]:
    """Peak memory of exact search for one query and for a batch, over the bytes of the vectors."""
    unit = np.eye(nearest, dtype=np.float32)
    exact_top(unit, unit, nearest)  # the memory that libraries take once
    before = memory()
    vectors, asked = _load(file, queries)
    exact_top(asked[:1], vectors, nearest)
    single = peak_memory()
    exact_top(asked, vectors, nearest)
    return {
        "memory over vectors": [(single - before) / vectors.nbytes],
        "batch memory over vectors": [(peak_memory() - before) / vectors.nbytes],
    }


def _load(file: str, queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and queries, read into memory; the queries are the last rows of the file."""
    rows = np.load(file)
    return rows[:-queries], rows[-queries:].copy()


def _fastest_reading(vectors: np.ndarray) -> Callable[[], float]:
    """Seconds to read every byte once, each core its share, in the way that is fastest here."""
    shares = np.array_split(vectors.reshape(-1), cores())
    pool = ThreadPoolExecutor(cores())
    ways: list[Callable[[np.ndarray], object]] = [
        lambda share: share.view(np.int32).max(),
        lambda share: np.bitwise_or.reduce(share.view(np.int32)),
        lambda share: share @ share,
    ]

    def read(way: Callable[[np.ndarray], object]) -> float:
        return float(np.median([seconds_of(lambda: list(pool.map(way, shares))) for _ in range(SINGLE_QUERIES)]))

    fastest = min(ways, key=read)
    return lambda: read(fastest)


def _milliseconds(seconds: Sequence[float]) -> list[float]:
    return [each * 1e3 for each in seconds]
