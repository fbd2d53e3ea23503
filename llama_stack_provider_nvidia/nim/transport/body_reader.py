"""Reads response bodies, whole or streamed, within size limits.

The limits are far above any model's response: a broken or hostile NIM must not fill the memory.
The transport bounds lines and headers; ``sse`` bounds events,
``tool_call_assembler`` the arguments of tools.

A web server whose client has gone may cancel the task that answers it again at every ``await``,
clean-up included. ``AiohttpTransport`` closes a connection without one. httpx's own transport,
which carries HTTP/2, cannot close a connection that way: it would stay open, and the NIM go on
generating for nobody. So what comes over it is read in a task of its own, where such a cancellation
meets only the waiting, never the library.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx

from ..errors import malformed
from .aiohttp_transport import CLOSES_AT_ONCE

MAX_WHOLE_BYTES = 256 * 1024 * 1024
"""Of a response that is not streamed. 128,000 tokens with 20 alternatives each take 200 MB."""

MAX_STREAM_BYTES = 1024 * 1024 * 1024
"""Of all that a stream brings."""

MAX_ASIDE_BYTES = 16 * 1024 * 1024
"""Of what is no response to a request for inference: lists of models, health, documents."""

MAX_ERROR_BYTES = 1024 * 1024
"""Of a response with an error status; what comes after is not read."""

# A compressed body can be a thousand times as large when it is read.
_MAX_COMPRESSED_BYTES = 256 * 1024
_MAX_COMPRESSED_ERROR_BYTES = 32 * 1024
# Of these each byte brings a thousand at most. None but these is asked for.
ENCODINGS = "gzip, deflate"
_READABLE = frozenset(("", "identity", "gzip", "deflate"))

# The hosted catalogue's route of responses that were not ready (``nim.transport.nvcf_polling``).
_POLLED = "/pexec/status/"

_READ_AHEAD_BYTES = 64 * 1024
"""The bytes that are read ahead of a slow reader where the HTTP library hands on single chunks."""

_READ_INTERVAL = 0.004
"""Seconds from one read of a fast stream to the next. Each event costs a server about a
millisecond, and nobody sees that 250 a second bring the same as 2,000."""
_UNPACED_READS = 8
"""So many reads come first, as fast as they can: the first token is never held back."""
_LARGE_READ = 16 * 1024
"""After a read of so many bytes there is more waiting: no reason to pause."""


async def limit_body(response: httpx.Response) -> None:
    """Limit a response body that the SDK reads; a hook for each response of a client.

    Raises:
        httpx.DecodingError: It is compressed in a way that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _READABLE:
        raise httpx.DecodingError(
            f"its response is encoded as {encoding[:40]!r}, which the request did not accept",
            request=response.request,
        )
    compressed = encoding not in ("", "identity")
    if response.status_code >= 300:
        most = _MAX_COMPRESSED_ERROR_BYTES if compressed else MAX_ERROR_BYTES
        response.stream = _LimitedBody(response, most, cut=True)
    elif response.request.method == "GET" and _POLLED not in response.request.url.path:
        most = _MAX_COMPRESSED_BYTES if compressed else MAX_ASIDE_BYTES
        response.stream = _LimitedBody(response, most, cut=False)


class _LimitedBody(httpx.AsyncByteStream):
    """A body that ends, or fails, when it is too long."""

    def __init__(self, response: httpx.Response, most: int, *, cut: bool) -> None:
        body = response.stream
        assert isinstance(body, httpx.AsyncByteStream)
        self._body = body
        self._request = response.request
        self._most = most
        self._cut = cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._body:
            size += len(part)
            if size > self._most:
                if self._cut:
                    return
                raise httpx.ReadError(
                    f"it sent more than {self._most} bytes", request=self._request
                )
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()


async def read_whole(response: httpx.Response) -> None:
    """Read the body of a response that is not streamed, as its ``aread`` does.

    Args:
        response: Its headers have come, nothing of its body has been read.

    Raises:
        ServerError: It is larger than ``MAX_WHOLE_BYTES``.
        httpx.RequestError: The connection broke.
    """
    parts = []
    size = 0
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_WHOLE_BYTES:
                raise malformed(
                    f"The NIM sent a response of more than {MAX_WHOLE_BYTES} bytes.",
                    code="response_too_large",
                )
    finally:
        await response.aclose()
    # A second response, made of the content, would take as long as the reading.
    response._content = b"".join(parts)


