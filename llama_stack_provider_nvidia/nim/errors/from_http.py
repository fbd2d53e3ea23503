"""Errors for HTTP statuses, error reports, and exceptions of the SDK and the HTTP library."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import openai

from .body import LONGEST_MESSAGE, full_message_in, reported_in, request_id_of, status_in
from .connection_messages import connection_error, timeout_error
from .factory import make, malformed
from .redact import secrets_in
from .troubleshooting import BY_CODE
from .types import InvalidRequestError, NIMError, Quote


class _Rule(NamedTuple):
    """Which cause an error status stands for; the first rule that fits counts."""

    statuses: range
    code: str
    says: str = ""
    sent_key: bool | None = None


def _only(status: int) -> range:
    return range(status, status + 1)


# The texts are those that users of the hosted catalogue report (2026-10).
_RULES = (
    _Rule(range(300, 400), "redirected"),
    _Rule(_only(404), "model_not_available", says=r"not found for account"),
    _Rule(_only(404), "model_not_found"),
    _Rule(_only(410), "model_withdrawn"),
    _Rule(range(400, 600), "model_degraded", says=r"(?-i:DEGRADED function)"),
    _Rule(_only(401), "invalid_api_key", sent_key=True),
    _Rule(_only(401), "api_key_missing"),
    _Rule(_only(402), "credits_exhausted"),
    _Rule(_only(403), "permission_denied"),
    _Rule(_only(429), "rate_limit_exceeded"),
    _Rule(_only(408), "request_timeout"),
    _Rule(_only(504), "gateway_timeout"),
    _Rule(
        range(400, 500),
        "context_length_exceeded",
        # Of embeddings the text says more: see ``nim.retrieval.embedding_request.located``.
        # Dynamo says it in its details, llama.cpp in words of its own.
        says=r"^(?!.*embedding).*(context[ _]length|context window|max_model_len"
        r"|prompt is too long|available context size)",
    ),
    _Rule(_only(413), "request_too_large"),
    _Rule(range(400, 500), "request_refused"),
    _Rule(_only(501), "not_implemented"),
    _Rule(range(500, 600), "nim_overloaded", says=r"ResourceExhausted|overloaded"),
    _Rule(_only(503), "nim_not_ready"),
    _Rule(range(500, 600), "nim_failed"),
)
# Of these the status of the response says less than that of the table.
_OWN_STATUS = frozenset({"redirected", "model_degraded", "request_timeout", "unexpected_status"})


def _code(status: int, said: str, sent_key: bool | None) -> str:
    for rule in _RULES:
        if (
            status in rule.statuses
            and rule.sent_key in (None, sent_key)
            and (not rule.says or re.search(rule.says, said, re.IGNORECASE))
        ):
            return rule.code
    return "unexpected_status"


def from_status(
    status: int,
    body: object,
    *,
    model: str | None = None,
    endpoint: str | None = None,
    request_id: str | None = None,
    sent_key: bool | None = None,
) -> NIMError:
    """Return the error for a response with an HTTP error status, or an error event in a stream.

    Args:
        status: HTTP status; an error event in a stream carries it as ``code``.
        body: The decoded JSON body, or its text.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        request_id: The NIM's own id of the request.
        sent_key: Whether the request carried a key, if that is known.
    """
    said = full_message_in(body)
    code = _code(status, said[:LONGEST_MESSAGE], sent_key)
    reported = reported_in(body)
    if code == "request_refused" and _is_refusal(reported.code):
        code = str(reported.code)
    quote = Quote(said, LONGEST_MESSAGE) if said else None
    problem = f"NIM answered {status}" + (": {quote}" if quote else " and gave no reason")
    context: dict[str, Any] = {
        "model": model,
        "endpoint": endpoint,
        "request_id": request_id,
        "reported": reported,
        "quote": quote,
    }
    if code not in _OWN_STATUS:
        context["status_code"] = status
    return make(code, problem, **context)


def _is_refusal(code: str | None) -> bool:
    """Return whether the NIM's own word for it is one of the table's, such as an image's fault."""
    cause = BY_CODE.get(code or "")
    return cause is not None and cause.kind is InvalidRequestError


def from_report(body: object, *, model: str | None = None, endpoint: str | None = None) -> NIMError:
    """Return the error for an error report in place of a response, or in a stream.

    Args:
        body: The decoded JSON; its ``code`` or ``status`` counts, else it is a 500.
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
    """
    return from_status(status_in(body), body, model=model, endpoint=endpoint)


@contextlib.contextmanager
def translated(
    model: str | None, endpoint: str, response: httpx.Response | None = None
) -> Iterator[None]:
    """Turn what the SDK and the HTTP library raise into errors of this package.

    Args:
        model: The NIM's id of the model asked for.
        endpoint: Address of the NIM.
        response: The response being read, if there is one yet.
    """
    try:
        yield
    except NIMError as error:
        _complete(error, model, endpoint, response, error)
        raise
    except (
        openai.APIError,
        httpx.TimeoutException,
        httpx.RequestError,
        json.JSONDecodeError,
        UnicodeDecodeError,
    ) as error:
        failure = _translation(error)
        _complete(failure, model, endpoint, response, error)
        # From None: the texts say it all, and a server that draws each traceback of a chain with
        # its source lines is busy for seconds, answering nobody.
        raise failure from None


def _translation(error: Exception) -> NIMError:
    match error:
        case openai.APIStatusError():
            return from_status(
                error.status_code,
                error.response.content,
                request_id=request_id_of(
                    error.response.headers, secrets_in(error.response.request.headers)
                ),
                sent_key="authorization" in error.response.request.headers,
            )
        case openai.APITimeoutError() | httpx.TimeoutException():
            return timeout_error(error.__cause__ or error)
        case openai.APIConnectionError() | httpx.RequestError():
            return connection_error(error.__cause__ or error)
        case openai.APIError():  # an error event in a stream that the SDK reads
            return from_report(error.body or str(error))
    return malformed(f"The NIM's response cannot be read: {error}.")  # a stream's event is no JSON


def _complete(
    error: NIMError,
    model: str | None,
    endpoint: str,
    response: httpx.Response | None,
    cause: Exception,
) -> None:
    """Add where it happened, and redact what the request proved itself by."""
    secrets: tuple[str, ...] = ()
    with contextlib.suppress(RuntimeError):  # what was made by hand has no request
        request = getattr(cause, "request", None) if response is None else response.request
        secrets = () if request is None else secrets_in(request.headers)
    error.model = error.model or model
    error.endpoint = error.endpoint or endpoint
    if response is not None:
        error.request_id = error.request_id or request_id_of(response.headers, secrets)
    error.redact(secrets)
