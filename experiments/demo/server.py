"""The server of the demo: its page, and JSON answers to its requests.

    POST /compare   {"left", "right"}   -> similarity, probability, verdict, threshold, the words that carry it, and how much
                                       was read: known_words (shares or null) and cut
    POST /search    {"question", "top"} -> the most similar questions of the collection
    GET  /about     the collection, the threshold and the model, which all answers name

A bad request gets {"error": "…"} with a status of 4xx. Requests are answered one after another, because each takes
milliseconds.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from siamese.data.questions import text_problem
from siamese.detector import Detector
from siamese.explanation.heat_map import html
from siamese.explanation.word_effects import why
from siamese.retrieval.question_index import Collection, answers
from siamese.serving.connections import page_headers, read_body
from siamese.text.inputs import as_shares

PAGE = Path(__file__).parent / "page"
MAX_BODY = 2**16  # bytes
MAX_QUESTION = 2_000  # characters; each word costs another look
MAX_TOP = 100
WHICH = {"left": "the first question", "right": "the second question", "question": "the question"}
JSON = "application/json"  # pages of other sites may not send it without permission, which is refused
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "style-src-attr": "'unsafe-inline'",  # the colors of the heat map; an attribute can load nothing
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = page_headers(POLICY) | {"Cache-Control": "no-cache"}


def application(
    detector: Detector, collection: Collection, name: str, candidates: int, hosts: Sequence[str]
) -> Starlette:
    """The server as an ASGI application.

    Args:
        detector: compares two questions.
        collection: is searched with a detector of its own: the same, but for the threshold that suits the collection.
        name: of the collection, for the reader.
        candidates: how many nearest embeddings the whole network scores in a search.
        hosts: names of this machine that are accepted; "*" for any.
    """
    note = detector.threshold_note()

    async def compare(request: Request) -> Response:
        asked = await _read(request)
        explanation = why(detector, _question(asked, "left"), _question(asked, "right"))
        sides = explanation.left, explanation.right
        answer = {
            "similarity": float(explanation.similarity),
            "probability": float(explanation.probability),
            "duplicate": bool(explanation.duplicate),
            "threshold": detector.calibration.threshold,
            "known_words": as_shares(np.array([side.known_words for side in sides])),
            "cut": [side.cut for side in sides],
            "note": note,
            "model": detector.model,
            "html": html(explanation),
        }
        return JSONResponse(answer)

    async def search(request: Request) -> Response:
        asked = await _read(request)
        top = asked.get("top", 10)
        if type(top) is not int or not 1 <= top <= MAX_TOP:
            raise HTTPException(400, f"'top' must be a whole number from 1 to {MAX_TOP}, got {json.dumps(top)[:40]}")
        rows = answers(collection.detector, collection, _question(asked, "question"), top, candidates=candidates)
        read = {"known_words": rows[0]["known_words"], "cut": rows[0]["cut"]} if rows else {}
        return JSONResponse({"rows": rows, "model": collection.detector.model, **read})

    async def about(request: Request) -> Response:
        return JSONResponse({"collection": name, "questions": len(collection), "note": note, "model": detector.model})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/compare", compare, methods=["POST"]),
            Route("/search", search, methods=["POST"]),
            Route("/about", about),
            Route("/health", health),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=_with_headers),
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        ],
        exception_handlers={HTTPException: _refuse, ClientDisconnect: _leave},
    )


async def _read(request: Request) -> dict[str, Any]:
    """The JSON object that was sent."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != JSON:
        raise HTTPException(415, f"send JSON, with the header Content-Type: {JSON}")
    body = await read_body(request.receive, MAX_BODY)
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise HTTPException(400, f"this is no JSON in UTF-8: {problem}") from None
    if not isinstance(asked, dict):
        raise HTTPException(400, f"send a JSON object, got {type(asked).__name__}")
    return asked


def _question(asked: dict[str, Any], name: str) -> str:
    question = asked.get(name, "")
    if problem := text_problem(question):
        raise HTTPException(400, f"{WHICH[name]}: {problem}")
    if len(question) > MAX_QUESTION:
        problem = f"the text has {len(question):,} characters; at most {MAX_QUESTION:,} are compared here"
        raise HTTPException(400, f"{WHICH[name]}: {problem}")
    return question.strip()


async def _refuse(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return JSONResponse({"error": problem.detail}, problem.status_code, problem.headers)


async def _leave(request: Request, problem: Exception) -> Response:
    return Response()  # which nobody reads


async def _with_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response
