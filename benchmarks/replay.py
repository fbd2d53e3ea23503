"""Replay server: a fast NIM that sends prepared bytes and counts requests.

    python -m benchmarks.replay          prints `replay http://127.0.0.1:PORT`, ends with its stdin

The last message says what to answer (`payloads.prompt`). Beside NIM's own routes there are
`GET /stats` for the connections and requests since `POST /reset`; asking counts for neither.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from typing import cast

from benchmarks import payloads

_PLAN = re.compile(rb"bench kind=(\w+) chunks=(\d+) rate=(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SLICE = 64 * 1024
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


@dataclass
class Stats:
    """The counts since the last reset.

    Attributes:
        connections: TCP connections that brought their first request.
        requests: Requests for an answer.
        broken: Streams whose reader went away before the end.
    """

    connections: int = 0
    requests: int = 0
    broken: int = 0


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, answered in their order."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._counted = False
        self._received = b""
        self._paused = False
        self._pending = memoryview(b"")
        self._paced: tuple[bytes, ...] = ()
        self._sent = 0
        self._start = 0.0
        self._rate = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop a stream that nobody reads any more."""
        if self._timer:
            self._timer.cancel()
        self._stats.broken += bool(self._pending or self._paced)
        self._pending, self._paced = memoryview(b""), ()

    def pause_writing(self) -> None:
        """Wait for a slow reader."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on where the reader made us wait."""
        self._paused = False
        if self._pending:
            self._pour()
        elif self._paced:
            self._tick()

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is whole."""
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if len(rest) < length:
            return
        self._received = rest[length:]
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self._route(method, path.split("?")[0], rest[:length])

    def _route(self, method: str, path: str, body: bytes) -> None:
        if path == "/reset":
            self._stats.connections = self._stats.requests = self._stats.broken = 0
            self._whole(b"{}")
        elif path == "/stats":
            self._whole(json.dumps(asdict(self._stats)).encode())
        elif path == "/v1/models":
            self._count()
            self._whole(payloads.models())
        elif path == "/v1/health/ready":
            self._count()
            self._whole(b'{"object":"health.response","message":"ready","status":"ready"}')
        elif method == "POST" and path == "/v1/embeddings":
            self._count()
            self._embed(json.loads(body))
        elif method == "POST" and path in ("/v1/chat/completions", "/v1/completions"):
            self._count()
            self._generate(path.removeprefix("/v1/").split("/")[0], body)
        else:
            self._count()
            self._whole(b'{"detail":"Not Found"}', b"404 Not Found")

    def _count(self) -> None:
        self._stats.requests += 1
        self._stats.connections += not self._counted
        self._counted = True

    def _whole(self, body: bytes, status: bytes = b"200 OK") -> None:
        self._transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )

    def _embed(self, request: dict[str, object]) -> None:
        texts = request["input"]
        dimensions = int(str(request.get("dimensions") or 2048))
        encoding = str(request.get("encoding_format") or "float")
        count = len(texts) if isinstance(texts, list) else 1
        self._whole(payloads.embeddings(count, dimensions, encoding))

    def _generate(self, path: str, body: bytes) -> None:
        plans = _PLAN.findall(body)
        kind, chunks, rate = plans[-1] if plans else (b"text", b"1", b"0")
        request = json.loads(body)
        if not request.get("stream"):
            self._whole(payloads.answer(path, int(chunks)))
            return
        usage = bool((request.get("stream_options") or {}).get("include_usage"))
        answer = (path, kind.decode(), int(chunks), usage)
        self._transport.write(_STREAM_HEAD)
        if int(rate):
            self._paced, self._sent, self._rate = payloads.framed(*answer), 0, int(rate)
            self._start = self._loop.time()
            self._tick()
        else:
            self._pending = memoryview(payloads.joined(*answer))
            self._pour()

    def _pour(self) -> None:
        while self._pending and not self._paused:
            self._transport.write(self._pending[:_SLICE])
            self._pending = self._pending[_SLICE:]

    def _tick(self) -> None:
        """Send the chunks that are due."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._paused:
            return
        due = 1 + int((self._loop.time() - self._start) * self._rate)
        # Each event in a write of its own, as an engine's server sends it.
        for event in self._paced[self._sent : due]:
            self._transport.write(event)
        self._sent = min(due, len(self._paced))
        if self._sent < len(self._paced):
            when = self._start + self._sent / self._rate
            self._timer = self._loop.call_at(when, self._tick)
        else:
            self._paced = ()


async def serve() -> None:
    """Serve on a free port until standard input ends."""
    stats = Stats()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stats), "127.0.0.1", 0, backlog=1024)
    print(f"replay http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    ended = asyncio.Event()

    def look() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            ended.set()

    loop.add_reader(sys.stdin.fileno(), look)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
