"""Serving: the detector's answers, and a short error for every bad request."""

import asyncio
import json
import tracemalloc
from dataclasses import replace
from datetime import datetime

import mlflow
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from siamese.detector import Detector
from siamese.serving.connections import allowed_hosts
from siamese.serving.protocol import QUESTIONS, ROUTE, SHOWN, answer_bodies
from siamese.serving.scoring_server import ScoringServer, error

PAIRS = [("how do i pay my bill", "where can i pay the bill ?"), ("i lost my card", "how do i cook rice")]
LARGEST = 2_000


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("tests/fixtures/detector_format_5")


@pytest.fixture(scope="module")
def client(detector) -> TestClient:
    return TestClient(ScoringServer(detector, LARGEST, ["*"]))


def records(pairs) -> list[dict]:
    return [dict(zip(QUESTIONS, pair, strict=True)) for pair in pairs]


def test_mlflows_two_forms_of_pairs_get_the_same_answer(client, detector):
    split = {"columns": ["question2", "id", "question1"], "data": [[right, 7, left] for left, right in PAIRS]}
    for form in ({"dataframe_records": records(PAIRS)}, {"dataframe_split": split}):
        answer = client.post(ROUTE, json=form)
        assert answer.status_code == 200
        assert answer.json() == {
            "model": detector.model,
            "predictions": json.loads(answer_bodies(detector, [PAIRS])[0])["predictions"],
        }


def test_a_body_is_refused_one_byte_above_the_limit(client):
    for spare, status in ((0, 400), (-1, 400), (1, 413)):
        answer = client.post(ROUTE, content=b" " * (LARGEST + spare), headers={"content-type": "application/json"})
        assert answer.status_code == status
    assert answer.json() == {
        "error_code": "REQUEST_ENTITY_TOO_LARGE",
        "message": "the body has more than 2,000 bytes; ask less at once",
    }


def test_the_limit_holds_for_a_body_in_parts_of_unknown_number(client):
    parts = (b" " * 100 for _ in range(21))
    assert client.post(ROUTE, content=parts, headers={"content-type": "application/json"}).status_code == 413


def test_what_is_too_large_is_read_to_its_end_and_not_kept(detector):
    parts, sent = iter(range(99, -1, -1)), []

    async def receive() -> dict:
        left = next(parts)
        return {"type": "http.request", "body": bytes(1_000_000), "more_body": left > 0}

    async def send(message: dict) -> None:
        sent.append(message)

    tracemalloc.start()
    scope = {"type": "http", "path": ROUTE, "method": "POST", "headers": [(b"content-type", b"application/json")]}
    asyncio.run(ScoringServer(detector, LARGEST, ["*"])(scope, receive, send))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent[0]["status"] == 413
    assert next(parts, None) is None
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("path", "method", "status", "message"),
    [
        ("/nowhere", "POST", 404, "Not Found"),
        (ROUTE, "GET", 405, "Method Not Allowed"),
        (ROUTE, "POST", 415, "the content type application/json is expected, got none"),
    ],
)
def test_errors_of_the_framework_have_the_same_form(client, path, method, status, message):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["message"] == message
    assert set(answer.json()) == {"error_code", "message"}


def test_the_type_may_be_written_in_any_case(client):
    body = json.dumps({"dataframe_records": records(PAIRS)})
    for kind in ("Application/JSON", "APPLICATION/json; Charset=UTF-8"):
        assert client.post(ROUTE, content=body, headers={"content-type": kind}).status_code == 200


def test_only_names_of_this_machine_are_answered(detector):
    app = ScoringServer(detector, LARGEST, allowed_hosts("127.0.0.1"))
    for host, status in (("localhost", 200), ("127.0.0.1:5002", 200), ("attacker.example", 400)):
        answer = TestClient(app).post(ROUTE, json={"dataframe_records": records(PAIRS)}, headers={"Host": host})
        assert answer.status_code == status
    assert answer.json() == {"error_code": "BAD_REQUEST", "message": "Invalid host header"}
    assert allowed_hosts("0.0.0.0") == ["*"]


def test_a_text_that_is_far_too_long_is_named(detector):
    client = TestClient(ScoringServer(detector, 10**6, ["*"]))
    answer = client.post(ROUTE, json={"dataframe_records": records([("a", "b"), ("a" * 100_001, "b")])})
    assert answer.status_code == 400
    problem = "the text has 100,001 characters; a question has at most 100,000"
    assert answer.json()["message"].endswith(f"question1 of pair 2 of 2: {problem}")


