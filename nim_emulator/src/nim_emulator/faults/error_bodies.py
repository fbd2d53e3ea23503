"""Error bodies in each form that NIMs, their gateways and proxies are known to send."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Literal

Body = Literal[
    "nested",
    "flat",
    "reason",
    "string",
    "problem",
    "title",
    "unauthorized",
    "detail-text",
    "detail-list",
    "text",
    "html",
    "empty",
    "truncated",
    "wrong-type",
    "no-type",
    "list",
    "number",
    "null",
]

_HTML = (
    "<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n"
    "<center><h1>{status} {phrase}</h1></center>\r\n<hr><center>nginx</center>\r\n"
    "</body>\r\n</html>\r\n"
)


def error_json(form: str, status: int, message: str) -> Any:
    """Return the JSON value of an error, in one of the forms that are JSON.

    ``flat`` is NIM 1.x and SGLang, ``nested`` vLLM, ``reason`` Dynamo, ``string`` some hosted
    models; ``problem``, ``title``, ``unauthorized``, ``detail-text`` and ``detail-list`` come from
    the hosted gateway.
    """
    phrase = phrase_of(status)
    kind = f"{phrase.title().replace(' ', '').removesuffix('Error')}Error"
    fields = {"message": message, "type": kind, "param": None, "code": status}
    return {
        "nested": {"error": fields},
        "nested-object": {"error": {"object": "error", **fields}},
        "flat": {"object": "error", **fields},
        "reason": {"message": message, "type": phrase, "code": status},
        "string": {"error": message},
        "problem": {"type": "about:blank", "title": phrase, "status": status, "detail": message},
        "title": {"status": status, "title": phrase},
        "unauthorized": {
            "timestamp": "2026-01-01T00:00:00.000+00:00",
            "path": "/v1/chat/completions",
            "status": status,
            "error": phrase,
            "requestId": "00000000-0000-4000-8000-000000000000",
        },
        "detail-text": {"detail": message, "type": phrase},
        "detail-list": {"detail": [{"loc": ["body", "n"], "msg": message, "type": "value_error"}]},
        "list": [message],
        "number": status,
        "null": None,
    }[form]


def error_body(form: Body, status: int, message: str) -> tuple[bytes, str | None]:
    """Return the body of an error and its content type."""
    if form == "text":
        return message.encode(), "text/plain"
    if form == "html":
        return _HTML.format(status=status, phrase=phrase_of(status)).encode(), "text/html"
    if form == "empty":
        return b"", None
    if form in ("truncated", "wrong-type", "no-type"):
        data = json.dumps(error_json("nested", status, message)).encode()
        if form == "truncated":
            return data[: len(data) // 2], "application/json"
        return data, "text/html" if form == "wrong-type" else None
    media = "application/problem+json" if form == "problem" else "application/json"
    return json.dumps(error_json(form, status, message)).encode(), media


def phrase_of(status: int) -> str:
    """Return the reason phrase of an HTTP status."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
