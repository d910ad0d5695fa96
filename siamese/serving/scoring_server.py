"""Scoring server: a detector behind HTTP. Pairs of questions in, similarity, probability and verdict out.

    POST /invocations   pairs, as MLflow's server takes them -> {"model", "predictions"}
    GET  /ping, /health, /version   as MLflow's
    GET  /docs, /openapi.json       what a request and an answer are
    GET  /metrics                   for Prometheus

Neither MLflow nor pandas is imported. Every error is a JSON object {"error_code", "message"}.
"""

import importlib.metadata
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

import siamese
from siamese.detector import Detector
from siamese.serving import __getattr__  # noqa: F401  # what models saved by earlier versions import from here
from siamese.serving.api_description import DOCS_HEADERS, docs_page, openapi
from siamese.serving.connections import read_body
from siamese.serving.lanes import Lanes, QueueFullError, ScoringFailedError
from siamese.serving.metrics import Metrics
from siamese.serving.protocol import JSON, ROUTE, SHOWN, type_problem

RETRY_AFTER_S = 1  # in which a full queue has room again
PAIRS = "siamese.pairs"  # in a request's scope: how many pairs it had
MLFLOW = ("mlflow-skinny", "mlflow")  # packages that have MLflow's version


class ScoringServer:
    """A detector as an ASGI app.

    Args:
        detector: answers.
        max_request_bytes: larger requests are refused.
        hosts: names of this machine that are accepted; "*" for any.
        max_waiting: requests that may wait in each lane; more are refused with status 503.
        log_requests: whether each request is a line of JSON on standard output.

    Attributes:
        detector: answers what is asked from now on; another one may take its place at any time.
    """

    def __init__(
        self,
        detector: Detector,
        max_request_bytes: int,
        hosts: Sequence[str],
        max_waiting: int = 256,
        log_requests: bool = False,
    ):
        self.detector = detector
        self._max_request_bytes, self._hosts, self._log_requests = max_request_bytes, set(hosts), log_requests
        self._lanes = Lanes(max_waiting)
        self._metrics = Metrics(lambda: len(self._lanes))
        description = JSONResponse(openapi(max_request_bytes))
        healthy, version = Response("\n", media_type=JSON), Response(_mlflow_version(), media_type=JSON)
        self._app = Starlette(
            routes=[
                Route(ROUTE, self._invocations, methods=["POST"]),
                Route("/ping", _always(healthy)),
                Route("/health", _always(healthy)),
                Route("/version", _always(version)),
                Route("/openapi.json", _always(description)),
                Route("/docs", self._docs),
                Route("/metrics", self._show_metrics),
            ],
            exception_handlers=EXCEPTION_HANDLERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, count it, and log it if that is wished."""
        started, status = time.perf_counter(), 0

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        app = self._app if self._is_host(scope) else error(400, "Invalid host header")
        try:
            await app(scope, receive, send_noting_status)
        finally:
            if scope["type"] == "http" and status:
                self._note(scope, status, time.perf_counter() - started)

    async def _invocations(self, request: Request) -> Response:
        if problem := type_problem(request.headers.get("content-type", "")):
            raise HTTPException(415, problem)
        body = await read_body(request.receive, self._max_request_bytes)
        try:
            request.scope[PAIRS], answer = await self._lanes.answer(self.detector, body)
        except ValueError as problem:
            raise HTTPException(400, str(problem)) from None
        except QueueFullError:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise HTTPException(503, "too many requests wait to be answered; ask again later", headers) from None
        except ScoringFailedError:
            raise HTTPException(400, "the model could not compare these pairs; the server's log says how") from None
        return Response(answer, media_type=JSON)

    async def _docs(self, request: Request) -> Response:
        return HTMLResponse(docs_page(str(request.base_url).rstrip("/"), self._max_request_bytes), headers=DOCS_HEADERS)

    async def _show_metrics(self, request: Request) -> Response:
        text, content_type = self._metrics.text()
        return Response(text, headers={"Content-Type": content_type})

    def _is_host(self, scope: Scope) -> bool:
        """Whether a request has a name of this machine in its header Host, see `connections.allowed_hosts`."""
        if "*" in self._hosts:
            return True
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return host.partition(":")[0] in self._hosts

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        pairs = scope.get(PAIRS, 0)
        self._metrics.note(scope["path"] == ROUTE, status, seconds, pairs)
        if self._log_requests:
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "client": (scope.get("client") or [None])[0],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "pairs": pairs,
                "ms": round(1e3 * seconds, 3),
            }
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response to a request that is not answered; a long message keeps its start and its end."""
    shown = message if len(message) <= 2 * SHOWN else f"{message[:SHOWN]} … {message[-SHOWN:]}"
    return JSONResponse({"error_code": HTTPStatus(status).name, "message": shown}, status, headers)


async def _refuse(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return error(problem.status_code, problem.detail, problem.headers)


async def _leave(request: Request, problem: Exception) -> Response:
    return Response()  # which nobody reads


async def _fail(request: Request, problem: Exception) -> Response:
    return error(500, "the server failed; its log says how")


EXCEPTION_HANDLERS: Mapping[Any, Any] = {HTTPException: _refuse, ClientDisconnect: _leave, Exception: _fail}


def _always(response: Response) -> Any:
    async def endpoint(request: Request) -> Response:
        return response

    return endpoint


def _mlflow_version() -> str:
    """The version of MLflow, as its server gives it; without MLflow that of this package."""
    for package in MLFLOW:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return siamese.__version__
