"""The protocol: pairs of a request in either form, a clear error for every other body, and answers as JSON."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from siamese.detector import Detector
from siamese.serving import protocol
from siamese.serving.protocol import QUESTIONS, answer_bodies, read_pairs, type_problem

PAIRS = [("how do i pay my bill", "where can i pay the bill ?"), ("i lost my card", "how do i cook rice")]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("tests/fixtures/detector_format_5")


def records(pairs) -> list[dict]:
    return [dict(zip(QUESTIONS, pair, strict=True)) for pair in pairs]


def problem_of(request: object, **style) -> str:
    try:
        read_pairs(json.dumps(request, **style).encode())
    except ValueError as problem:
        return str(problem)
    return ""


def test_both_forms_hold_the_same_pairs():
    split = {"columns": ["question2", "id", "question1"], "data": [[right, 7, left] for left, right in PAIRS]}
    for request in ({"dataframe_records": records(PAIRS)}, {"dataframe_split": split}):
        assert read_pairs(json.dumps(request).encode()) == PAIRS
    assert read_pairs(b'{"dataframe_split": {"columns": ["question1", "question2"], "data": []}}') == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "the text is missing"),
        (float("nan"), "the text is missing"),
        (7, "a text is expected, not int"),
        (["a"], "a text is expected, not list"),
        (" \n", "the text is empty"),
        ("\ud83d", "the text is not UTF-8: surrogates not allowed"),
        ("a" * 100_001, "the text has 100,001 characters; a question has at most 100,000"),
    ],
)
def test_the_first_invalid_question_is_named(value, problem):
    pairs = [*PAIRS, ("a", value), (3, 4)]
    assert problem_of({"dataframe_records": records(pairs)}) == (
        "question1 of pair 4 of 4: a text is expected, not int"
    )
    assert problem_of({"dataframe_records": records(pairs[:3])}) == f"question2 of pair 3 of 3: {problem}"


def test_a_question_that_one_record_lacks_is_missing():
    assert problem_of({"dataframe_records": [*records(PAIRS), {"question1": "a"}]}) == (
        "question2 of pair 3 of 3: the text is missing"
    )


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"dataframe_records": records(PAIRS)}, ""),
        ({"dataframe_records": [{**records(PAIRS)[0], **{f"{i}": 0 for i in range(98)}}]}, ""),
        (
            {"dataframe_records": [{f"{i}": 0 for i in range(100)}]},
            "the pairs are missing inputs ['question1', 'question2']",
        ),
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
    found = problem_of(request_)
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
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_pairs(body)
    assert problem in str(caught.value)


@pytest.mark.parametrize("as_ascii", [True, False])
def test_texts_that_grow_when_they_are_normalized_are_refused(as_ascii):
    def request(pairs: int) -> dict:
        texts = [(f"{number} " + "\ufdfa" * 20, "a") for number in range(pairs)]
        return {"dataframe_records": records(texts)}

    assert problem_of(request(200), ensure_ascii=as_ascii) == ""  # few
    found = problem_of(request(2_000), ensure_ascii=as_ascii)
    assert found.startswith("the texts have 73")
    assert " characters after normalization (NFKC), more than the " in found
    french = [("où est mon colis, déjà envoyé ?", "mon paquet n'arrive pas, où est-il passé ?")] * 5_000
    assert problem_of({"dataframe_records": records(french)}, ensure_ascii=as_ascii) == ""


@pytest.mark.parametrize(
    ("content_type", "problem"),
    [
        ("application/json", ""),
        ("APPLICATION/json; Charset=UTF-8", ""),
        ("", "the content type application/json is expected, got none"),
        ("application/jsonl", "the content type application/json is expected, got application/jsonl"),
        ("application/json; charset=latin-1", "the server only supports UTF-8, got application/json; charset=latin-1"),
        ("application/json; format=pandas-split", "the content type has the parameter format; only charset=utf-8 is"),
    ],
)
def test_the_type_of_a_body(content_type, problem):
    assert type_problem(content_type).startswith(problem)
    assert bool(type_problem(content_type)) == bool(problem)


def test_answers_are_the_detectors(detector):
    [body] = answer_bodies(detector, [PAIRS])
    answer = json.loads(body)
    similarity = detector.similarity(PAIRS)
    assert answer["model"] == detector.model
    assert [each["similarity"] for each in answer["predictions"]] == similarity.tolist()
    assert [each["probability"] for each in answer["predictions"]] == detector.probability(similarity).tolist()
    assert [each["duplicate"] for each in answer["predictions"]] == [True, False]
    assert body == json.dumps(answer).encode()  # as json writes it
    assert json.loads(answer_bodies(detector, [[]])[0])["predictions"] == []


def test_a_share_that_is_unknown_is_null(detector, monkeypatch):
    verdicts = detector.verdicts(PAIRS)
    verdicts.known_words[0, 1] = np.nan
    monkeypatch.setattr(Detector, "verdicts", lambda self, pairs: verdicts)
    predictions = json.loads(answer_bodies(detector, [PAIRS])[0])["predictions"]
    assert [row["known_words2"] is None for row in predictions] == [True, False]


def test_requests_that_are_scored_together_have_the_answers_of_each_alone(detector):
    """Up to rounding, because the network computes larger products at once."""
    questions = Path("siamese/data/corpora/en.tsv").read_text(encoding="utf-8").split("\n")[1:201]
    pairs = list(pairwise(questions))
    requests = [pairs[:1], [], pairs[1:4], *([pair] for pair in pairs[4:])]
    together = answer_bodies(detector, requests)
    for pairs, body in zip(requests, together, strict=True):
        found, alone = json.loads(body)["predictions"], json.loads(answer_bodies(detector, [pairs])[0])["predictions"]
        assert len(found) == len(alone) == len(pairs)
        for one, other in zip(found, alone, strict=True):
            assert one == pytest.approx(other, abs=1e-6)
            assert one["duplicate"] == other["duplicate"]


@pytest.mark.parametrize("values", [[1.0, None, 1.0, 0.3333], [0.1, 1e-07, 1 / 3], [True, False, True], [2, 0, 0], []])
def test_a_column_is_written_as_by_json(values):
    assert protocol._as_json(values) == [json.dumps(value) for value in values]
