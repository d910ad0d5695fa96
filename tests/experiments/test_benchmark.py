"""The benchmark: its statistics and counts by hand, its synthetic pairs, and the fast parts at a small size."""

import json
import os
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from experiments.benchmark import fresh_process, machine, mining, search, serving
from experiments.benchmark import run as program
from experiments.benchmark.keras_baseline import network, padded
from experiments.benchmark.load import Load, load, post
from experiments.benchmark.pairs import read_or_make, words, write_file
from experiments.benchmark.result import Line, Result
from experiments.benchmark.towers import MEASURED, measured
from siamese.data.files import read_pair_file
from siamese.data.splits import split_by_component
from siamese.evaluation.timing import in_turn, ratios, spread
from siamese.text.inputs import TokenIds
from siamese.text.vectorizer import Vectorizer
from siamese.training.batches import PairBatches

CONF = Path(__file__).parents[2] / "conf"
WORDS = 30_000


def composed(*overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("benchmark", overrides=list(overrides))


@pytest.fixture(scope="module")
def made():
    return read_or_make(None, 30_000, WORDS, seed=0)


@pytest.fixture(scope="module")
def made_ids(made) -> TokenIds:
    return Vectorizer.fit(made.questions, vocabulary_size=WORDS, min_frequency=1, oov_buckets=0).encode(made.questions)


def test_ratios_are_taken_repeat_by_repeat():
    """A machine half as fast in the second repeat halves both; their ratio stays."""
    assert ratios([100, 50, 120], [10, 5, 10]) == [10, 10, 12]
    assert vars(spread([10, 10, 12])) == {"median": 10, "low": 10, "high": 12}


def test_contestants_take_turns():
    order = []

    def contestant(name: str):
        return lambda: order.append(name) or float(len(order))

    figures = in_turn({"a": contestant("a"), "b": contestant("b")}, 3, "")
    assert order == ["a", "b"] * 3
    assert figures == {"a": [1, 3, 5], "b": [2, 4, 6]}
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        in_turn({}, 0, "")


def test_a_result_as_a_table_and_as_metrics():
    result = Result([Line("dense max", {"pairs per second": [100, 300, 200]}), Line("once", {"s": [0.5]})], ["a note"])
    assert result.markdown().splitlines() == [
        "|           | pairs per second | s   |",
        "| --------- | ---------------- | --- |",
        "| dense max | 200 (100 - 300)  |     |",
        "| once      |                  | 0.5 |",
        "",
        "- a note",
    ]
    assert result.repeats() == [
        {"dense_max/pairs_per_second": 100, "once/s": 0.5},
        {"dense_max/pairs_per_second": 300},
        {"dense_max/pairs_per_second": 200},
    ]
    assert result.spreads()["dense_max/pairs_per_second/high"] == 300


@pytest.mark.slow
def test_made_questions_are_as_long_as_quoras(made, made_ids):
    lengths = made_ids.lengths
    assert lengths.mean() == pytest.approx(13, abs=0.5)
    assert np.median(lengths) == pytest.approx(11, abs=1)
    assert np.percentile(lengths, 99) == pytest.approx(37, abs=2)
    assert np.corrcoef(lengths[made.left], lengths[made.right])[0, 1] == pytest.approx(0.46, abs=0.05)


def test_made_questions_and_labels_recur_as_quoras(made):
    assert len(made.questions) / (2 * len(made)) == pytest.approx(0.83, abs=0.01)
    assert made.label.mean() == pytest.approx(0.37, abs=0.01)
    split_by_component(made, 0.05, 0.05, seed=0)  # raises if the pairs hung together in one piece


@pytest.mark.slow
def test_a_batch_of_made_pairs_has_as_many_distinct_words_as_one_of_quora(made, made_ids):
    few = made.take(np.random.default_rng(0).permutation(len(made))[: 64 * 256])
    weight = np.ones(len(few), np.float32)
    ids = Vectorizer.fit(made.questions, vocabulary_size=WORDS, min_frequency=1, oov_buckets=0).encode(few.questions)
    counts = [
        (len(batch.questions), np.count_nonzero(batch.questions), len(np.unique(batch.questions)))
        for batch in PairBatches(few, ids, np.zeros(len(few.questions), np.int32), weight, 256, 0).epoch(1)
    ]
    questions, tokens, distinct = np.mean(counts, axis=0)
    assert questions == pytest.approx(508, abs=6)
    assert tokens == pytest.approx(6_450, rel=0.05)
    assert distinct == pytest.approx(1_460, rel=0.05)


def test_words_are_distinct_single_tokens():
    known = words(WORDS)
    assert len(set(known)) == WORDS
    assert all(word.isascii() and word.isalpha() and word.islower() for word in known)


def test_a_made_file_reads_as_quoras(tmp_path):
    write_file(tmp_path / "pairs.tsv", 50, 1_000, seed=0)
    left, right, label, bad = read_pair_file(tmp_path / "pairs.tsv", "question1", "question2", "is_duplicate", "error")
    assert (len(left), len(right), set(label.tolist()), bad) == (50, 50, {0.0, 1.0}, ())
    assert len(read_or_make(str(tmp_path / "pairs.tsv"), 20, 1_000, seed=0)) == 20


@pytest.mark.parametrize(
    ("tower", "flops"),
    [
        ("dense_max", 2 * 300 * 300),
        ("conv1d", 2 * 300 * 200 * (1 + 2 + 3)),
        ("bilstm_128", 2 * 2 * (300 + 128) * 4 * 128),
        ("bilstm_200", 2 * 2 * (300 + 200) * 4 * 200),
    ],
)
def test_flops_by_hand(tower, flops):
    """Two for each weight and token; forward, and backward to the input and to the weights: three times."""
    assert measured(tower).flops_per_token(300) == flops
    assert measured(tower).flops_per_pair(300, tokens=26) == 26 * 3 * flops


def test_the_limit_of_dense_in_pairs_per_second():
    """26 tokens of 3 * 180,000 operations are 14 million a pair: 140 GFLOPS could train 10,000 pairs a second."""
    assert 140e9 / measured("dense_max").flops_per_pair(300, 26) == pytest.approx(10_000, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense_max", "dense_mean", "conv1d", "bilstm_128"])
def test_both_scripts_train_as_many_weights(name):
    """Ours and the usual script differ in how, not in what."""
    ours, usual = MEASURED[name].network(50, 8, seed=0), network(MEASURED[name], 50, 8)
    assert ours.count_params() == usual.count_params()


def test_the_usual_script_pads_and_cuts_to_30():
    ids = TokenIds(np.arange(1, 41, dtype=np.int32), np.array([0, 5, 40]))
    arrays = padded(ids, np.array([0, 1]))
    assert arrays.shape == (2, 30)
    assert arrays[0].tolist() == [1, 2, 3, 4, 5] + [0] * 25
    assert arrays[1].tolist() == list(range(6, 36))


def test_an_unknown_tower_is_named():
    with pytest.raises(ValueError, match=r"towers must list some of dense_max.*got 'gru'"):
        measured("gru")


def test_memory_and_machine():
    assert 0 < machine.memory() <= machine.peak_memory()
    found = machine.description()
    assert int(found["machine.cores"]) >= 1
    assert found["machine.numpy"] == np.__version__


@pytest.mark.slow
def test_a_fresh_process_answers_and_raises():
    """An error of the process is raised with its own type, with its traceback as the cause."""
    assert fresh_process.call("json:dumps", obj={"a": 1}) == json.dumps({"a": 1})
    with pytest.raises(json.JSONDecodeError) as caught:
        fresh_process.call("json:loads", s="{")
    assert "in loads" in str(caught.value.__cause__)
    with pytest.raises(BrokenProcessPool):  # a process that was killed, for its memory for example
        fresh_process.call("os:abort")


def test_a_fresh_process_that_is_terminated_ends(tmp_path):
    """It does not wait for more work, for which the program would wait in turn."""
    started, found = tmp_path / "started", []

    def caller() -> None:
        try:
            fresh_process.call("tests.experiments.test_benchmark:wait_to_be_terminated", file=str(started))
        except BrokenProcessPool as problem:
            found.append(problem)

    thread = threading.Thread(target=caller)
    thread.start()
    while not started.exists() or not started.read_text():
        time.sleep(0.01)
    os.kill(int(started.read_text()), signal.SIGTERM)
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert found


def wait_to_be_terminated(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    time.sleep(60)


@pytest.mark.parametrize("way", ["cells", "faiss range_search"])
def test_ways_of_mining_find_the_same_pairs(way, tmp_path):
    """Few vectors are not put into cells."""
    pytest.importorskip("faiss")
    vectors = search.embeddings(400, 16, seed=0)
    np.save(tmp_path / "vectors.npy", vectors)
    radius = mining._radius(vectors, 2.0)
    exact, other = (mining.find(each, str(tmp_path / "vectors.npy"), radius) for each in ("exact", way))
    assert other["pairs"] == exact["pairs"]
    assert 400 < exact["pairs"] < 1_600


def test_search_embeddings_are_clustered():
    vectors = search.embeddings(2_000, 16, seed=0)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    similarity = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert similarity.max(axis=1).mean() > 0.8  # each has neighbours
    assert abs(similarity.mean()) < 0.1  # most are strangers


def test_load_by_hand():
    seen = Load(np.array([0.001, 0.002, 0.003, 0.101]), np.array([200, 200, 200, 500]), seconds=0.5)
    assert seen.per_second == 8
    assert seen.milliseconds(50) == pytest.approx(2.5)
    assert seen.milliseconds(100) == pytest.approx(101)


@contextmanager
def slow_server(seconds: float):
    """The address of a server that takes some seconds for each answer, and the bodies it received by connection."""
    bodies: dict[tuple, list[bytes]] = {}

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.setdefault(self.client_address, []).append(body)
            time.sleep(seconds)
            self.send_response(400 if body == b"bad" else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/path", bodies
        server.shutdown()


def test_clients_ask_at_the_same_time_and_keep_their_connections():
    with slow_server(0.05) as (address, bodies):
        seen = load(address, [post(address, body) for body in (b"a", b"bb", b"bad")], clients=3, seconds=0.5)
    assert len(bodies) == 3
    assert sum(map(len, bodies.values())) == len(seen.latencies)
    assert [got[:4] for got in sorted(bodies.values())] == [
        [b"a", b"bb", b"bad", b"a"],
        [b"bad", b"a", b"bb", b"bad"],
        [b"bb", b"bad", b"a", b"bb"],
    ]
    assert seen.latencies.min() >= 0.05
    assert seen.latencies.sum() == pytest.approx(
        3 * seen.seconds, rel=0.2
    )  # each client always has a request under way
    assert (seen.statuses == 400).sum() == sum(got.count(b"bad") for got in bodies.values())


@pytest.mark.slow
def test_serving_is_measured_and_no_answer_is_lost():
    small = {"vocabulary": 2_000, "width": 8, "clients": [1, 3], "seconds": 0.3, "batch": 20, "bad_requests": 16}
    result = serving.measure("dense_mean", None, [1, 2], 1, **small, batch_clients=2, repeats=2)
    found = {line.subject: line.figures for line in result.lines}
    servers = ("processes=1", "processes=2", "mlflow models serve", "FastAPI")
    each = ("1 clients", "3 clients", "requests of 20 pairs")
    assert list(found) == [f"{server}, {kind}" for server in servers for kind in each] + ["16 bad requests between"]
    assert found["16 bad requests between"] == {"good ones answered right": [1.0]}
    many = found["processes=1, requests of 20 pairs"]
    assert many["pairs per second"] == [20 * each for each in many["requests per second"]]
    for subject in ("processes=1, 1 clients", "FastAPI, 3 clients"):
        assert len(found[subject]["99th percentile ms"]) == 2
        for middle, end in zip(*(found[subject][f"{n}th percentile ms"] for n in (50, 99)), strict=True):
            assert 0 < middle <= end


def test_config_composes_and_an_unknown_part_is_refused(tmp_path):
    cfg = composed("parts=[speed]", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db")
    assert cfg.tracking.experiment == "benchmark"
    with pytest.raises(ValueError, match=r"parts must list some of training, encoding.*got \['speed'\]"):
        program.run(cfg)


def test_each_part_takes_just_its_settings():
    """A setting that a part does not know is a TypeError, so a part and its node must agree."""
    import inspect
    from importlib import import_module

    cfg = composed()
    for part in program.PARTS:
        wanted = inspect.signature(import_module(f"experiments.benchmark.{part}").measure).parameters
        assert set(cfg[part]) == set(wanted), part


@pytest.mark.slow
def test_parts_end_to_end(tmp_path, monkeypatch):
    """Search, mining and growth, small: printed, tracked a step for each repeat, with the figure and the machine."""
    import mlflow

    monkeypatch.chdir(tmp_path)  # where MLflow keeps artifacts
    results = program.run(
        composed(
            "parts=[search,mining,growth]",
            "repeats=2",
            "search.vectors=[500]",
            "search.dimension=8",
            "search.queries=20",
            "mining.questions=[200,400]",
            "growth.pairs=[300,900]",
            "vocabulary=2000",
            f"tracking.uri=sqlite:///{tmp_path}/mlflow.db",
        )
    )
    runs = {run.info.run_name: run for run in mlflow.search_runs(output_format="list")}
    assert set(runs) == {"search", "mining", "growth"} == set(results)
    for run in runs.values():
        assert run.info.status == "FINISHED"
        assert run.data.tags["kind"] == "benchmark"
        assert "machine.processor" in run.data.tags
        assert run.data.tags["mlflow.note.content"].startswith("|")
    client = mlflow.MlflowClient()
    history = client.get_metric_history(runs["search"].info.run_id, "repeat/500_vectors_exact/over_reading_once")
    assert [each.step for each in history] == [0, 1]
    medians = runs["search"].data.metrics
    assert medians["spread/500_vectors_exact/over_reading_once/median"] > 0
    assert runs["growth"].data.metrics["spread/line_of_time/R_squared/median"] == pytest.approx(1)  # two points
    artifacts = [each.path for each in client.list_artifacts(runs["growth"].info.run_id)]
    assert {"figures", "table.md"} <= set(artifacts)