def test_a_client_that_leaves_is_no_error(detector, running, leave):
    with running(ScoringServer(detector, LARGEST, ["*"])) as address:
        leave(address, ROUTE)


def test_how_much_was_read_is_in_the_answer(detector):
    pairs = records([("how do i cook rice", "wie koche ich Reis"), ("card " * 65, "card " * 65)])
    answer = TestClient(ScoringServer(detector, LARGEST, ["*"])).post(ROUTE, json={"dataframe_records": pairs}).json()
    read = [(row["known_words1"], row["known_words2"], row["cut"]) for row in answer["predictions"]]
    assert read == [(1, 0, 0), (1, 1, 2)]


def test_an_error_of_the_model_is_reported_without_its_traceback(detector):
    class Failing(Detector):
        def verdicts(self, pairs):
            raise RuntimeError("of the inside")

    failing = Failing(detector.network, detector.vectorizer, detector.calibration)
    answer = TestClient(ScoringServer(failing, LARGEST, ["*"])).post(ROUTE, json={"dataframe_records": records(PAIRS)})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error_code", "message"}
    assert "Traceback" not in answer.text
    assert "of the inside" not in answer.text


@pytest.mark.parametrize(
    ("length", "shown"), [(2 * SHOWN, 2 * SHOWN), (2 * SHOWN + 1, 2 * SHOWN + 3), (10**6, 2 * SHOWN + 3)]
)
def test_a_long_message_keeps_its_start_and_its_end(length, shown):
    message = json.loads(error(400, ("start" + "-" * length + "end")[: length - 3] + "end").body)["message"]
    assert len(message) == shown
    assert message.startswith("start")
    assert message.endswith("end")


def test_mlflows_other_routes(client):
    for path, content in (("/ping", "\n"), ("/health", "\n"), ("/version", mlflow.__version__)):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (200, content)
        assert answer.headers["content-type"] == "application/json"


def test_mlflow_is_not_imported(run_python):
    done = run_python(
        "-c", "import sys, siamese.serving.scoring_server; print(*{'mlflow', 'pandas'} & set(sys.modules))"
    )
    assert done.stdout == "\n", done.stderr


def test_a_request_is_a_line_of_the_log_without_its_questions(detector, capsys):
    client = TestClient(ScoringServer(detector, LARGEST, ["*"], log_requests=True))
    client.post(ROUTE, json={"dataframe_records": records(PAIRS)})
    client.get("/nowhere")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert {name: first[name] for name in ("client", "method", "path", "status", "pairs")} == {
        "client": "testclient",
        "method": "POST",
        "path": ROUTE,
        "status": 200,
        "pairs": 2,
    }
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert first["ms"] > 0
    assert (second["path"], second["status"], second["pairs"]) == ("/nowhere", 404, 0)
    assert PAIRS[0][0] not in json.dumps(first)


def test_nothing_is_logged_unless_it_is_wished(client, capsys):
    client.post(ROUTE, json={"dataframe_records": records(PAIRS)})
    assert capsys.readouterr() == ("", "")


def metric(client: TestClient, name: str, **labels: str) -> float | None:
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [each for family in families for each in family.samples]
    return next((each.value for each in samples if each.name == name and each.labels == labels), None)


def test_metrics_count_requests_pairs_and_seconds(detector):
    client = TestClient(ScoringServer(detector, LARGEST, ["*"]))
    for _ in range(3):
        client.post(ROUTE, json={"dataframe_records": records(PAIRS)})
    client.post(ROUTE, json={})
    client.get("/ping")
    assert metric(client, "siamese_requests_total", path=ROUTE, status="200") == 3
    assert metric(client, "siamese_requests_total", path=ROUTE, status="400") == 1
    assert metric(client, "siamese_requests_total", path="other", status="200") >= 1
    assert metric(client, "siamese_pairs_total") == 6
    assert metric(client, "siamese_request_seconds_count") == 4
    assert metric(client, "siamese_request_seconds_bucket", le="+Inf") == 4
    assert metric(client, "siamese_waiting_requests") == 0


def test_another_detector_may_take_the_place_of_one(detector):
    server = ScoringServer(replace(detector, model="old"), LARGEST, ["*"])
    client = TestClient(server)
    for model in ("old", "new"):
        server.detector = replace(detector, model=model)
        assert client.post(ROUTE, json={"dataframe_records": records(PAIRS)}).json()["model"] == model
