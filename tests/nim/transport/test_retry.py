"""The requests that are retried, and when."""

import email.utils

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.nim.transport.retry import may_retry, retry_after, wait_before

REQUEST = httpx.Request("POST", "http://nim/v1/chat/completions")
NOW = 1_800_000_000.0


def answered(status: int, body: bytes = b"", **headers: str) -> openai.APIStatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, content=body, headers=named, request=REQUEST)
    return openai.APIStatusError("", response=response, body=None)


def unanswered(cause: Exception) -> openai.APIConnectionError:
    timed_out = isinstance(cause, httpx.TimeoutException)
    kind = openai.APITimeoutError if timed_out else openai.APIConnectionError
    error = kind(request=REQUEST)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        *((answered(status), True) for status in (408, 429, 502, 503, 504, 529)),
        *((answered(status), False) for status in (400, 401, 402, 403, 404, 409, 410, 422, 500)),
        (answered(500, x_should_retry="true"), True),
        (answered(503, x_should_retry="false"), False),
        (answered(503, b'{"detail": "DEGRADED function cannot be invoked"}'), False),
        (answered(503, b'{"detail": "degraded, DEGRADED"}'), True),
        (unanswered(httpx.ConnectError("refused")), True),
        (unanswered(httpx.RemoteProtocolError("disconnected")), True),
        (unanswered(httpx.ReadError("reset")), True),
        (unanswered(httpx.ConnectTimeout("slow")), True),
        (unanswered(httpx.ReadTimeout("slow")), False),
        (unanswered(httpx.PoolTimeout("full")), False),
        (unanswered(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] expired")), False),
        # A response came, and would come again.
        (unanswered(httpx.DecodingError("encoded as 'br'")), False),
        (unanswered(httpx.LocalProtocolError("illegal header")), False),
        (openai.APIError("an event", REQUEST, body=None), False),
    ],
    ids=repr,
)
def test_what_is_tried_again(error: openai.APIError, retried: bool) -> None:
    assert may_retry(error) is retried


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": email.utils.formatdate(NOW + 20, usegmt=True)}, 20),
        ({"retry-after": email.utils.formatdate(NOW - 20, usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Mon, 99 Foo 99999999999 99:99:99 GMT"}, None),
    ],
)
def test_when_the_server_says(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40), st.sampled_from(["retry-after", "retry-after-ms"]))
def test_any_header_is_a_time_or_none(value: str, name: str) -> None:
    seconds = retry_after({name: value}, NOW)
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize(
    ("attempt", "status", "least", "most"),
    [
        (1, None, 0.375, 0.5),
        (2, 503, 0.75, 1.0),
        (3, 503, 1.5, 2.0),
        (20, 503, 6.0, 8.0),
        (1, 429, 1.0, 1.0),
        (4, 429, 3.0, 4.0),
    ],
)
def test_when_it_does_not_say(attempt: int, status: int | None, least: float, most: float) -> None:
    waits = [wait_before(attempt, status, {}) for _ in range(200)]
    assert least <= min(waits)
    assert max(waits) <= most
    assert len(set(waits)) > 1 or least == most  # many clients must not come back at once


def test_what_the_server_says_is_kept_to_and_spread_a_little() -> None:
    waits = [wait_before(1, 429, {"retry-after": "2"}) for _ in range(200)]
    assert 2 <= min(waits) <= max(waits) <= 2.25
