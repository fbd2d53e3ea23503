"""Building blocks of faults: the original response and the operations on the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Scope

Headers = list[tuple[str, str]]
Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers; sent with the first bytes of the body, or at the end.

    Attributes:
        status: HTTP status.
        headers: Names in lower case, and values.
    """

    status: int
    headers: Headers

    def get(self, name: str) -> str | None:
        """Return the value of a header, None without it."""
        return next((value for key, value in self.headers if key == name), None)

    def changed(self, **values: str | None) -> Head:
        """Return the head with other values; ``_`` in names means ``-``, None removes."""
        given = {name.replace("_", "-"): value for name, value in values.items()}
        kept = [(name, value) for name, value in self.headers if name not in given]
        new = [(name, value) for name, value in given.items() if value is not None]
        return Head(self.status, kept + new)

    def raw(self) -> bytes:
        """Return the bytes on the wire, for a response that ends with the connection."""
        lines = [f"HTTP/1.1 {self.status} ", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause.

    Attributes:
        seconds: How long; None until the client is gone.
    """

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes written to the connection as they are, past the HTTP library.

    Attributes:
        data: The bytes.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of the connection.

    Attributes:
        how: ``close`` it in the ordinary way (FIN), or ``reset`` it (RST).
    """

    how: Literal["close", "reset"]


@dataclass(frozen=True, slots=True)
class Restart:
    """The server resets all connections, and is away for a while.

    Attributes:
        seconds: How long its port is closed.
    """

    seconds: float


Operation = bytes | Head | Pause | Raw | Cut | Restart
"""Bytes are a part of the body, written at once."""

Operations = AsyncGenerator[Operation, None]


class OriginalResponse:
    """The response without the fault, produced when the fault first reads it.

    Args:
        app: The emulator.
        scope: The request.
        raw: The body of the request.
    """

    def __init__(self, app: ASGIApp, scope: Scope, raw: bytes) -> None:
        self._app = app
        self._scope = scope
        self._raw = raw
        self._messages: asyncio.Queue[Message] = asyncio.Queue(1)
        self._task: asyncio.Task[None] | None = None
        self._head: Head | None = None
        self.request = body_of(raw)

    @property
    def path(self) -> str:
        """Path of the request."""
        return str(self._scope["path"])

    def change_request(self, **fields: Any) -> None:
        """Change the request before it is answered; None removes a field."""
        changed = {**self.request, **fields}
        self.request = {name: value for name, value in changed.items() if value is not None}
        self._raw = json.dumps(self.request).encode()

    async def head(self) -> Head:
        """Return status and headers, without the length: the body may become another."""
        if self._head is None:
            self._task = asyncio.create_task(self._run())
            start = await self._messages.get()
            pairs = start["headers"]
            headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in pairs]
            self._head = Head(start["status"], headers).changed(content_length=None)
        return self._head

    async def streams(self) -> bool:
        """Return whether the response is a stream of events."""
        return ((await self.head()).get("content-type") or "").startswith("text/event-stream")

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the events of a stream, each with its blank line, or the whole body."""
        if not await self.streams():
            yield await self.whole()
            return
        async for data in self._bodies():
            for event in data.split(b"\n\n")[:-1]:
                yield event + b"\n\n"

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the events of a stream, or the body in four parts."""
        if await self.streams():
            async for piece in self.pieces():
                yield piece
            return
        body = await self.whole()
        size = max(1, -(-len(body) // _PARTS))
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def whole(self) -> bytes:
        """Return the body."""
        await self.head()
        return b"".join([data async for data in self._bodies()])

    async def aclose(self) -> None:
        """Stop answering."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _bodies(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._messages.get()
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def _run(self) -> None:
        unread = [self._raw]

        async def receive() -> Message:
            if not unread:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": unread.pop(), "more_body": False}

        await self._app(self._scope, receive, self._messages.put)
        # A scripted reply that breaks off does not say so.
        await self._messages.put({"type": "http.response.body"})


def body_of(raw: bytes) -> Json:
    """Return the JSON object in a request's body; an empty one when there is none."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def data_of(event: bytes) -> Any:
    """Return the JSON value of an event; None for ``[DONE]`` and comments."""
    if not event.startswith(b"data: ") or event == DONE:
        return None
    return json.loads(event[len(b"data: ") :])


def event_of(value: Any) -> bytes:
    """Return the event of a JSON value."""
    return b"data: " + encoded(value) + b"\n\n"


def encoded(value: Any) -> bytes:
    """Return compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )


def chunked(data: bytes) -> bytes:
    """Return one chunk of HTTP's chunked encoding."""
    return b"%x\r\n%s\r\n" % (len(data), data)
