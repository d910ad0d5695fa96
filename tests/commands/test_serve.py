"""serve: the champion answers by HTTP; whatever comes between, every good request gets its answer."""

import http.client
import json
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from urllib.parse import urlsplit

import mlflow
import numpy as np
import psutil
import pytest

from siamese import tracking
from siamese.commands.arguments import command_line
from siamese.commands.serve import run
from siamese.detector import Detector
from siamese.evaluation.calibration import Calibration
from siamese.registry import publish
from siamese.serving.protocol import ROUTE
from tests.programs import ROOT, needs_make, serving

FIXTURE = ROOT / "tests" / "fixtures" / "detector_format_5"
FIXTURES = {
    "model": f"{FIXTURE}; {Detector.load(FIXTURE).calibration.rule()}"
}  # what its answers say beside predictions
PAIRS = [
    ("how do i pay my bill", "where can i pay the bill ?"),
    ("i lost my card", "how do i cook rice"),
    ("my card is lost", "Où est l'eau ? 水 🙂"),
]
JSON = {"Content-Type": "application/json"}
# Runs the program as `python -m` does, and prints at its end what it had imported.


def records(*pairs) -> bytes:
    return json.dumps(
        {"dataframe_records": [{"question1": left, "question2": right} for left, right in pairs]}
    ).encode()


BAD = {  # body, head, status, message
    "a column is missing": (b'{"dataframe_records": [{"question1": "a"}]}', JSON, 400, "missing inputs ['question2']"),
    "a misspelt column": (
        b'{"dataframe_records": [{"question1": "a", "question_2": "b"}]}',
        JSON,
        400,
        "missing inputs ['question2']. Note that there were extra inputs: ['question_2']",
    ),
    "null": (records(PAIRS[0], ("a", None)), JSON, 400, "question2 of pair 2 of 2: the text is missing"),
    "a number": (records((1, "a")), JSON, 400, "question1 of pair 1 of 1: a text is expected, not int"),
    "a list": (records((["a"], "a")), JSON, 400, "question1 of pair 1 of 1: a text is expected, not list"),
    "an empty text": (records(("a", "")), JSON, 400, "question2 of pair 1 of 1: the text is empty"),
    "half an emoji": (records(("\ud83d", "a")), JSON, 400, "surrogates not allowed"),
    "no pairs": (records(), JSON, 400, "missing inputs ['question1', 'question2']"),
    "another form": (b'{"inputs": {"question1": null}}', JSON, 400, "alone is expected; it has inputs"),
    "a column twice": (
        b'{"dataframe_split": {"columns": ["question1", "question1", "question2"], "data": [["a", "b", "c"]]}}',
        JSON,
        400,
        "there are 2 columns question1; one is expected",
    ),
    "rows of unequal length": (
        b'{"dataframe_split": {"columns": ["question1", "question2"], "data": [["a", "b"], ["a", "b", "c"]]}}',
        JSON,
        400,
        "row 2 of 2 has 3 values for 2 columns",
    ),
    "wrong JSON": (b'{"dataframe_records": [', JSON, 400, "is not readable JSON: Expecting value"),
    "a number of 5,000 digits": (b"9" * 5_000, JSON, 400, "is not readable JSON: Exceeds the limit"),
    "deep nesting": (b"[" * 500_000, JSON, 400, "maximum recursion depth exceeded"),
    "nothing": (b"", JSON, 400, "0 bytes, is not readable JSON"),
    "not UTF-8": (
        records(("où", "a")).replace(b"\\u00f9", b"\xf9"),
        JSON,
        400,
        "not UTF-8: invalid start byte at byte 39",
    ),
    "not UTF-8 by its own word": (
        records(PAIRS[0]),
        {"Content-Type": "application/json; charset=latin-1"},
        415,
        "only supports UTF-8",
    ),
    "no type": (records(PAIRS[0]), {}, 415, "application/json is expected, got none"),
    "CSV": (b"question1,question2\na,b\n", {"Content-Type": "text/csv"}, 415, "is expected, got text/csv"),
    "a huge text": (records(("x" * 2**20, "a")), JSON, 413, "more than 1,000,000 bytes"),
    "a huge body": (b"\0" * 20_000_000, JSON, 413, "more than 1,000,000 bytes"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory, build_network, vectorizer):
    """A store with two models, of which the older is the champion: its URI, and the champion's detector."""
    folder = tmp_path_factory.mktemp("store")
    uri, before = f"sqlite:///{folder}/mlflow.db", mlflow.get_tracking_uri()
    tracking.connect(uri, "tests", str(folder / "artifacts"))
    detectors = {}
    for seed in (0, 1):
        network = build_network(seed=seed)
        detector = Detector.from_network(network, vectorizer, Calibration(0.7, 1.5, 0.1))
        with tracking.tracked_run(f"seed {seed}", "model") as trained:
            publish.log_detector(detector, network, PAIRS[:2], "# a card\n", "some data")
            tracking.log_metrics({"roc_auc": 0.9}, "dev")  # what is promoted has one
        detectors[trained] = detector
    champion, newest = detectors
    publish.promote(champion, "duplicate-questions", "champion")
    assert not (detectors[champion].similarity(PAIRS) == detectors[newest].similarity(PAIRS)).all()
    yield uri, detectors[champion], f"run {champion} (the champion), trained on some data, "
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def served(store):
    """`make serve` of the champion."""
    with serving("serve", f"tracking.uri={store[0]} tracking.experiment=tests") as server:
        yield server


@pytest.fixture
def connection(served):
    connection = http.client.HTTPConnection(urlsplit(served.address).netloc, timeout=60)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, body: bytes, head=None) -> tuple[int, dict]:
    """Status and JSON of the answer."""
    connection.request("POST", ROUTE, body, JSON if head is None else head)
    answer = connection.getresponse()
    assert answer.headers["content-type"] == "application/json"
    return answer.status, json.load(answer)


