"""Answers requests from a capture in place of the emulator: an ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .capture_file import Capture, CapturedCall
from .connection import TRANSPORT, reset
from .event_sender import DisconnectWatcher
from .record import readable
from .response_bodies import encode

_MARK = (b"x-nim-emulator", b"not-in-capture")
_MOST_NAMES = 5
_Key = tuple[str, str, str]


class Replay:
    """The NIM of a capture.

    The same request (method, path and JSON body, in whatever order its fields are) gets the
    recorded response. One that was recorded several times gets these in turn, the last one from
    then on.

    Args:
        capture: What was recorded.
        timing: Send responses as slowly as they came.
    """

    def __init__(self, capture: Capture, *, timing: bool = True) -> None:
        self._timing = timing
        self._calls: dict[_Key, list[CapturedCall]] = defaultdict(list)
        for call in capture.calls:
            self._calls[_key(call.method, call.path, call.request)].append(call)
        self._given: dict[_Key, int] = defaultdict(int)

    def app(self, inspection: ASGIApp) -> ASGIApp:
        """Return the application.

        Args:
            inspection: Answers the paths below ``/emulator/``.
        """

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            inner = inspection if scope.get("path", "").startswith("/emulator/") else self
            await inner(scope, receive, send)

        return serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        raw = await request.body()
        method, path = scope["method"], scope["path"]
        body = readable(raw)
        call = self._next(_key(method, path, body))
        if call is None:
            await _send_whole(send, *self._not_recorded(method, path, body))
        elif call.withheld or call.cut:
            reason = call.withheld or f"of its {call.cut} bytes only the beginning was kept"
            await _send_whole(send, 501, f"The body of line {call.line} is not here: {reason}.")
        else:
            await self._play(call, scope, receive, send)

    def _next(self, key: _Key) -> CapturedCall | None:
        calls = self._calls.get(key)
        if calls is None:
            return None
        given = self._given[key]
        self._given[key] += 1
        return calls[min(given, len(calls) - 1)]

    async def _play(self, call: CapturedCall, scope: Scope, receive: Receive, send: Send) -> None:
        record = scope["state"]["record"]
        watch = DisconnectWatcher(receive, record)
        clock = asyncio.get_running_loop().time
        began = clock()

        async def has_left(due: float) -> bool:
            left = began + due - clock() if self._timing else 0.0
            return await watch.disconnected(max(0.0, left))

        parts = call.chunks if call.chunks is not None else [(call.seconds, call.body)]
        try:
            if call.status is not None:
                record.streamed = call.chunks is not None
                if await has_left(parts[0][0] if parts else call.seconds):
                    return
                start = {"type": "http.response.start", "status": call.status}
                await send({**start, "headers": _headers(call)})
                for due, part in parts:
                    if await has_left(due):
                        return
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            if not call.error:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not await has_left(call.seconds):
                record.end()
                reset(scope[TRANSPORT])
        finally:
            watch.cancel()

    def _not_recorded(self, method: str, path: str, body: Any) -> tuple[int, str]:
        """Return the status and text for a request that the capture does not have."""
        there = [call for calls in self._calls.values() for call in calls]
        same = [call for call in there if (call.method, call.path) == (method, path)]
        if not same:
            routes = sorted({f"{call.method} {call.path}" for call in there})
            shown = ", ".join(routes[:_MOST_NAMES]) + (" ..." if len(routes) > _MOST_NAMES else "")
            return 404, f"The capture has no {method} {path}. It has: {shown or 'nothing'}."
        nearest = min(same, key=lambda call: len(_differences(call.request, body)))
        fields = ", ".join(_differences(nearest.request, body)[:_MOST_NAMES])
        name = f" ({nearest.call})" if nearest.call else ""
        return 400, (
            f"The capture has no {method} {path} with this body. The nearest is line "
            f"{nearest.line}{name}, which differs in: {fields}."
        )


def _key(method: str, path: str, body: Any) -> _Key:
    return method, path, json.dumps(body, sort_keys=True)


def _differences(one: Any, other: Any) -> list[str]:
    """Return the names of the fields in which two bodies differ."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else ["the whole body"]
    missing = object()
    names = [*one, *(name for name in other if name not in one)]
    return [name for name in names if one.get(name, missing) != other.get(name, missing)]


def _headers(call: CapturedCall) -> list[tuple[bytes, bytes]]:
    own = [
        (name.lower().encode("ascii"), value.encode("ascii"))
        for name, value in call.headers.items()
        if name.lower() not in ("content-length", "transfer-encoding", "connection")
    ]
    if call.chunks is None and not call.error and call.status not in (204, 304):
        own.append((b"content-length", str(len(call.body)).encode()))
    return own


async def _send_whole(send: Send, status: int, message: str) -> None:
    content = encode({"error": {"message": message, "type": "not_in_capture", "code": status}})
    length = (b"content-length", str(len(content)).encode())
    headers = [(b"content-type", b"application/json"), length, _MARK]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
