"""Whether a request that failed is sent again, and when: pure decisions.

Only what has brought nothing of an answer is tried again: the connection failed, or the NIM
answered with a status that says "not now". A NIM that takes long is not asked twice, because
it is still at work on the first.
"""

import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import openai

from ..failures import is_certificate

# 529 is Dynamo's "overloaded".
RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504, 529})

_FIRST_SECONDS = 0.5
_MOST_SECONDS = 8.0
# A limit of requests per minute is not over in half a second.
_LEAST_AFTER_429 = 1.0
_JITTER = 0.25


@dataclass(frozen=True)
class RetryPolicy:
    """How often and for how long a request is tried.

    Attributes:
        tries: Further tries after the first.
        seconds: Longest time between the first try and the start of the last one.
    """

    tries: int = 2
    seconds: float = 60.0


def may_retry(error: openai.APIError) -> bool:
    """Tell whether a failed request may be sent again.

    ``x-should-retry`` of the answer decides where it is there, as in the openai SDK.
    """
    if isinstance(error, openai.APIStatusError):
        said = error.response.headers.get("x-should-retry", "").lower()
        if said in ("true", "false"):
            return said == "true"
        if b"DEGRADED" in error.response.content:  # the hosted model is out of order
            return False
        return error.status_code in RETRIED_STATUSES
    if isinstance(error, openai.APITimeoutError):
        # A full pool is no better for one more in the queue; a slow answer is still under way.
        return isinstance(error.__cause__, httpx.ConnectTimeout)
    if isinstance(error, openai.APIConnectionError):
        return not is_certificate(error.__cause__)  # which would be refused again
    return False


def wait_before(
    attempt: int, status: int | None, headers: Mapping[str, str], now: float | None = None
) -> float:
    """Give the seconds to wait before a further try.

    Args:
        attempt: How many tries have failed, from 1.
        status: HTTP status of the last one; None if there was no answer.
        headers: Of the last answer. ``Retry-After`` decides, as seconds or as a date.
        now: Unix time, for tests.
    """
    asked = retry_after(headers, time.time() if now is None else now)
    if asked is not None:
        return asked + random.uniform(0, _JITTER * min(asked, 1.0))  # noqa: S311
    seconds: float = min(_FIRST_SECONDS * 2 ** (attempt - 1), _MOST_SECONDS)
    seconds *= 1 - random.uniform(0, _JITTER)  # noqa: S311
    return max(seconds, _LEAST_AFTER_429) if status == 429 else seconds


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read when a server wants the next try, in seconds from now; None where it does not say.

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
