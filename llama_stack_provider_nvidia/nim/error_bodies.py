"""Reads what NIMs, gateways and proxies say in the place of an answer."""

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any


def message_in(body: object) -> str:
    """Find the human text in an error body of any NIM generation.

    NIM 1.x and SGLang send a flat object, vLLM nests it under ``error``, gateways send
    problem details or plain text, FastAPI a list under ``detail``. What looks like a key is
    blotted out: some gateways quote the one they refuse.
    """
    try:
        return _KEYS.sub(r"\1***", printable(_text_in(body)))
    except RecursionError:  # nobody's error report nests that deeply
        return ""


_KEYS = re.compile(r"\b(nvapi-|sk-|Bearer\s+)[\w.~+/=-]{6,}", re.IGNORECASE)


# Headers that prove who asks, a gateway's own among them.
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_SHORTEST_SECRET = 6


def without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """Blot out of a text what a request's headers hold in secret.

    A server may quote what it was sent, be it to say that it refuses it.

    Args:
        text: For people.
        headers: Of the request.
    """
    for name, value in headers.items():
        if _SECRET_HEADER.search(name):
            for secret in (value, *value.split()):
                if len(secret) >= _SHORTEST_SECRET:
                    text = text.replace(secret, "***")
    return text


def _text_in(body: object) -> str:
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode("utf-8", "replace")
    if isinstance(body, str):
        with contextlib.suppress(ValueError):
            decoded = json.loads(body)
            if isinstance(decoded, dict | list):
                return _text_in(decoded)
        text = " ".join(body.split())
        return (
            "an HTML page" if text[:15].lower().startswith(("<!doctype", "<html")) else text[:500]
        )
    if isinstance(body, list):
        return "; ".join(filter(None, (_problem(item) for item in body)))[:500]
    if isinstance(body, dict):
        for key in ("error", "detail", "message", "title"):
            if text := _text_in(body.get(key)):
                return text
    return ""


def _problem(item: object) -> str:
    if not isinstance(item, dict):
        return _text_in(item)
    loc = item.get("loc")
    where = ".".join(str(p) for p in loc if p != "body") if isinstance(loc, list) else ""
    text = _text_in(item.get("msg")) or _text_in(item)
    return f"{where}: {text}" if where and text else text


def printable(text: str) -> str:
    """Take out what a terminal or a log would act on."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def status_in(body: object) -> int:
    """Find the HTTP status that an error report in a stream carries; 500 where there is none."""
    if isinstance(body, dict):
        inner = body.get("error")
        fields = inner if isinstance(inner, dict) else body
        for value in (fields.get("code"), fields.get("status")):
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return 500


def request_id_of(headers: Any) -> str | None:
    """Find the id that the answering server gave the request.

    ``nvcf-reqid`` comes from the hosted catalogue, ``x-dynamo-request-id`` from Dynamo.
    """
    for name in ("nvcf-reqid", "x-dynamo-request-id", "x-request-id"):
        if value := headers.get(name):
            return printable(str(value))[:128] or None
    return None
