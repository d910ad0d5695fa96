"""Scoring server: a detector behind HTTP. Pairs of questions in, similarity, probability and verdict out.

Routes, formats and schema checks are those of MLflow's server (`mlflow.pyfunc.scoring_server`). A layer around it
refuses requests that MLflow would misread or crash on, and gives all errors one format.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import TypeGuard, TypeVar

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, Schema
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from siamese.data.questions import LONGEST, text_problem
from siamese.detector import Detector
from siamese.serving.connections import read_body

QUESTIONS = ("question1", "question2")
ANSWERS = {  # name -> type in MLflow's schema
    "similarity": "double",
    "probability": "double",
    "duplicate": "boolean",
    "known_words1": "double",
    "known_words2": "double",
    "cut": "long",
}
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", name) for name in QUESTIONS]),
    outputs=Schema([ColSpec(kind, name) for name, kind in ANSWERS.items()]),
)
ROUTE = "/invocations"  # MLflow's
EXAMPLE = ("How do I reset my password?", "I forgot my password, what now?")
FORMS = ("dataframe_records", "dataframe_split")
WIDEST = 100  # columns that a request may have
SHOWN = 500  # characters at either end of a message: some of MLflow's repeat the request
MOST_SMALL = 2**16  # bytes of a body that is answered before large ones
LARGE: ContextVar[bool] = ContextVar("LARGE", default=False)  # whether the request under way is larger

Kind = TypeVar("Kind")


def answers(detector: Detector, pairs: pd.DataFrame) -> list[dict[str, float | bool | None]]:
    """The values of `ANSWERS` for each pair of the columns question1 and question2, in order.

    A list, because a DataFrame would cost a sixth of a request. A value that is empty or not a string raises
    MlflowException; MLflow's server answers with status 400.
    """
    columns = [pairs[name].tolist() for name in QUESTIONS]
    for name, values in zip(QUESTIONS, columns, strict=True):
        for number, value in enumerate(values, start=1):
            problem = text_problem(value)
            if problem:
                raise MlflowException.invalid_parameter_value(f"{name} of pair {number} of {len(values)}: {problem}")
    found = detector.verdicts(list(zip(*columns, strict=True))).columns()
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def curl(address: str) -> str:
    """A command that asks the server.

    >>> print(curl("http://127.0.0.1:5002").split(" -d ")[0])
    curl http://127.0.0.1:5002/invocations -H 'Content-Type: application/json'
    """
    pairs = json.dumps({"dataframe_records": [dict(zip(QUESTIONS, EXAMPLE, strict=True))]})
    return f"curl {address}{ROUTE} -H 'Content-Type: application/json' -d '{pairs}'"


def scoring_app(detector: Detector, max_request_bytes: int, hosts: Sequence[str]) -> ASGIApp:
    """MLflow's scoring server for a detector, as an ASGI app. It runs no code of a model.

    Beside MLflow's predictions, an answer has the model that gave it.

    Args:
        detector: answers.
        max_request_bytes: larger requests are refused.
        hosts: names of this machine that are accepted; "*" for any.
    """
    model = PyFuncModel(Model(signature=SIGNATURE), SimpleNamespace(predict=partial(answers, detector)))
    app = with_model(scoring_server.init(model), detector.model)
    return with_clear_errors(TrustedHostMiddleware(app, hosts, www_redirect=False), max_request_bytes)


def with_model(app: ASGIApp, name: str) -> ASGIApp:
    """The app of `scoring_server.init` whose predictions name their model: {"model", "predictions"}."""
    first = f'{{"model": {json.dumps(name)}, '.encode()  # in place of the {

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        waiting: list[Message] = []  # the head of an answer, until its body is known

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] == ROUTE and message["status"] == 200:
                waiting.append(message)
                return
            if waiting:
                start = waiting.pop()
                length = int(dict(start["headers"])[b"content-length"]) + len(first) - 1
                others = [head for head in start["headers"] if head[0] != b"content-length"]
                await send({**start, "headers": [*others, (b"content-length", str(length).encode())]})
                message = {**message, "body": first + message["body"][1:]}
            await send(message)

        await app(scope, receive, send_named)

    return answer


def with_clear_errors(app: ASGIApp, max_request_bytes: int) -> ASGIApp:
    """The app of `scoring_server.init` with every error as a short JSON object {"error_code", "message"}."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive, max_request_bytes)
        except ClientDisconnect:
            return
        except HTTPException as problem:
            await _error(problem.status_code, problem.detail, problem.headers)(scope, receive, send)
            return
        refusal = _refusal(scope, body)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        LARGE.set(len(body) > MOST_SMALL)
        scope = {**scope, "headers": [(name, _as_mlflow_reads(name, value)) for name, value in scope["headers"]]}
        unread = [{"type": "http.request", "body": body, "more_body": False}]
        error: list[Message] = []  # the parts of MLflow's error response

        async def receive_again() -> Message:
            return unread.pop() if unread else await receive()

        async def send_if_good(message: Message) -> None:
            if error or message.get("status", 0) >= 400:
                error.append(message)
            else:
                await send(message)

        await app(scope, receive_again, send_if_good)
        if error:
            text = b"".join(part.get("body", b"") for part in error).decode()
            await _error(error[0]["status"], _message(text))(scope, receive, send)

    return answer


