"""Serving: the detector's answers, and a short error for every bad request."""

import asyncio
import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from siamese.detector import Detector
from siamese.serving.connections import allowed_hosts
from siamese.serving.scoring_server import (
    QUESTIONS,
    ROUTE,
    SHOWN,
    answers,
    form_problem,
    scoring_app,
    with_clear_errors,
)

PAIRS = [("how do i pay my bill", "where can i pay the bill ?"), ("i lost my card", "how do i cook rice")]
LARGEST = 2_000


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("tests/fixtures/detector_format_5")


@pytest.fixture(scope="module")
def client(detector) -> TestClient:
    return TestClient(scoring_app(detector, LARGEST, ["*"]))


def table(pairs) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=list(QUESTIONS))


def records(pairs) -> list[dict]:
    return [dict(zip(QUESTIONS, pair, strict=True)) for pair in pairs]


def test_answers_are_the_detectors(detector):
    found = answers(detector, table(PAIRS))
    similarity = detector.similarity(PAIRS)
    assert [each["similarity"] for each in found] == similarity.tolist()
    assert [each["probability"] for each in found] == detector.probability(similarity).tolist()
    assert [each["duplicate"] for each in found] == [True, False]
    assert type(found[0]["duplicate"]) is bool
    assert answers(detector, table([])) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "the text is missing"),
        (np.nan, "the text is missing"),
        (7, "a text is expected, not int"),
        (["a"], "a text is expected, not list"),
        (" \n", "the text is empty"),
    ],
)
def test_the_first_invalid_question_is_named(detector, value, problem):
    pairs = table([*PAIRS, ("a", value), (3, 4)]).astype(object)
    with pytest.raises(MlflowException, match=r"^question1 of pair 4 of 4: a text is expected, not int$"):
        answers(detector, pairs)
    with pytest.raises(MlflowException, match=f"^question2 of pair 3 of 3: {problem}$"):
        answers(detector, pairs[:3])


