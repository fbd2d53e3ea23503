"""Sends server-sent events at a given rate and notices when the client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice

from starlette.types import Receive, Scope, Send

from .record import RecordedRequest, Reply
from .stream import Frame

_WRITES_PER_CHECK = 64
"""Frames after which other connections get a turn, when no rate slows the stream."""

_SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]


class DisconnectWatcher:
    """Waits for the client to disconnect while a response is sent."""

    def __init__(self, receive: Receive, record: RecordedRequest) -> None:
        self._task = asyncio.ensure_future(self._wait(receive))
        self._record = record

    async def _wait(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._record.leave()

    async def disconnected(self, delay: float | None = 0) -> bool:
        """Sleep; return whether the client has disconnected.

        Args:
            delay: Seconds; None to sleep until it is gone.
        """
        await asyncio.wait({self._task}, timeout=delay)
        return self._task.done()

    def cancel(self) -> None:
        """Stop waiting."""
        self._task.cancel()


class EventStream:
    """A response of server-sent events: an ASGI application.

    Args:
        record: The request; what happens is noted there.
        frames: The events.
        rate: Tokens per second, None for as fast as it goes.
        per_write: Events per write to the socket.
        headers: Further HTTP headers.
    """

    def __init__(
        self,
        record: RecordedRequest,
        frames: Iterable[Frame],
        *,
        rate: float | None = None,
        per_write: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._record = record
        self._frames = iter(frames)
        self._rate = rate
        self._per_write = per_write
        own = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        self._headers = [*_SSE_HEADERS, *own]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client goes away."""
        self._record.streamed = True
        self._record.status = 200
        watch = DisconnectWatcher(receive, self._record)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            complete = await (
                self._send_paced(send, watch) if self._rate else self._send_unpaced(send, watch)
            )
            if complete:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watch.cancel()

    async def _send_unpaced(self, send: Send, watch: DisconnectWatcher) -> bool:
        writes = 0
        while batch := list(islice(self._frames, self._per_write)):
            if writes % _WRITES_PER_CHECK == 0 and await watch.disconnected():
                return False
            writes += 1
            await self._write(send, batch)
        return True

    async def _send_paced(self, send: Send, watch: DisconnectWatcher) -> bool:
        assert self._rate is not None
        clock = asyncio.get_running_loop().time
        due = clock()
        for frame in self._frames:
            # Paced by a plan rather than by sleeping after each event, so that the
            # time for sending does not add up.
            due += frame.tokens / self._rate
            if await watch.disconnected(max(0.0, due - clock())):
                return False
            await self._write(send, [frame])
        return True

    async def _write(self, send: Send, batch: list[Frame]) -> None:
        data = b"".join(frame.data for frame in batch)
        await send({"type": "http.response.body", "body": data, "more_body": True})
        self._record.sent(sum(frame.tokens for frame in batch))


class ScriptedResponse:
    """A scripted reply: an ASGI application."""

    def __init__(self, record: RecordedRequest, reply: Reply) -> None:
        self._record = record
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply as it was scripted."""
        reply = self._reply
        watch = DisconnectWatcher(receive, self._record)
        try:
            if reply.delay_s and await watch.disconnected(reply.delay_s):
                return
            self._record.status = reply.status
            self._record.streamed = reply.sse is not None
            content = reply.content() if reply.sse is None else b""
            await send(
                {
                    "type": "http.response.start",
                    "status": reply.status,
                    "headers": self._headers(len(content)),
                }
            )
            for event in [content] if reply.sse is None else reply.events():
                if await watch.disconnected(reply.chunk_delay_s):
                    return
                await send({"type": "http.response.body", "body": event, "more_body": True})
            if reply.close == "clean":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:  # The response stays incomplete, and the server drops the connection.
                self._record.end()
        finally:
            watch.cancel()

    def _headers(self, length: int) -> list[tuple[bytes, bytes]]:
        given = {name.lower(): value for name, value in self._reply.headers.items()}
        if self._reply.sse is not None:
            given.setdefault("content-type", "text/event-stream; charset=utf-8")
        else:
            text = isinstance(self._reply.body, str)
            given.setdefault("content-type", "text/plain" if text else "application/json")
            # One byte too many, so that the client knows an abrupt end from a clean one.
            missing = self._reply.close == "abrupt"
            given.setdefault("content-length", str(length + missing))
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
