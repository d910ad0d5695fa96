"""API description: the OpenAPI document of the scoring server, and a page that shows it without any other file."""

import html
import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

import siamese
from siamese.data.questions import LONGEST
from siamese.serving.connections import page_headers
from siamese.serving.protocol import EXAMPLE, JSON, QUESTIONS, ROUTE, WIDEST, curl

Schema = dict[str, Any]
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "pre{background:#f4f4f4;padding:1rem;overflow:auto}th,td{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}"
)
POLICY = {
    "default-src": "'none'",
    "style-src": f"'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
DOCS_HEADERS = page_headers(POLICY)

QUESTION: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST,
    "description": "Has a visible character. Models read the first hundreds of characters.",
}
RECORDS: Schema = {
    "type": "object",
    "properties": {
        "dataframe_records": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": dict.fromkeys(QUESTIONS, QUESTION),
                "required": [*QUESTIONS],
                "maxProperties": WIDEST,
            },
            "description": "A pair each; other properties are ignored.",
        }
    },
    "required": ["dataframe_records"],
    "additionalProperties": False,
    "example": {"dataframe_records": [dict(zip(QUESTIONS, EXAMPLE, strict=True))]},
}
SPLIT: Schema = {
    "type": "object",
    "properties": {
        "dataframe_split": {
            "type": "object",
            "properties": {
                "columns": {
                    "type": "array",
                    "items": {"type": "string"},
                    "maxItems": WIDEST,
                    "allOf": [{"contains": {"const": name}, "maxContains": 1} for name in QUESTIONS],
                    "description": "question1 and question2 once each, in any order; other columns are ignored.",
                },
                "data": {
                    "type": "array",
                    "items": {"type": "array", "maxItems": WIDEST},
                    "description": "A pair each, with a value for each column.",
                },
            },
            "required": ["columns", "data"],
        }
    },
    "required": ["dataframe_split"],
    "additionalProperties": False,
    "example": {"dataframe_split": {"columns": [*QUESTIONS], "data": [[*EXAMPLE]]}},
}
SHARE: Schema = {
    "type": ["number", "null"],
    "minimum": 0,
    "maximum": 1,
    "description": "Share of the words that the model knows; null if it does not tell. Under 0.5 the verdict is a guess.",
}
PREDICTION: Schema = {
    "type": "object",
    "properties": {
        "similarity": {"type": "number", "description": "In [0, 1] up to rounding; grows with likeness."},
        "probability": {"type": "number", "minimum": 0, "maximum": 1, "description": "That both ask the same."},
        "duplicate": {"type": "boolean", "description": "The verdict at the model's threshold."},
        "known_words1": SHARE,
        "known_words2": SHARE,
        "cut": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2,
            "description": "How many of the two questions are longer than the model reads.",
        },
    },
    "required": ["similarity", "probability", "duplicate", "known_words1", "known_words2", "cut"],
    "additionalProperties": False,
}
ANSWER: Schema = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "description": "Which model answered, and its rule for duplicates."},
        "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}},
    },
    "required": ["model", "predictions"],
    "additionalProperties": False,
}
ERROR: Schema = {
    "type": "object",
    "properties": {"error_code": {"type": "string", "example": "BAD_REQUEST"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
    "additionalProperties": False,
}
ERRORS = {
    400: "Not a request of this form, a value is not a question, the header Host has another name, or the model failed",
    408: "The body did not come whole in time",
    413: "The body is too large",
    415: "The content type is not JSON in UTF-8",
    503: "Too many requests wait; ask again later",
}


def openapi(max_request_bytes: int) -> Schema:
    """The OpenAPI document, version 3.1, of a server that refuses larger requests."""
    failed = {
        str(status): _response(text, JSON, {"$ref": "#/components/schemas/Error"}) for status, text in ERRORS.items()
    }
    retry = {"description": "Seconds; missing where too many connections are open", "schema": {"type": "integer"}}
    failed["503"]["headers"] = {"Retry-After": retry}
    failed["503"]["content"]["text/plain"] = {"schema": {"type": "string"}}  # uvicorn's, of too many connections
    predict = {
        "summary": "Do the two questions of each pair ask the same?",
        "description": f"Answers come in the order of the pairs. A body has at most {max_request_bytes:,} bytes.",
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Request"}}}},
        "responses": {"200": _response("Predictions", JSON, {"$ref": "#/components/schemas/Answer"}), **failed},
    }
    text: Schema = {"type": "string"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Duplicate questions", "version": siamese.__version__},
        "paths": {
            ROUTE: {"post": predict},
            "/ping": _get("Whether the server answers", "text/plain", None),
            "/health": _get("Whether the server answers", "text/plain", None),
            "/version": _get("The version of MLflow whose protocol this is", "text/plain", None),
            "/metrics": _get("Counts for Prometheus", "text/plain", text),
            "/openapi.json": _get("This document", JSON, {"type": "object"}),
            "/docs": _get("This document as a page", "text/html", text),
        },
        "components": {
            "schemas": {
                "Request": {"oneOf": [RECORDS, SPLIT]},
                "Answer": ANSWER,
                "Prediction": PREDICTION,
                "Error": ERROR,
            }
        },
    }


def docs_page(address: str, max_request_bytes: int) -> str:
    """The page at /docs of the server at `address`: routes, a command that asks it, and the document."""
    document = openapi(max_request_bytes)
    routes = "".join(
        f"<tr><td>{method.upper()}</td><td>{path}</td><td>{html.escape(operation['summary'])}</td></tr>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Duplicate questions</title><style>{STYLE}</style>'
        f"<h1>Duplicate questions</h1><table>{routes}</table><h2>Ask</h2><pre>{html.escape(curl(address))}</pre>"
        f"<h2>OpenAPI</h2><pre>{html.escape(json.dumps(document, indent=2))}</pre></html>"
    )


def _get(summary: str, content_type: str, schema: Schema | None) -> Schema:
    return {"get": {"summary": summary, "responses": {"200": _response("The answer", content_type, schema)}}}


def _response(description: str, content_type: str, schema: Schema | None) -> Schema:
    return {"description": description, **({"content": {content_type: {"schema": schema}}} if schema else {})}
