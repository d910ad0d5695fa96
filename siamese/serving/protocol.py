"""The protocol of MLflow's scoring server: pairs of questions in, an object with a row of answers for each pair out.

What MLflow would misread is refused: in some of its formats numbers and null become texts, or the first columns of a CSV an
index.
"""

import json
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeGuard, TypeVar

from siamese.data.questions import LONGEST, NOT_UTF8, all_questions, text_problem
from siamese.detector import Detector

ROUTE = "/invocations"
QUESTIONS = ("question1", "question2")
ANSWERS = {  # name -> type in MLflow's schema
    "similarity": "double",
    "probability": "double",
    "duplicate": "boolean",
    "known_words1": "double",
    "known_words2": "double",
    "cut": "long",
}
FORMS = ("dataframe_records", "dataframe_split")
EXAMPLE = ("How do I reset my password?", "I forgot my password, what now?")
JSON = "application/json"
WIDEST = 100  # columns that a request may have
SHOWN = 500  # characters of a request that a message repeats

Pair = tuple[str, str]
Kind = TypeVar("Kind")


def curl(address: str) -> str:
    """A command that asks the server.

    >>> print(curl("http://127.0.0.1:5002").split(" -d ")[0])
    curl http://127.0.0.1:5002/invocations -H 'Content-Type: application/json'
    """
    pairs = json.dumps({FORMS[0]: [dict(zip(QUESTIONS, EXAMPLE, strict=True))]})
    return f"curl {address}{ROUTE} -H 'Content-Type: {JSON}' -d '{pairs}'"


def type_problem(content_type: str) -> str:
    """Why a body of this type is not read; "" if it is.

    >>> type_problem("Application/JSON; charset=UTF-8"), type_problem("text/csv")
    ('', 'the content type application/json is expected, got text/csv')
    """
    kind, *parameters = (part.strip() for part in content_type.lower().split(";"))
    if kind != JSON:
        return f"the content type {JSON} is expected, got {content_type or 'none'}"
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name != "charset":
            return f"the content type has the parameter {name}; only charset=utf-8 is known"
        if value != "utf-8":
            return f"the server only supports UTF-8, got {content_type}"
    return ""


def read_pairs(body: bytes) -> list[Pair]:
    """The pairs of questions that the body of a request holds, in order; other columns are ignored.

    Raises:
        ValueError: it is not of this form, or a value is not a question, whose place is named.

    >>> read_pairs(b'{"dataframe_records": [{"question1": "a", "question2": "b"}]}')
    [('a', 'b')]
    >>> read_pairs(b'{"inputs": []}')
    Traceback (most recent call last):
    ValueError: an object with dataframe_records or dataframe_split alone is expected; it has inputs
    """
    columns = _columns(_parsed(body))
    if not all(map(all_questions, columns)):
        for name, values in zip(QUESTIONS, columns, strict=True):
            for number, value in enumerate(values, start=1):
                if problem := text_problem(value):
                    detail = ": surrogates not allowed" if problem == NOT_UTF8 else ""
                    raise ValueError(f"{name} of pair {number} of {len(values)}: {problem}{detail}")
    _require_no_growth(body, columns)
    return list(zip(*columns, strict=True))


def answer_bodies(detector: Detector, requests: Sequence[Sequence[Pair]]) -> list[bytes]:
    """The body of the answer to each of several requests, whose pairs are scored together."""
    verdicts = detector.verdicts([pair for pairs in requests for pair in pairs])
    columns = [_as_json(column) for column in verdicts.columns().values()]
    rows = [_ROW % row for row in zip(*columns, strict=True)]
    head, start, bodies = f'{{"model": {json.dumps(detector.model)}, "predictions": [', 0, []
    for pairs in requests:
        bodies.append(f"{head}{', '.join(rows[start : start + len(pairs)])}]}}".encode())
        start += len(pairs)
    return bodies


def _as_json(values: list[Any]) -> list[str]:
    """Each value of a column as JSON, in a call for each different value or, where most differ, in one for all."""
    distinct = set(values)
    if len(distinct) > len(values) // 2:
        return json.dumps(values)[1:-1].split(", ")
    # 1, 1.0 and true are equal, but a column has values of one type, or null beside them
    return list(map({value: json.dumps(value) for value in distinct}.__getitem__, values))


_ROW = "{" + ", ".join(f'"{name}": %s' for name in ANSWERS) + "}"


def _parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, with one of the forms and nothing else."""
    try:
        request = json.loads(body.decode())
    except UnicodeDecodeError as problem:
        raise ValueError(f"the body is not UTF-8: {problem.reason} at byte {problem.start}") from None
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"the body, {len(body):,} bytes, is not readable JSON: {problem}") from None
    if not isinstance(request, dict):
        raise ValueError(f"an object with {' or '.join(FORMS)} is expected, not {type(request).__name__}")
    if len(request) != 1 or not request.keys() <= set(FORMS):
        has = ", ".join(request)[:SHOWN] or "nothing"
        raise ValueError(f"an object with {' or '.join(FORMS)} alone is expected; it has {has}")
    return request


def _columns(request: dict[str, Any]) -> list[list[Any]]:
    """The values of the two columns of questions, None where a record has none."""
    records, table = request.get("dataframe_records"), request.get("dataframe_split")
    if _all_are(records, dict):
        names = set().union(*records)
        _require_columns(names, len(names))
        return [[record.get(name) for record in records] for name in QUESTIONS]
    if isinstance(table, dict) and _all_are(table.get("columns"), str) and _all_are(table.get("data"), list):
        columns, data = table["columns"], table["data"]
        _require_columns(columns, max(map(len, [columns, *data])))
        for number, row in enumerate(data, start=1):
            if len(row) != len(columns):
                raise ValueError(f"row {number} of {len(data)} has {len(row)} values for {len(columns)} columns")
        return [[row[at] for row in data] for at in map(columns.index, QUESTIONS)]
    raise ValueError(
        "dataframe_records must be a list of objects, one for each pair; dataframe_split must have columns, "
        "a list of names, and data, a list with a list for each pair"
    )


def _require_columns(names: Sequence[str] | set[str], width: int) -> None:
    """Raise ValueError unless the columns of a request are few, with each of the two questions once."""
    if width > WIDEST:
        raise ValueError(f"the pairs have {width:,} columns; at most {WIDEST} are accepted")
    missing = [name for name in QUESTIONS if name not in names]
    if missing:
        others = sorted(set(names) - set(QUESTIONS))
        note = f". Note that there were extra inputs: {others}" if others else ""
        raise ValueError(f"the pairs are missing inputs {missing}{note}")
    for name in QUESTIONS:
        if not isinstance(names, set) and names.count(name) > 1:
            raise ValueError(f"there are {names.count(name)} columns {name}; one is expected")


def _require_no_growth(body: bytes, columns: Sequence[list[str]]) -> None:
    """Raise ValueError if the texts become longer than the request by normalization: one character can become 18."""
    if body.isascii() and b"\\u" not in body:
        return
    grown = sum(len(unicodedata.normalize("NFKC", "\n".join(texts))) for texts in columns)
    if grown > max(LONGEST, len(body)):
        raise ValueError(
            f"the texts have {grown:,} characters after normalization (NFKC), more than the {len(body):,} bytes of the body"
        )


def _all_are(values: object, kind: type[Kind]) -> TypeGuard[list[Kind]]:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)
