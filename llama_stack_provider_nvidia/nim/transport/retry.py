"""Retry decisions for failed requests, with their delays.

A request is retried only when nothing of a response has come: the connection failed, or the NIM
answered with a status that says "not now". A NIM that takes long is not asked twice, because
it is still at work on the first attempt.
"""

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import openai

from ..errors.connection_messages import is_certificate

# 529 is Dynamo's "overloaded".
RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504, 529})

_FIRST_SECONDS = 0.5
_MOST_SECONDS = 8.0
# A limit of requests per minute is not over in half a second.
_LEAST_AFTER_429 = 1.0
_JITTER = 0.25


_FINAL = (
    httpx.DecodingError,
    httpx.LocalProtocolError,
    httpx.TooManyRedirects,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and for how long a request is attempted.

    Attributes:
        retries: Further attempts after the first.
        seconds: Longest time between the first attempt and the start of the last one.
    """

    retries: int = 2
    seconds: float = 60.0


def may_retry(error: openai.APIError) -> bool:
    """Return whether a failed request may be sent again.

    ``x-should-retry`` of the response decides where it is there, as in the openai SDK.
    """
    if isinstance(error, openai.APIStatusError):
        said = error.response.headers.get("x-should-retry", "").lower()
        if said in ("true", "false"):
            return said == "true"
        if b"DEGRADED function" in error.response.content:  # the hosted model is out of order
            return False
        return error.status_code in RETRIED_STATUSES
    if isinstance(error, openai.APITimeoutError):
        # A full pool is no better for one more in the queue; a slow response is still under way.
        return isinstance(error.__cause__, httpx.ConnectTimeout)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        # A response that cannot be decoded is one all the same, and a certificate or a request
        # that was refused would be refused again.
        return not (isinstance(cause, _FINAL) or is_certificate(cause))
    return False


def wait_before(
    attempt: int, status: int | None, headers: Mapping[str, str], now: float | None = None
) -> float:
    """Return the seconds to wait before a further attempt.

    Args:
        attempt: How many attempts have failed, from 1.
        status: HTTP status of the last one; None if there was no response.
        headers: Of the last response. ``Retry-After`` decides, as seconds or as a date.
        now: Unix time, for tests.
    """
    asked = retry_after(headers, time.time() if now is None else now)
    if asked is not None:
        return asked + random.uniform(0, _JITTER * min(asked, 1.0))  # noqa: S311
    seconds: float = min(_FIRST_SECONDS * 2 ** (attempt - 1), _MOST_SECONDS)
    seconds *= 1 - random.uniform(0, _JITTER)  # noqa: S311
    return max(seconds, _LEAST_AFTER_429) if status == 429 else seconds


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return when a server wants the next attempt, in seconds from now; None where it does not say.

    Args:
        headers: ``retry-after-ms`` (milliseconds), ``retry-after`` (seconds, or an HTTP date).
        now: Unix time.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return max(seconds, 0.0) if seconds < float("inf") else None  # nor is NaN less
    parsed = email.utils.parsedate_tz(headers.get("retry-after", ""))
    if parsed is None:
        return None
    try:
        return max(email.utils.mktime_tz(parsed) - now, 0.0)
    except (OverflowError, ValueError):
        return None
