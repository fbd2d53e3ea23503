"""Records what goes over the wire to a NIM and comes back, as the lines of a capture."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from .capture_file import MAX_BODY_BYTES, CaptureWriter, as_text
from .redactor import Redactor

_LEFT_OUT = frozenset(
    ("connection", "content-encoding", "content-length", "date", "keep-alive", "transfer-encoding")
)
"""Headers that belong to the connection or are made anew."""


class Exchange:
    """One request and what came back.

    Attributes:
        label: Fields of the line that say what the request is for.
    """

    def __init__(self, request: httpx.Request, label: dict[str, Any]) -> None:
        self.request = request
        self.label = label
        self.response: httpx.Response | None = None
        self.chunks: list[tuple[float, bytes]] = []
        self.size = 0
        self.error: str | None = None
        self.is_complete = False
        self._started = time.monotonic()
        self.seconds = 0.0

    def receive(self, part: bytes) -> None:
        """Keep a part of the body, up to the limit."""
        # Who reads a stream closes it there.
        self.is_complete = part.rstrip().endswith(b"data: [DONE]")
        kept = part[: max(0, MAX_BODY_BYTES - self.size)]
        if kept:
            self.chunks.append((self.elapsed(), kept))
        self.size += len(part)

    def elapsed(self) -> float:
        """Return the seconds since the request was sent."""
        return round(time.monotonic() - self._started, 4)


class Recorder:
    """Sees all requests to one NIM and writes a line for each; an ``Observer``."""

    def __init__(self, writer: CaptureWriter, redactor: Redactor, root: str) -> None:
        """Initialize without any exchange.

        Args:
            writer: Of the file.
            redactor: Of all that is written.
            root: Address of the NIM without ``/v1``; paths are written below it.
        """
        self._writer = writer
        self._redactor = redactor
        self._prefix = urlsplit(root).path.rstrip("/")
        self._open: list[Exchange] = []
        self.label: dict[str, Any] = {}
        """Fields that the lines of the next requests begin with."""
        self.is_full = False
        """A line had no room in the file."""

    async def on_request(self, request: httpx.Request) -> None:
        """Note a request that is about to be sent."""
        # What is compressed could not be read in the file.
        request.headers["accept-encoding"] = "identity"
        self._open.append(Exchange(request, dict(self.label)))

    async def on_response(self, response: httpx.Response) -> None:
        """Note a response, and see its body as it is read."""
        for exchange in self._open:
            if exchange.request is response.request:
                exchange.response = response
                response.stream = _SeenBody(response, self, exchange)

    def finish(self, exchange: Exchange) -> None:
        """Write an exchange that has come to its end; once."""
        if exchange not in self._open:
            return
        self._open.remove(exchange)
        exchange.seconds = exchange.elapsed()
        if not self._writer.call(self._line(exchange)):
            self.is_full = True

    def finish_all(self, problem: str) -> None:
        """Write the exchanges that are open, which have failed.

        Args:
            problem: What came in place of the response, or of its end.
        """
        for exchange in list(self._open):
            if not exchange.is_complete:
                exchange.error = exchange.error or problem
            self.finish(exchange)

    def _line(self, exchange: Exchange) -> dict[str, Any]:
        request, response = exchange.request, exchange.response
        path = request.url.path.removeprefix(self._prefix) or "/"
        line: dict[str, Any] = {
            **self._redactor.data(exchange.label),
            "method": request.method,
            "path": self._redactor.text(path),
        }
        if request.content:
            line["request"] = self._redactor.data(_readable(request.content))
        if response is not None:
            line["status"] = response.status_code
            line["headers"] = {
                name: self._redactor.header(name, value)
                for name, value in response.headers.items()
                if name not in _LEFT_OUT
            }
            line.update(self._body(exchange))
        line["seconds"] = exchange.seconds
        if exchange.size > MAX_BODY_BYTES:
            line["cut"] = exchange.size
        if exchange.error is not None:
            line["error"] = self._redactor.text(exchange.error)
        return line

    def _body(self, exchange: Exchange) -> dict[str, Any]:
        assert exchange.response is not None
        parts = self._redactor.chunks([part for _, part in exchange.chunks])
        if parts is None:
            return {"withheld": "it quotes a credential in parts"}
        media = exchange.response.headers.get("content-type", "")
        encoding = exchange.response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            return {"withheld": f"it is encoded as {encoding[:40]}, which was not asked for"}
        if not media.startswith("text/event-stream"):
            return {"body": as_text(b"".join(parts))}
        times = [seconds for seconds, _ in exchange.chunks]
        pairs = zip(times, parts, strict=True)
        return {"chunks": [[seconds, as_text(part)] for seconds, part in pairs]}


def _readable(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return as_text(content)


class _SeenBody(httpx.AsyncByteStream):
    """A body that the recorder sees."""

    def __init__(self, response: httpx.Response, recorder: Recorder, exchange: Exchange) -> None:
        body = response.stream
        assert isinstance(body, httpx.AsyncByteStream)
        self._body = body
        self._recorder = recorder
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._body:
                self._exchange.receive(part)
                yield part
        except Exception as error:
            self._exchange.error = f"{type(error).__name__}: {error}"
            raise
        self._exchange.is_complete = True

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            # One that is closed early is written by ``finish_all``, which knows why.
            if self._exchange.is_complete or self._exchange.error:
                self._recorder.finish(self._exchange)