def form_problem(body: bytes) -> str:
    """Why a body is not passed on to MLflow; "" if it is.

    MLflow accepts more formats. In some it converts numbers and null to texts, or reads the first columns of a CSV as
    an index. And one wide row widens its whole table: a request of 1 MB could allocate 100 GB. Nor may texts grow when they
    are normalized: one character can become 18.

    >>> form_problem(b'{"dataframe_records": [{"question1": "a", "question2": "b"}]}')
    ''
    >>> form_problem(b'{"inputs": []}')
    'an object with dataframe_records or dataframe_split alone is expected; it has inputs'
    """
    try:
        request = json.loads(body.decode())
    except UnicodeDecodeError as problem:
        return f"the body is not UTF-8: {problem.reason} at byte {problem.start}"
    except (ValueError, RecursionError) as problem:
        return f"the body, {len(body):,} bytes, is not readable JSON: {problem}"
    if not isinstance(request, dict):
        return f"an object with {' or '.join(FORMS)} is expected, not {type(request).__name__}"
    if len(request) != 1 or not request.keys() <= set(FORMS):
        has = ", ".join(request)[:SHOWN] or "nothing"
        return f"an object with {' or '.join(FORMS)} alone is expected; it has {has}"
    records, table = request.get("dataframe_records"), request.get("dataframe_split")
    if _all_are(records, dict):
        width = len(set().union(*records))
    elif isinstance(table, dict) and _all_are(table.get("columns"), str) and _all_are(table.get("data"), list):
        width = max(map(len, [table["columns"], *table["data"]]))
    else:
        return (
            "dataframe_records must be a list of objects, one for each pair; dataframe_split must have columns, "
            "a list of names, and data, a list with a list for each pair"
        )
    if width > WIDEST:
        return f"the pairs have {width:,} columns; at most {WIDEST} are accepted"
    if body.isascii() and b"\\u" not in body:
        return ""
    grown = len(unicodedata.normalize("NFKC", json.dumps(request, ensure_ascii=False)))
    if grown > max(LONGEST, len(body)):
        return f"the texts have {grown:,} characters after normalization (NFKC), more than the {len(body):,} bytes of the body"
    return ""


def _all_are(values: object, kind: type[Kind]) -> TypeGuard[list[Kind]]:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _refusal(scope: Scope, body: bytes) -> JSONResponse | None:
    """The response to a request that is not passed on to MLflow."""
    if scope["path"] != ROUTE or scope["method"] != "POST":
        return None
    content_type = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return _error(415, f"the content type application/json is expected, got {content_type or 'none'}")
    problem = form_problem(body)
    return _error(400, problem) if problem else None


def _message(text: str) -> str:
    """The message of MLflow's error response."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text
    return str(answer.get("message") or answer.get("detail"))


def _as_mlflow_reads(name: bytes, value: bytes) -> bytes:
    """The value of a header; MLflow takes a content type in small letters alone."""
    return value.lower() if name == b"content-type" else value


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    shown = message if len(message) <= 2 * SHOWN else f"{message[:SHOWN]} … {message[-SHOWN:]}"
    return JSONResponse({"error_code": HTTPStatus(status).name, "message": shown}, status, headers)
