"""The API description is true: real requests and answers fit it, and what it excludes is refused."""

import json
import re

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from siamese.detector import Detector
from siamese.serving.protocol import ANSWERS, EXAMPLE, ROUTE
from siamese.serving.scoring_server import ScoringServer

LARGEST = 50_000
GOOD = [
    {"dataframe_records": [{"question1": "a", "question2": "b", "id": 7}]},
    {"dataframe_records": [{"question1": "où ?", "question2": "word " * 100}] * 5},
    {"dataframe_split": {"columns": ["question2", "x", "question1"], "data": [["a", None, "b"]]}},
    {"dataframe_split": {"columns": ["question1", "question2"], "data": []}},
]
BAD = [
    {},
    [],
    {"inputs": []},
    {"dataframe_records": []},
    {"dataframe_records": [{"question1": "a"}]},
    {"dataframe_records": [{"question1": "a", "question2": None}]},
    {"dataframe_records": [{"question1": "a", "question2": 7}]},
    {"dataframe_records": [{"question1": "a", "question2": ""}]},
    {"dataframe_records": [{"question1": "a", "question2": "b", **{f"{i}": 0 for i in range(99)}}]},
    {"dataframe_records": [{"question1": "a", "question2": "b"}], "params": {}},
    {"dataframe_split": {"columns": ["question1"], "data": [["a"]]}},
    {"dataframe_split": {"columns": ["question1", "question2", "question1"], "data": []}},
    {"dataframe_split": {"columns": ["question1", "question2"]}},
    {"dataframe_split": {"columns": ["question1", "question2"], "data": [{"question1": "a"}]}},
]


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(ScoringServer(Detector.load("tests/fixtures/detector_format_5"), LARGEST, ["*"]))


@pytest.fixture(scope="module")
def document(client) -> dict:
    return client.get("/openapi.json").json()


def validator(document: dict, schema: dict) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator({**schema, "components": document["components"]})


def of_request(document: dict) -> Draft202012Validator:
    return validator(document, document["paths"][ROUTE]["post"]["requestBody"]["content"]["application/json"]["schema"])


def of_response(document: dict, status: int) -> Draft202012Validator:
    response = document["paths"][ROUTE]["post"]["responses"][str(status)]
    return validator(document, response["content"]["application/json"]["schema"])


@pytest.mark.parametrize("request_", GOOD)
def test_what_the_schema_allows_is_answered_as_it_says(client, document, request_):
    of_request(document).validate(request_)
    answer = client.post(ROUTE, json=request_)
    assert answer.status_code == 200
    of_response(document, 200).validate(answer.json())
    assert set(document["components"]["schemas"]["Prediction"]["properties"]) == set(ANSWERS)


@pytest.mark.parametrize("request_", BAD)
def test_what_the_schema_excludes_is_refused_as_it_says(client, document, request_):
    assert not of_request(document).is_valid(request_)
    answer = client.post(ROUTE, json=request_)
    assert answer.status_code == 400
    of_response(document, 400).validate(answer.json())


def test_other_errors_fit_it(client, document):
    for status, options in ((413, {"content": b" " * (LARGEST + 1)}), (415, {"headers": {"content-type": "text/csv"}})):
        head = {"headers": {"content-type": "application/json"}}
        answer = client.post(ROUTE, **{**head, **options})
        assert answer.status_code == status
        of_response(document, status).validate(answer.json())


def test_its_examples_are_answered(client, document):
    for form in document["components"]["schemas"]["Request"]["oneOf"]:
        assert client.post(ROUTE, json=form["example"]).status_code == 200


def test_every_route_of_it_is_there(client, document):
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = client.request(method, path)
            assert answer.status_code in ((200,) if method == "get" else (415,))
            if content := operation["responses"].get(str(answer.status_code), {}).get("content"):
                assert answer.headers["content-type"].partition(";")[0] in content


def test_the_page_needs_no_other_file_and_runs_nothing(client, document):
    answer = client.get("/docs", headers={"host": "<evil>:1"})
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"<script|<link|<img|<iframe|src=|href=|<evil|style=", answer.text)
    assert EXAMPLE[0] in answer.text
    assert "curl http://" in answer.text
    for path in document["paths"]:
        assert f"<td>{path}</td>" in answer.text
    json.loads(
        re.search(r"OpenAPI</h2><pre>(.*)</pre>", answer.text, re.S)[1].replace("&quot;", '"').replace("&#x27;", "'")
    )