def expected(detector: Detector, pairs) -> list[dict]:
    similarity = detector.similarity(pairs)
    known = np.array([detector.coverage(pair).known_words for pair in pairs])
    columns = {
        "similarity": similarity,
        "probability": detector.probability(similarity),
        "duplicate": detector.calibration.duplicate(similarity),
        "known_words1": known[:, 0].round(4),
        "known_words2": known[:, 1].round(4),
        "cut": np.zeros(len(pairs), int),
    }
    return [
        dict(zip(columns, row, strict=True)) for row in zip(*(each.tolist() for each in columns.values()), strict=True)
    ]


pytestmark = [needs_make, pytest.mark.process, pytest.mark.slow]


def test_the_champion_answers_and_not_the_newest(connection, store):
    for pairs in ([PAIRS[0]], PAIRS):
        status, answer = ask(connection, records(*pairs))
        assert (status, answer["predictions"]) == (200, expected(store[1], pairs))
        assert answer["model"].startswith(store[2])


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_two_lines_are_printed_and_the_second_asks_the_server(served, store):
    [*_, name, command] = served.printed.splitlines()
    assert name == f"the champion or the last training on {served.address[:-1]} (Ctrl-C ends it); ask it:"
    assert served.printed.startswith(f"model: {store[2]}")
    done = subprocess.run(f"{command} --silent --fail", shell=True, capture_output=True, check=True)
    asked = [("How do I reset my password?", "I forgot my password, what now?")]
    assert json.loads(done.stdout)["predictions"] == expected(store[1], asked)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_explained(connection, name):
    body, head, status, message = BAD[name]
    found, answer = ask(connection, body, head)
    assert found == status
    assert set(answer) == {"error_code", "message"}
    assert message in answer["message"]
    assert len(answer["message"]) < 1_100
    assert ask(connection, records(PAIRS[0]))[0] == 200  # over the same connection


def test_a_thousand_pairs_in_one_request(connection, store):
    pairs = list(islice(cycle(PAIRS), 1_000))
    status, answer = ask(connection, records(*pairs))
    assert status == 200
    assert answer["predictions"] == expected(store[1], pairs)


def test_no_answer_waits_for_the_client_to_confirm_its_first_part(connection):
    """Head and body of an answer are two writes; where the system holds the second back, it does so for 40 ms."""
    seconds = []
    for _ in range(30):
        started = time.perf_counter()
        ask(connection, records(PAIRS[0]))
        seconds.append(time.perf_counter() - started)
    assert statistics.quantiles(seconds)[0] < 0.035  # all but a few would be late, however idle the machine


def test_a_hundred_bad_requests_between_good_ones_lose_none(served, store):
    """From four threads, each over a connection that it keeps; what is not even HTTP comes over others."""
    netloc = urlsplit(served.address).netloc
    bad = list(islice(cycle(BAD.values()), 100))

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(netloc, timeout=60)
        for body, head, status, _ in bad[number::4]:
            assert ask(connection, body, head)[0] == status
            for pair in PAIRS:
                status, answer = ask(connection, records(pair))
                assert (status, answer["predictions"]) == (200, expected(store[1], [pair]))
            for noise in (b"\xff\x00 what?\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"):
                with socket.create_connection(tuple(netloc.split(":"))) as other:
                    other.sendall(noise)
        connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(client, range(4)))


