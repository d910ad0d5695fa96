"""Ray workers: on a local cluster of two, of which one is killed, the same pairs and vectors as in one process, each once."""

import csv
import importlib.util
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from siamese.commands import encode, mine
from siamese.commands.arguments import command_line
from siamese.detector import Detector
from siamese.inference.chosen_workers import workers_at
from siamese.inference.network import NumpyNetwork
from siamese.inference.workers import THIS_PROCESS, Workers
from siamese.pretrained import cache
from siamese.pretrained.hugging_face import from_folder
from siamese.retrieval.finished_blocks import FinishedBlocks
from siamese.retrieval.mining import DistinctTexts, duplicates
from tests.encoders import write_encoder
from tests.killed_workers import KilledWorkers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="Ray is optional: conf/hydra/launcher/ray_cluster.yaml says how to install it",
    ),
]
FIXTURE = "tests/fixtures/detector_format_5"
TEXTS, WIDTH = 24_000, 24  # enough for cells
WORDS = ("how", "do", "i", "pay", "my", "bill", "card", "lost", "rice", "cook", "where")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of two workers."""
    import ray

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", folder)  # where Ray keeps a token
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=2**28,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=folder,  # a socket's path must be short
        )
        yield
        ray.shutdown()


@pytest.fixture
def workers(cluster) -> Iterator[Workers]:
    with workers_at("auto", 1) as found:
        yield found


@pytest.fixture
def killed(workers, tmp_path) -> KilledWorkers:
    (tmp_path / "attempts").mkdir()
    return KilledWorkers(workers, tmp_path / "attempts")


def numbers(start: int):
    return lambda item: (np.array(start + item),)


def refuse():
    def block(item):
        raise ValueError(f"no block {item}")

    return block


def test_blocks_come_in_order_and_one_whose_worker_died_is_computed_again(killed):
    found = [int(number) for [number] in killed.map(partial(numbers, 100), range(30))]
    assert found == list(range(100, 130))
    assert killed.attempts(1) == sorted([*range(30), 1])


def test_a_search_that_stops_early_leaves_no_block_behind(workers):
    found = workers.map(partial(numbers, 0), range(1_000))
    assert int(next(found)[0]) == 0
    found.close()
    assert [int(number) for [number] in workers.map(partial(numbers, 5), [1])] == [6]


def test_an_error_of_a_block_is_raised_here(workers):
    with pytest.raises(ValueError, match=r"^no block 7$"):
        list(workers.map(refuse, [7]))


def test_more_cores_than_a_machine_has_are_refused(cluster):
    message = "worker_cores must be at least 1 and at most the cores of a machine of the cluster, 2; got 3"
    with pytest.raises(ValueError, match=message), workers_at("auto", 3):
        pass


def network(similarity: str, config: dict, **arrays: np.ndarray) -> NumpyNetwork:
    tower = [{"layer": "Vectors", "name": "vectors", "inputs": [], "config": {"width": WIDTH}}]
    description = {"tower": tower, "similarity": {"layer": similarity, "config": config}}
    return NumpyNetwork(description, {f"similarity/{name}": array for name, array in arrays.items()})


def learned() -> NumpyNetwork:
    generator = np.random.default_rng(2)
    weights = {
        "0/kernel": generator.normal(size=(2 * WIDTH, 4)),
        "0/bias": generator.normal(size=4),
        "1/kernel": generator.normal(size=(4, 1)),
        "1/bias": generator.normal(size=1),
        "ceiling": np.array(3.0),
    }
    return network("Learned", {"units": [4]}, **{name: array.astype(np.float32) for name, array in weights.items()})


def texts(count: int) -> DistinctTexts:
    """Texts in groups of about three near ones, and some repeats."""
    generator = np.random.default_rng(1)
    centers = generator.normal(size=(count // 3, WIDTH)) * np.arange(1, WIDTH + 1) ** -0.7
    embeddings = centers[generator.integers(0, len(centers), count)] + generator.normal(size=(count, WIDTH)) * 0.02
    number = np.concatenate([np.arange(count), np.arange(0, count, 100)]).astype(np.int32)
    _, first, repeats = np.unique(number, return_index=True, return_counts=True)
    return DistinctTexts(embeddings.astype(np.float32), number, first, repeats)


SEARCHES = {  # name -> network, texts, threshold, top_k, exact_max_questions
    "cells": (lambda: network("Cosine", {}), TEXTS, 0.98, 50, TEXTS),
    "cells, some missed": (lambda: network("Cosine", {}), TEXTS, 0.98, 50, 1_000),
    "rows": (lambda: network("Euclidean", {"scale": 1.0}), 19_000, 0.85, 50, TEXTS),
    "nearest": (learned, 9_000, 0.5, 10, TEXTS),
    "nearest in an index": (learned, 9_000, 0.5, 10, 1_000),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_the_same_pairs_with_a_worker_killed(search, killed, tmp_path):
    build, count, threshold, *how_many = SEARCHES[search]
    embedded, own = texts(count), build()

    def found(finished: FinishedBlocks) -> tuple[np.ndarray, ...]:
        parts = list(duplicates(own, embedded, threshold, *how_many, finished))
        return tuple(
            np.concatenate([getattr(part, name) for part in parts]) for name in ("left", "right", "similarity")
        )

    expected = found(FinishedBlocks())
    (tmp_path / "blocks").mkdir()
    left, right, similarity = found(FinishedBlocks(tmp_path / "blocks", killed))
    assert len(left) > 10_000
    assert len(np.unique(np.stack([left, right]), axis=1).T) == len(left)  # nothing twice
    for one, other in zip((left, right, similarity), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    attempts = [killed.attempts(number) for number in range(1, killed.computations + 1)]
    assert [1, 1] in [begun[1:3] for begun in attempts]
    assert all(sorted({*begun}) == list(range(begun[-1] + 1)) for begun in attempts if begun)
    again = found(FinishedBlocks(tmp_path / "blocks"))
    np.testing.assert_array_equal(again[2], expected[2])


def test_an_encoder_reads_texts_in_shards(killed, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 100)
    encoder = from_folder(write_encoder(tmp_path / "encoder"), cache=False)
    generator = np.random.default_rng(0)
    sentences = [f"{' '.join(generator.choice(WORDS, 6))} {number}" for number in range(1_000)]
    expected = cache.vectors(encoder, sentences)
    np.testing.assert_array_equal(cache.vectors(encoder, sentences, workers=killed), expected)
    assert killed.attempts(1) == sorted([*range(10), 1])


@pytest.fixture
def collection(tmp_path) -> Path:
    generator = np.random.default_rng(0)
    with (tmp_path / "questions.csv").open("w", newline="") as file:
        rows = [[" ".join(generator.choice(WORDS, generator.integers(1, 9)))] for _ in range(2_000)]
        csv.writer(file).writerows([["question"], *rows])
    return tmp_path / "questions.csv"


def run(program, name: str, collection: Path, output: Path, *words: str) -> bytes:
    words = (f"run={FIXTURE}", f"collection={collection}", f"output={output}", *words)
    program.run(command_line(name, words)[0])
    return output.read_bytes()


def test_mine_and_encode_write_the_same_files(cluster, collection, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "ENCODED_TOGETHER", 100)
    for program, name, file in ((mine, "mine", "pairs.csv"), (encode, "encode", "vectors.parquet")):
        expected = run(program, name, collection, tmp_path / file)
        assert run(program, name, collection, tmp_path / f"ray_{file}", "workers=auto") == expected


def test_detectors_go_to_workers(killed, collection, monkeypatch):
    monkeypatch.setattr(encode, "ENCODED_TOGETHER", 100)
    detector = Detector.load(FIXTURE)
    questions = collection.read_text().splitlines()[1:]
    blocks = list(encode.in_blocks([(np.arange(len(questions)), questions)]))
    found = [list(encode.encoded(detector, blocks, workers)) for workers in (THIS_PROCESS, killed)]
    assert [text for _, some, _ in found[1] for text in some] == questions
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one[2], other[2])


def test_a_program_starts_a_cluster_of_its_own_and_ends_it(run_program, collection, tmp_path):
    words = f"run={Path(FIXTURE).absolute()}", f"collection={collection}", "threshold=0.9"
    expected = run_program("mine", *words, "output=one.csv", folder=tmp_path)
    with tempfile.TemporaryDirectory() as home:
        more = {"HOME": home, "RAY_TMPDIR": home}
        done = run_program("mine", *words, "output=two.csv", "workers=local", folder=tmp_path, **more)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, expected.stderr)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_a_cluster_that_does_not_answer_is_named(run_program, collection, tmp_path):
    words = f"run={Path(FIXTURE).absolute()}", f"collection={collection}", "workers=127.0.0.1:1"
    done = run_program("mine", *words, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: workers=127.0.0.1:1: no Ray cluster answers there: ")
    assert done.stderr.count("\n") == 1