def close_soon(response: httpx.Response) -> None:
    """Start closing a response; for code that cannot wait. The loop must be running."""
    task = asyncio.get_running_loop().create_task(response.aclose())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


# The loop keeps only weak references to its tasks.
_tasks: set["asyncio.Task[None]"] = set()


class BodyReader:
    """Reads the body of a streamed response, and closes it at the end, however that comes.

    Attributes:
        paced: Leave some milliseconds between the reads of a fast stream, so that more comes at a
            time. What comes later than that after its forerunner does not wait.
    """

    def __init__(self, response: httpx.Response, *, paced: bool = False) -> None:
        self.paced = paced
        self._response = response
        self._background: _BackgroundReader | None = None
        if not response.extensions.get(CLOSES_AT_ONCE):
            self._background = _BackgroundReader(response)
        self._parts = aiter(self._background or response.aiter_bytes())
        self._consumer: asyncio.Task[Any] | None = None

    def stop(self) -> None:
        """Have the response closed, without waiting for it. Does nothing at the end of the body."""
        if self._consumer is not None:  # which may read many responses, and hold none of them
            self._consumer.remove_done_callback(self._on_consumer_end)
        if self._background is not None:
            self._background.stop()
        elif not self._response.is_closed:
            close_soon(self._response)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what has come since the last time.

        Raises:
            httpx.RequestError: The connection broke.
        """
        now = asyncio.get_running_loop().time
        reads, size, next_read = 0, 0, 0.0
        while True:
            if (task := asyncio.current_task()) is not self._consumer and task is not None:
                self._consumer = task
                task.add_done_callback(self._on_consumer_end)
            if (
                self.paced
                and reads > _UNPACED_READS
                and size < _LARGE_READ
                and (wait := next_read - now()) > 0
            ):
                await asyncio.sleep(wait)
            received = await anext(self._parts, None)
            if received is None:
                return
            reads, size, next_read = reads + 1, len(received), now() + _READ_INTERVAL
            yield received

    def _on_consumer_end(self, task: "asyncio.Task[Any]") -> None:
        """Stop when a task that read from here has failed: it will not read on.

        A server whose own clean-up fails when its client has gone may leave the stream behind
        unclosed, held by the traceback.
        """
        if task.cancelled() or task.exception() is not None:
            self.stop()


class _BackgroundReader:
    """Reads a response in a task of its own, a little ahead of who takes it."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._received: list[bytes] = []
        self._held = 0
        self._stopping = anyio.CancelScope()
        self._stopped = False
        self._arrived = asyncio.Event()
        self._wanted = asyncio.Event()
        self._task = asyncio.create_task(self._read())
        _tasks.add(self._task)
        self._task.add_done_callback(self._on_read_end)

    def stop(self) -> None:
        """Have the response closed, without waiting for it."""
        # Somebody else may have closed the response while the reading waits to be asked.
        self._stopped = True
        self._wanted.set()
        # A cancellation that hits the closing would leave the connection open. The HTTP library
        # protects its closing after an error from a scope, and not from a task's cancellation; of
        # the other closings httpx tells by this field.
        if not self._response.is_closed:
            self._stopping.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self._wanted.set()
            await self._arrived.wait()
            self._arrived.clear()
            if self._received:
                received, self._received, self._held = self._received, [], 0
                yield received[0] if len(received) == 1 else b"".join(received)
            if self._task.done() and not self._received:
                if not self._task.cancelled():
                    self._task.result()
                return

    async def _read(self) -> None:
        try:
            with self._stopping:
                async for received in self._response.aiter_bytes():
                    self._received.append(received)
                    self._held += len(received)
                    self._arrived.set()
                    if self._held > _READ_AHEAD_BYTES and not self._stopped:
                        self._wanted.clear()
                        await self._wanted.wait()
                    if self._stopped:
                        break
        finally:
            await self._response.aclose()

    def _on_read_end(self, task: "asyncio.Task[None]") -> None:
        _tasks.discard(task)
        if not task.cancelled():
            task.exception()  # asyncio complains of one that nobody looked at
        self._arrived.set()
