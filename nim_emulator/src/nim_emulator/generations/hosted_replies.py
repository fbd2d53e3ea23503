"""Fixed replies of the hosted catalogue and its gateway, as users reported them."""

from __future__ import annotations

from typing import Any

from ..dialect import FixedReply

_FUNCTION = "5f3e7a10-0000-4000-8000-000000000000"
_ACCOUNT = "emulated-account"

PAGE_NOT_FOUND = FixedReply(status=404, body="404 page not found\n", note="unknown path or model")
NO_KEY = FixedReply(
    status=401,
    body={
        "timestamp": "{time}",
        "path": "{path}",
        "status": 401,
        "error": "Unauthorized",
        "requestId": "{id}",
    },
)
WRONG_KEY = FixedReply(
    status=403, body={"status": 403, "title": "Forbidden", "detail": "Authorization failed"}
)


def _problem(status: int, kind: str, title: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:inference-service:problem-details:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"/v2/nvcf/pexec/functions/{_FUNCTION}",
        "requestId": "{id}",
    }


SPECIALS = {
    "meta/llama-listed-not-callable": FixedReply(
        status=404,
        body={
            "status": 404,
            "title": "Not Found",
            "detail": f"Function '{_FUNCTION}': Not found for account '{_ACCOUNT}'",
        },
        note="listed, but not available to the account",
    ),
    "meta/llama-end-of-life": FixedReply(
        status=410,
        body={
            "type": "about:blank",
            "title": "Gone",
            "status": 410,
            "detail": "The model '{model}' has reached its end of life on 2026-08-07T00:00:00Z "
            "and is no longer available.",
        },
        note="withdrawn",
    ),
    "meta/llama-degraded": FixedReply(
        status=400,
        body=_problem(
            400,
            "bad-request",
            "Bad Request",
            f"Function id '{_FUNCTION}': DEGRADED function cannot be invoked",
        ),
        note="out of order",
    ),
    "meta/llama-no-credits": FixedReply(
        status=402,
        body={"detail": "Payment Required: the credits of this account are used up", "type": "402"},
        note="credits used up",
    ),
    "meta/llama-rate-limited": FixedReply(
        status=429,
        body={"status": 429, "title": "Too Many Requests"},
        headers={"retry-after": "1"},
        note="too many requests, with a body and `retry-after`",
    ),
    "meta/llama-rate-limited-empty": FixedReply(
        status=429, note="too many requests, without a body"
    ),
    "meta/llama-overloaded": FixedReply(
        status=503,
        body="ResourceExhausted: Worker local total request limit reached (32/32)",
        note="too many requests of all users together",
    ),
    "meta/llama-gateway-timeout": FixedReply(
        status=504,
        body="<html><head><title>504 Gateway Time-out</title></head>"
        "<body><center><h1>504 Gateway Time-out</h1></center></body></html>",
        media="text/html",
        note="the model took too long to start",
    ),
}
"""Models that are listed and cannot be used, by id."""

PENDING = ("meta/llama-slow-start",)
"""Models that answer with 202 first."""
