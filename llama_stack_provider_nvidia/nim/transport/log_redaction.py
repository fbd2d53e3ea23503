"""Redact the credentials of a request from what the HTTP libraries log about its response.

They keep what is sent out of their records, but a server may quote it in a status line or a header.
"""

import contextvars
import functools
import logging

import httpx

from ..errors.redact import redact, secrets_in

_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
    "openai._base_client",
)
REQUEST_HEADERS: contextvars.ContextVar[httpx.Headers | None] = contextvars.ContextVar(
    "request_headers", default=None
)
"""Of the request that is sent in this context, whose credentials are redacted."""


def _redact_record(record: logging.LogRecord) -> bool:
    headers = REQUEST_HEADERS.get()
    if headers is not None and (secrets := secrets_in(headers)):
        record.msg, record.args = redact(record.getMessage(), secrets), ()
    return True


@functools.cache
def redact_library_logs() -> None:
    """Add the filter, once. Not on import: Llama Stack sets the level of all loggers there are."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_redact_record)
