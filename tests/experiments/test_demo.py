"""demo: the server's answers, and the program that starts it. The page itself: test_demo_page.py."""

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from experiments.demo import server
from experiments.demo.__main__ import main
from siamese.data.files import read_question_table
from siamese.detector import Detector
from siamese.explanation.heat_map import html
from siamese.explanation.word_effects import why
from siamese.retrieval.question_index import Collection
from tests.experiments.demo_questions import DETECTOR, DIFFERENT, EVIL, QUESTIONS, SAME
from tests.programs import ROOT

PROGRAM = """
import runpy, sys

def stay_at_home(event, arguments):
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1" or event == "socket.getaddrinfo":
        raise AssertionError(f"asks another machine: {event} {arguments}")

sys.addaudithook(stay_at_home)
try:
    runpy.run_module("experiments.demo", run_name="__main__", alter_sys=True)
finally:
    print("imported:", *{"tensorflow", "keras", "mlflow", "hydra", "faiss", "pandas"} & set(sys.modules))
"""


@pytest.fixture(scope="module")
def faq(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "faq.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "topic"], *QUESTIONS.items()])
    return path


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(DETECTOR)


@pytest.fixture(scope="module")
def client(detector, faq) -> TestClient:
    collection = Collection.build(detector, read_question_table(faq, None)[0])
    app = server.application(detector, collection, faq.name, 100, ["127.0.0.1"])
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def demo(start_python):
    """A function: words -> the program in a process of its own, on a free port: its address and the process."""

    def run(*words: str) -> tuple[str, subprocess.Popen]:
        process = start_python("-c", PROGRAM, f"run={DETECTOR}", "port=0", *words)
        line = process.stdout.readline()
        address = re.fullmatch(r"open (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", line)
        assert address, line + process.stderr.read()
        return address[1], process

    return run


@pytest.mark.parametrize(("pair", "same"), [(SAME, True), (DIFFERENT, False)])
def test_a_comparison_is_the_detectors_own(client, detector, pair, same):
    answer = client.post("/compare", json=dict(zip(("left", "right"), pair, strict=True))).json()
    similarity = detector.similarity([pair])
    assert answer["similarity"] == pytest.approx(float(similarity[0]), abs=1e-6)
    assert answer["probability"] == pytest.approx(float(detector.probability(similarity)[0]), abs=1e-5)
    assert answer["duplicate"] is same
    assert answer["threshold"] == detector.calibration.threshold
    assert answer["note"] == detector.threshold_note()
    assert answer["html"] == html(why(detector, *pair))


def test_a_search_gives_the_most_similar_with_all_columns(client, detector):
    answer = client.post("/search", json={"question": f"  {SAME[0]} ", "top": 3}).json()
    similarity = dict(zip(QUESTIONS, detector.similarity([(SAME[0], text) for text in QUESTIONS]), strict=True))
    best = sorted(QUESTIONS, key=lambda text: -similarity[text])[:3]
    assert [row["question"] for row in answer["rows"]] == best
    assert [row["topic"] for row in answer["rows"]] == [QUESTIONS[text] for text in best]
    assert [row["similarity"] for row in answer["rows"]] == pytest.approx([similarity[text] for text in best], abs=1e-6)
    assert [row["duplicate"] for row in answer["rows"]] == [
        bool(similarity[text] >= detector.calibration.threshold) for text in best
    ]
    assert {row["asked"] for row in answer["rows"]} == {SAME[0]}


def test_what_is_searched_and_by_which_threshold(client, detector):
    about = {"collection": "faq.csv", "questions": 6, "note": detector.threshold_note(), "model": ""}
    assert client.get("/about").json() == about
    assert client.get("/health").json() == {"status": "ok"}


def test_how_much_was_read(client):
    answer = client.post("/compare", json={"left": "wie koche ich Reis", "right": "how do i cook rice " * 20}).json()
    assert (answer["known_words"], answer["cut"]) == ([0, 1], [False, True])
    found = client.post("/search", json={"question": "wie koche ich Reis"}).json()
    assert (found["known_words"], found["cut"]) == (0, False)
    assert {(row["known_words"], row["cut"]) for row in found["rows"]} == {(0, False)}


def test_questions_are_never_markup(client):
    answer = client.post("/compare", json={"left": EVIL, "right": f'"{EVIL}'}).json()
    assert not re.search(r"<(script|img|b)\b", answer["html"])
    assert "&lt;" in answer["html"]


@pytest.mark.parametrize("question", ["?", "\N{NO-BREAK SPACE}é", "日本語", "a " * 999])
def test_any_text_is_a_question(client, question):
    sent = json.dumps({"left": question, "right": "a"})
    answer = client.post("/compare", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert 0 <= answer.json()["similarity"] <= 1


@pytest.mark.parametrize(
    ("path", "sent", "status", "sentence"),
    [
        ("/compare", b'{"left": " \\n", "right": "a"}', 400, "the first question: the text is empty"),
        ("/compare", b'{"left": "\\ud800", "right": "a"}', 400, "the first question: the text is not UTF-8"),
        ("/compare", b'{"left": null, "right": "a"}', 400, "the first question: the text is missing"),
        ("/compare", b'{"left": "a"}', 400, "the second question: the text is empty"),
        ("/compare", b'{"left": 5, "right": "a"}', 400, "the first question: a text is expected, not int"),
        (
            "/compare",
            b'{"left": "%s"}' % (b"a" * 2_001),
            400,
            "the first question: the text has 2,001 characters; at most 2,000",
        ),
        ("/search", b"{}", 400, "the question: the text is empty"),
        ("/search", b'{"question": "a", "top": 0}', 400, "'top' must be a whole number from 1 to 100, got 0"),
        ("/search", b'{"question": "a", "top": 101}', 400, "'top' must be a whole number from 1 to 100, got 101"),
        ("/search", b'{"question": "a", "top": true}', 400, "'top' must be a whole number from 1 to 100, got true"),
        ("/search", b'{"question": "a", "top": "5"}', 400, "'top' must be a whole number from 1 to 100, got \"5\""),
        ("/compare", b"[]", 400, "send a JSON object, got list"),
        ("/compare", b"", 400, "this is no JSON in UTF-8: Expecting value: line 1 column 1 (char 0)"),
        ("/compare", b'{"left": "\xff"}', 400, "this is no JSON in UTF-8: 'utf-8' codec can't decode byte 0xff"),
        ("/compare", b"[" * 50_000, 400, "this is no JSON in UTF-8: maximum recursion depth exceeded"),
        ("/compare", b" " * 65_537, 413, "the body has more than 65,536 bytes; ask less at once"),
        ("/nothing", b"{}", 405, "Method Not Allowed"),
    ],
)
def test_a_bad_request_gets_a_message(client, path, sent, status, sentence):
    answer = client.post(path, content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"].startswith(sentence)


def test_a_request_in_pieces_has_the_same_limit(client):
    pieces = (b" " * 1_000 for _ in range(66))
    assert client.post("/compare", content=pieces, headers={"Content-Type": "application/json"}).status_code == 413


def test_the_type_may_be_written_in_any_case(client):
    sent = client.post("/compare", content=b'{"left": "a", "right": "b"}', headers={"Content-Type": "Application/JSON"})
    assert sent.status_code == 200


def test_a_client_that_leaves_is_no_error(client, running, leave):
    with running(client.app) as address:
        leave(address, "/compare")


def test_a_page_of_another_site_cannot_ask(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        sent = client.post("/compare", content=b'{"left": "a", "right": "b"}', headers={"Content-Type": kind})
        assert sent.status_code == 415
        assert sent.json() == {"error": "send JSON, with the header Content-Type: application/json"}
    for path in ("/", "/about", "/health"):
        assert client.get(path).status_code == 200
        assert client.get(path, headers={"Host": "attacker.example"}).status_code == 400


def test_every_answer_forbids_whatever_is_not_from_here(client):
    for answer in (client.get("/"), client.get("/about"), client.get("/nothing"), client.post("/compare")):
        policy = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_only_the_page_is_served(client):
    for name in ("index.html", "style.css", "script.js", "icon.svg"):
        assert client.get(f"/{name}").text == (server.PAGE / name).read_text(encoding="utf-8")
    for path in ("/server.py", "/../server.py", "/%2e%2e/server.py", "/__init__.py"):
        assert client.get(path).status_code == 404
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import", "".join(client.get(f"/{name}").text for name in ("", "style.css"))
    )


@pytest.mark.slow
def test_the_program_answers_without_tensorflow_mlflow_and_network(faq, demo):
    address, process = demo(f"index={faq}", "threshold=1")
    request = urllib.request.Request(f"{address}compare", json.dumps({"left": SAME[0], "right": SAME[1]}).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        given = json.load(answer)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (given["threshold"], given["duplicate"]) == (1.0, False)
    assert printed == "imported:\n"
    lines = errors.splitlines()
    assert lines[:2] == [f"model: {given['model']}", "reading the questions of faq.csv"]
    assert "of the pairs of this collection are duplicates, " in lines[-2]
    assert lines[-1] == "interrupted"
    assert process.returncode == 130


@pytest.mark.slow
def test_the_program_searches_the_shipped_questions_and_calls_it_by_local_names(demo):
    address, _ = demo()
    with urllib.request.urlopen(f"{address}about", timeout=60) as answer:
        assert json.load(answer)["questions"] == 7_124
    with urllib.request.urlopen(address.replace("127.0.0.1", "localhost"), timeout=60) as answer:
        assert answer.status == 200
    stranger = urllib.request.Request(address, headers={"Host": "attacker.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(stranger, timeout=60)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["What now"], "give settings as key=value; got 'What now'"),
        (["prot=1"], "there is no setting prot; did you mean port?"),
        (["port=70000"], "cannot listen on 127.0.0.1, port 70000.*; give another port, such as port=5004"),
        (["index=none.csv"], "none.csv"),
        ([f"index={DETECTOR}"], "is no collection"),
        ([f"run={ROOT}"], "is not a saved detector"),
        (["threshold=2"], "threshold must be .* got '2'"),
        (["prior=many"], "many"),
    ],
)
def test_a_mistake_is_named(words, message, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["demo", f"run={DETECTOR}", "port=0", *words])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        main()


@pytest.mark.slow
def test_a_taken_port_is_reported_before_anything_is_loaded(run_program):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_program("demo", "run=none", f"port={port}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1, port {port}: ")
    assert "Traceback" not in done.stderr
