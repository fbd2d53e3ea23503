"""Read the message, code and request id that NIMs, gateways and proxies report."""

import contextlib
import json
from typing import Any, NamedTuple

from .redact import printable, redact

LONGEST_MESSAGE = 500
"""How many characters of a reported message are handed on."""
LONGEST_ID = 128
"""How many characters of a request id are handed on."""
LONGEST_CODE = 64
"""How many characters of a reported code, parameter or type are handed on."""


class Reported(NamedTuple):
    """Fields of an error report in OpenAI's form, beside its message.

    Attributes:
        code: Such as ``invalid_image_url``; None for none, or a mere HTTP status.
        param: The field at fault.
        type: Such as ``BadRequestError``.
    """

    code: str | None = None
    param: str | None = None
    type: str | None = None

    def redacted(self, secrets: tuple[str, ...] = ()) -> "Reported":
        """Return it without credentials, and cut."""
        return Reported(*(one and redact(one, secrets, limit=LONGEST_CODE) for one in self))


def message_in(body: object) -> str:
    """Return the human text in an error body of any NIM generation, "" where there is none.

    NIM 1.x and SGLang send a flat object, vLLM nests it under ``error``, gateways send
    problem details or plain text, FastAPI a list under ``detail``. What looks like a key is
    redacted: some gateways quote the one they refuse.
    """
    return redact(full_message_in(body), limit=LONGEST_MESSAGE)


def full_message_in(body: object) -> str:
    """Return the human text in an error body, neither redacted nor cut.

    A structured reason that the text lacks follows it in brackets: ``Invalid request (type
    context_length, limit 2048, actual 20015)``.
    """
    try:
        text, reason = _text_in(body), _reason_in(body)
    except RecursionError:  # no error report nests that deeply
        return ""
    if reason and reason not in text:
        text = f"{text} ({reason})" if text else reason
    return printable(text)


def reported_in(body: object) -> Reported:
    """Return the code, parameter and type of an error report in OpenAI's form, not cut."""
    with contextlib.suppress(RecursionError):
        body = _decoded(body)
    inner = body.get("error") if isinstance(body, dict) else None
    fields = inner if isinstance(inner, dict) else body
    if not isinstance(fields, dict) or not isinstance(fields.get("message"), str):
        return Reported()
    found = {name: fields.get(name) for name in Reported._fields}
    return Reported(
        **{
            name: printable(value)
            for name, value in found.items()
            if isinstance(value, str) and value
        }
    )


def _decoded(body: object) -> object:
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode("utf-8", "replace")
    if isinstance(body, str):
        with contextlib.suppress(ValueError):
            return json.loads(body)
    return body


def _text_in(body: object) -> str:
    decoded = _decoded(body)
    if isinstance(decoded, list):
        return "; ".join(filter(None, (_problem(item) for item in decoded)))
    if isinstance(decoded, dict):
        for key in ("error", "detail", "message", "title"):
            if text := _text_in(decoded.get(key)):
                return text
        return ""
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode("utf-8", "replace")
    if not isinstance(body, str):
        return ""
    text = " ".join(body.split())
    return "an HTML page" if text[:15].lower().startswith(("<!doctype", "<html")) else text


def _reason_in(body: object) -> str:
    """Return what an error body says of the cause beside its text, "" where it says nothing.

    Dynamo 1.6 puts it in ``details``, at the top or under ``error``; others in ``reason`` or
    ``details`` as text. ``detail`` is mostly the text itself, and counts as an object without one.
    """
    decoded = _decoded(body)
    if not isinstance(decoded, dict):
        return ""
    inner = decoded.get("error")
    for report in (decoded, inner if isinstance(inner, dict) else {}):
        for key in ("details", "reason"):
            if said := _flat(report.get(key)):
                return said
        detail = report.get("detail")
        if isinstance(detail, dict) and not _text_in(detail):
            return _flat(detail)
    return ""


def _flat(value: object) -> str:
    """Return a text, or the scalars of an object or a list, in one line."""
    match value:
        case str():
            return " ".join(value.split())
        case bool() | int() | float():
            return json.dumps(value)
        case dict():
            said = ((name, _flat(one)) for name, one in value.items())
            return ", ".join(f"{name} {text}" for name, text in said if text)
        case list():
            return ", ".join(filter(None, map(_flat, value)))
    return ""


def _problem(item: object) -> str:
    if not isinstance(item, dict):
        return _text_in(item)
    loc = item.get("loc")
    where = ".".join(str(p) for p in loc if p != "body") if isinstance(loc, list) else ""
    text = _text_in(item.get("msg")) or _text_in(item)
    return f"{where}: {text}" if where and text else text


def status_in(body: object) -> int:
    """Return the HTTP status that an error report in a stream carries; 500 where there is none."""
    if isinstance(body, dict):
        inner = body.get("error")
        fields = inner if isinstance(inner, dict) else body
        for value in (fields.get("code"), fields.get("status")):
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return 500


def request_id_of(headers: Any, secrets: tuple[str, ...] = ()) -> str | None:
    """Return the id that the answering server gave the request.

    ``nvcf-reqid`` comes from the hosted catalogue, ``x-dynamo-request-id`` from Dynamo.

    Args:
        headers: Of the response.
        secrets: Credentials of the request, to be redacted.
    """
    for name in ("nvcf-reqid", "x-dynamo-request-id", "x-request-id"):
        if value := headers.get(name):
            return redact(printable(str(value)), secrets, limit=LONGEST_ID) or None
    return None