@pytest.fixture
def start(start_program):
    """A function: words -> the program in a process of its own, on a free port, and the address that it prints."""

    def run(*words: str, watched: tuple[str, ...] = ()) -> tuple[subprocess.Popen, tuple[str, int]]:
        process = start_program("serve", f"run={FIXTURE}", "port=0", *words, watched=watched)
        name, command = (process.stdout.readline() for _ in range(2))
        address = urlsplit(name.split(" on ")[1].split()[0])
        assert command.startswith(f"curl {address.geturl()}{ROUTE} ")
        return process, (address.hostname, address.port)

    return run


def test_neither_tensorflow_nor_a_word_of_the_requests(start):
    process, address = start(watched=("tensorflow", "keras", "hydra", "mlflow", "pandas"))
    connection = http.client.HTTPConnection(*address, timeout=60)
    assert ask(connection, records(*PAIRS)) == (
        200,
        FIXTURES | {"predictions": expected(Detector.load(FIXTURE), PAIRS)},
    )
    extra = b'{"dataframe_records": [{"question1": "a", "question2": "b", "id": 7}]}'
    assert ask(connection, extra)[0] == 200
    assert ask(connection, b"")[0] == 400
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("imported:\n", f"model: {FIXTURES['model']}\ninterrupted\n", 130)


def accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_request_under_way_is_answered_before_the_end(start):
    process, address = start()
    body = records(PAIRS[0])
    with socket.create_connection(address) as client:
        head = (
            f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        client.sendall(head.encode() + b"\r\n\r\n" + body[:5])
        ask(http.client.HTTPConnection(*address, timeout=60), body)  # by now the first has been let in
        process.terminate()
        while accepts(address):
            time.sleep(0.05)
        client.sendall(body[5:])
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert json.load(answer) == FIXTURES | {"predictions": expected(Detector.load(FIXTURE), PAIRS[:1])}
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, f"model: {FIXTURES['model']}\n")


def test_a_large_request_does_not_stop_the_others(start):
    _, address = start("max_request_bytes=16000000")
    many = [(f"{number} " + "'" * 400, f"{number}") for number in range(28_000)]  # each sign is a word
    with ThreadPoolExecutor(1) as thread:
        large = thread.submit(lambda: ask(http.client.HTTPConnection(*address, timeout=120), records(*many)))
        time.sleep(0.3)
        small = 0
        while not large.done():
            assert ask(http.client.HTTPConnection(*address, timeout=60), records(PAIRS[0]))[0] == 200
            small += not large.done()
    assert large.result()[0] == 200
    assert small > 0


class Clients:
    """Threads that ask without a pause, each over a connection that it keeps, until they are stopped or told to close it.

    Attributes:
        answers: status and model of each answer, or the error in its place.
    """

    def __init__(self, address: tuple[str, int], number: int = 8):
        self.answers: list[tuple[int, str] | Exception] = []
        self._address, self._stopped = address, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        while not self._stopped.is_set():
            try:
                connection.request("POST", ROUTE, records(PAIRS[0]), JSON)
                answer = connection.getresponse()
                self.answers.append((answer.status, json.load(answer)["model"]))
            except (OSError, http.client.HTTPException) as lost:
                self.answers.append(lost)
                return
            if answer.headers["connection"] == "close":
                return

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        self.wait_for(100)
        return self

    def wait_for(self, more: int) -> None:
        wanted, ends = len(self.answers) + more, time.monotonic() + 60
        while len(self.answers) < wanted:
            assert time.monotonic() < ends
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=60)


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_under_load_loses_no_request(start, processes):
    process, address = start(f"processes={processes}")
    with Clients(address) as clients:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, f"model: {FIXTURES['model']}\n")
    assert {type(each) for each in clients.answers} == {tuple}, clients.answers
    assert {status for status, _ in clients.answers} == {200}


def line_with(process: subprocess.Popen, text: str) -> str:
    """The next line of stderr with a text."""
    return next(line for line in process.stderr if text in line)


