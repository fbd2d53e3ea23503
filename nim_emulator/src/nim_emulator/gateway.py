"""Fixed replies and deferred responses (status 202) of the hosted catalogue's gateway."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .dialect import FixedReply
from .response_bodies import encode

_MOST_PENDING = 1000
"""Number of responses that are kept until they are fetched."""


def fixed_response(
    fixed: FixedReply, request: Request, response_id: str, model: str = ""
) -> Response:
    """Return a fixed reply, with the request's own values filled in."""
    values = {
        "method": request.method,
        "path": request.url.path,
        "id": response_id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime()),
        "model": model,
    }
    body = _fill_in(fixed.body, values)
    headers = dict(fixed.headers)
    if body is None:
        return Response(None, fixed.status, headers)
    if isinstance(body, str):
        return Response(body, fixed.status, headers, fixed.media or "text/plain")
    return Response(encode(body), fixed.status, headers, fixed.media or "application/json")


def _fill_in(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill_in(item, values) for name, item in value.items()}
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def response_id(number: int, created: int) -> str:
    """Return an id for the response to a request, in the form of a UUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{created}/{number}"))


@dataclass(slots=True)
class _PendingResponse:
    """A response that is not fetched yet.

    Attributes:
        key: The ``authorization`` header of its request.
        polls: How often the response is still not ready.
        respond: Makes the response, given the request that fetches it.
    """

    key: str | None
    polls: int
    respond: Callable[[Request], Any]


class PendingResponses:
    """Responses that are fetched later, by id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, _PendingResponse] = {}

    def put(
        self, name: str, key: str | None, polls: int, respond: Callable[[Request], Any]
    ) -> Response:
        """Keep a response; return the reply that says so: status 202 and no body."""
        with self._lock:
            self._pending[name] = _PendingResponse(key, polls, respond)
            while len(self._pending) > _MOST_PENDING:
                del self._pending[next(iter(self._pending))]
        return _not_ready(name)

    def fetch(self, name: str, request: Request) -> Any:
        """Return the response, or the reply that it is not ready, or None when there is none.

        Raises:
            PermissionError: The request has another key than the one that asked.
        """
        with self._lock:
            pending = self._pending.get(name)
            if pending is None:
                return None
            if pending.key != request.headers.get("authorization"):
                raise PermissionError
            if pending.polls > 0:
                pending.polls -= 1
                return _not_ready(name)
            del self._pending[name]
        return pending.respond(request)


def _not_ready(name: str) -> Response:
    return Response(None, 202, {"nvcf-reqid": name})