def test_mlflows_two_forms_of_pairs_get_the_same_answer(client, detector):
    split = {"columns": ["question2", "id", "question1"], "data": [[right, 7, left] for left, right in PAIRS]}
    for form in ({"dataframe_records": records(PAIRS)}, {"dataframe_split": split}):
        answer = client.post(ROUTE, json=form)
        assert answer.status_code == 200
        assert answer.json() == {"model": detector.model, "predictions": answers(detector, table(PAIRS))}


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"dataframe_records": records(PAIRS)}, ""),
        ({"dataframe_records": [{f"{i}": 0 for i in range(100)}]}, ""),
        (
            {"dataframe_records": [{f"{i}": 0} for i in range(101)]},
            "the pairs have 101 columns; at most 100 are accepted",
        ),
        ({"dataframe_split": {"columns": [], "data": [[], [0] * 101]}}, "the pairs have 101 columns; at most 100"),
        ({"dataframe_split": {"columns": ["a"] * 101, "data": []}}, "the pairs have 101 columns; at most 100"),
        ({"dataframe_split": {"columns": [["a"]], "data": [["b"]]}}, "dataframe_split must have columns, a list of"),
        ({"dataframe_split": {"data": [["b"]]}}, "dataframe_split must have columns, a list of names"),
        ({"dataframe_split": {"columns": ["a"], "data": [{"a": 1}]}}, "and data, a list with a list for each pair"),
        ({"dataframe_records": ["a", "b"]}, "dataframe_records must be a list of objects, one for each pair"),
        ({"dataframe_records": {"question1": "a"}}, "dataframe_records must be a list of objects"),
        ({"dataframe_records": [], "params": {}}, "alone is expected; it has dataframe_records, params"),
        ({"instances": []}, "alone is expected; it has instances"),
        ({}, "alone is expected; it has nothing"),
        (["a"], "is expected, not list"),
        (None, "is expected, not NoneType"),
    ],
)
def test_the_form_of_a_request(request_, problem):
    found = form_problem(json.dumps(request_).encode())
    assert problem in found
    assert bool(problem) == bool(found)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "0 bytes, is not readable JSON: Expecting value"),
        (b'{"dataframe_records": [', "23 bytes, is not readable JSON"),
        (b"[" * 100_000, "maximum recursion depth exceeded"),
        (b'{"a":' * 100_000, "maximum recursion depth exceeded"),
        (b"9" * 5_000, "5,000 bytes, is not readable JSON: Exceeds the limit"),
        (b'{"a": "\xff"}', "not UTF-8: invalid start byte at byte 7"),
        ('{"a": "où"}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_no_json_in_utf_8(body, problem):
    assert problem in form_problem(body)


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


def test_what_is_too_large_is_read_to_its_end_and_not_kept():
    parts, sent = iter(range(99, -1, -1)), []

    async def receive() -> dict:
        left = next(parts)
        return {"type": "http.request", "body": bytes(1_000_000), "more_body": left > 0}

    async def send(message: dict) -> None:
        sent.append(message)

    tracemalloc.start()
    asyncio.run(
        with_clear_errors(PlainTextResponse(""), LARGEST)({"type": "http", "path": ROUTE, "headers": []}, receive, send)
    )
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
    app = scoring_app(detector, LARGEST, allowed_hosts("127.0.0.1"))
    for host, status in (("localhost", 200), ("127.0.0.1:5002", 200), ("attacker.example", 400)):
        answer = TestClient(app).post(ROUTE, json={"dataframe_records": records(PAIRS)}, headers={"Host": host})
        assert answer.status_code == status
    assert answer.json() == {"error_code": "BAD_REQUEST", "message": "Invalid host header"}
    assert allowed_hosts("0.0.0.0") == ["*"]


@pytest.mark.parametrize("as_ascii", [True, False])
def test_texts_that_grow_when_they_are_normalized_are_refused(as_ascii):
    def sent(pairs: int) -> bytes:
        texts = [(f"{number} " + "\ufdfa" * 20, "a") for number in range(pairs)]
        return json.dumps({"dataframe_records": records(texts)}, ensure_ascii=as_ascii).encode()

    assert form_problem(sent(200)) == ""  # few
    found = form_problem(sent(2_000))
    assert found.startswith("the texts have 8")
    assert " characters after normalization (NFKC), more than the " in found
    french = [("où est mon colis, déjà envoyé ?", "mon paquet n'arrive pas, où est-il passé ?")] * 5_000
    assert form_problem(json.dumps({"dataframe_records": records(french)}, ensure_ascii=as_ascii).encode()) == ""


def test_a_text_that_is_far_too_long_is_named(detector):
    client = TestClient(scoring_app(detector, 10**6, ["*"]))
    answer = client.post(ROUTE, json={"dataframe_records": records([("a", "b"), ("a" * 100_001, "b")])})
    assert answer.status_code == 400
    problem = "the text has 100,001 characters; a question has at most 100,000"
    assert answer.json()["message"].endswith(f"question1 of pair 2 of 2: {problem}")


def test_a_client_that_leaves_is_no_error(detector, running, leave):
    with running(scoring_app(detector, LARGEST, ["*"])) as address:
        leave(address, ROUTE)


def test_how_much_was_read_is_in_the_answer(detector):
    pairs = records([("how do i cook rice", "wie koche ich Reis"), ("card " * 65, "card " * 65)])
    answer = TestClient(scoring_app(detector, LARGEST, ["*"])).post(ROUTE, json={"dataframe_records": pairs}).json()
    read = [(row["known_words1"], row["known_words2"], row["cut"]) for row in answer["predictions"]]
    assert read == [(1, 0, 0), (1, 1, 2)]


def test_an_error_of_the_model_is_reported_without_its_traceback(detector):
    class Failing(Detector):
        def verdicts(self, pairs):
            raise RuntimeError("of the inside")

    failing = Failing(detector.network, detector.vectorizer, detector.calibration)
    answer = TestClient(scoring_app(failing, LARGEST, ["*"])).post(ROUTE, json={"dataframe_records": records(PAIRS)})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error_code", "message"}
    assert "Traceback" not in answer.text
    assert "of the inside" not in answer.text


@pytest.mark.parametrize(
    ("length", "shown"), [(2 * SHOWN, 2 * SHOWN), (2 * SHOWN + 1, 2 * SHOWN + 3), (10**6, 2 * SHOWN + 3)]
)
def test_a_long_message_keeps_its_start_and_its_end(length, shown):
    error = ("start" + "-" * length + "end")[: length - 3] + "end"
    app = with_clear_errors(PlainTextResponse(error, 400), LARGEST)
    message = TestClient(app).get("/").json()["message"]
    assert len(message) == shown
    assert message.startswith("start")
    assert message.endswith("end")


def test_good_answers_pass_unchanged():
    app = with_clear_errors(PlainTextResponse("x" * 10_000, headers={"x-own": "1"}), LARGEST)
    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.text, answer.headers["x-own"]) == (200, "x" * 10_000, "1")