@pytest.mark.parametrize("processes", [1, 2])
def test_sighup_loads_the_model_again_and_loses_no_request(start, tmp_path, processes):
    folder = tmp_path / "detector"
    shutil.copytree(FIXTURE, folder)
    process, address = start(f"processes={processes}", f"run={folder}")
    with Clients(address) as clients:
        other = Detector.load(FIXTURE).at("precision@0.95")
        shutil.rmtree(folder)
        process.send_signal(signal.SIGHUP)
        assert "goes on to answer" in line_with(process, "note: the model was not loaded again: ")
        clients.wait_for(100)
        other.save(folder)
        process.send_signal(signal.SIGHUP)
        assert other.calibration.rule() in line_with(process, "model: ")
        ends = time.monotonic() + 60
        new = f"{folder}; {other.calibration.rule()}"
        while {model for _, model in clients.answers[-50:]} != {new}:
            assert time.monotonic() < ends
            time.sleep(0.01)
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert {type(each) for each in clients.answers} == {tuple}, clients.answers
    assert {status for status, _ in clients.answers} == {200}
    assert {model for _, model in clients.answers} == {f"{folder}; {Detector.load(FIXTURE).calibration.rule()}", new}


def test_processes_count_together(start):
    process, address = start("processes=2")
    with Clients(address, 16) as clients:
        pass
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", "/metrics")
    assert f"siamese_pairs_total {len(clients.answers):.1f}\n" in connection.getresponse().read().decode()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, f"model: {FIXTURES['model']}\ninterrupted\n")


def test_the_server_ends_with_a_process_that_dies(start):
    process, _ = start("processes=2")
    children = psutil.Process(process.pid).children(recursive=True)
    child = next(each for each in children if "resource_tracker" not in " ".join(each.cmdline()))
    child.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.endswith("error: a process of the server ended by itself, with code -9; the others were ended, too\n")


def test_a_process_that_cannot_load_the_model_is_reported_once(start_program):
    process = start_program("serve", "run=nowhere", "port=0", "processes=2", "tracking.uri=")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == "error: tracking.uri is empty; give the address of a store, such as sqlite:///mlflow.db\n"


def test_requests_are_logged_if_that_is_wished(start):
    process, address = start("log_requests=true")
    ask(http.client.HTTPConnection(*address, timeout=60), records(*PAIRS))
    line = json.loads(process.stdout.readline())
    assert (line["path"], line["status"], line["pairs"]) == (ROUTE, 200, len(PAIRS))


def test_threshold_and_prior_are_those_of_the_settings(start):
    _, address = start("threshold=precision@0.95", "prior=0.01")
    detector = Detector.load(FIXTURE).at("precision@0.95", 0.01)
    answer = ask(http.client.HTTPConnection(*address, timeout=60), records(*PAIRS))
    assert answer == (
        200,
        {"model": f"{FIXTURE}; {detector.calibration.rule()}", "predictions": expected(detector, PAIRS)},
    )
    assert expected(detector, PAIRS) != expected(Detector.load(FIXTURE), PAIRS)


def settings(*words: str) -> dict:
    return command_line("serve", list(words))[0]


def test_without_any_model_the_error_says_how_to_make_one(tmp_path):
    before = mlflow.get_tracking_uri()
    with pytest.raises(
        ValueError, match=r"there is no tracking store .*mlflow\.db; train first \(make train\)"
    ) as caught:
        run(settings("port=0", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"))
    mlflow.set_tracking_uri(before)
    assert "\n" not in str(caught.value)


def test_a_taken_port_is_reported_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ValueError, match=rf"cannot listen on 127.0.0.1, port {port}: .* in use.*; give another port"
        ):
            run(settings(f"port={port}", "run=nowhere"))
    with pytest.raises(ValueError, match=r"cannot listen on 127.0.0.1, port 70000: "):
        run(settings("port=70000", "run=nowhere"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=nowhere"], "run=nowhere is no run of"),
        (["max_waiting=0"], "max_waiting must be at least 1, got 0"),
        (["processes=0"], "processes must be at least 1, got 0"),
        ([f"run={FIXTURE}", "threshold=2"], "threshold"),
        ([f"run={FIXTURE}", "prior=often"], "prior must be a share"),
    ],
)
def test_other_errors_of_serving_are_unchanged(store, words, message):
    with pytest.raises(ValueError, match=message) as caught:
        run(settings("port=0", f"tracking.uri={store[0]}", "tracking.experiment=tests", *words))
    assert "champion" not in str(caught.value)


def test_a_word_that_is_no_setting_is_one_line(tmp_path, run_program):
    done = run_program("serve", "now", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: give settings as key=value; got 'now'\n")
    assert "Traceback" not in done.stderr
