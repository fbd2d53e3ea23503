"""How much of what a NIM sends is taken: a broken or hostile one must not fill the memory.

The limits are far above what any model answers. The HTTP library bounds lines and headers
(100 KiB); ``nim.answers.sse`` bounds events, ``nim.answers.toolcalls`` the arguments of tools.
"""

from collections.abc import AsyncIterator

import httpx

from ..errors import malformed

MAX_WHOLE_BYTES = 256 * 1024 * 1024
"""Of an answer that is not streamed. 128,000 tokens with 20 alternatives each take 200 MB."""

MAX_STREAM_BYTES = 1024 * 1024 * 1024
"""Of all that a stream brings."""

MAX_ASIDE_BYTES = 16 * 1024 * 1024
"""Of what is no answer to a request for inference: lists of models, health, documents."""

MAX_REPORT_BYTES = 1024 * 1024
"""Of an answer with an error status; what comes after is not read."""

# A compressed body can be a thousand times as large when it is read.
_MAX_COMPRESSED_BYTES = 256 * 1024
_MAX_COMPRESSED_REPORT_BYTES = 32 * 1024
# Of these each byte brings a thousand at most. None but these is asked for.
ENCODINGS = "gzip, deflate"
_READABLE = frozenset(("", "identity", "gzip", "deflate"))

# The hosted catalogue's route of answers that were not ready (``nim.transport.nvcf``).
_LATE_ANSWER = "/pexec/status/"


async def bound(response: httpx.Response) -> None:
    """Bound a response whose body the SDK reads; a hook for each response of a client.

    Raises:
        httpx.DecodingError: It is compressed in a way that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _READABLE:
        raise httpx.DecodingError(
            f"its answer is encoded as {encoding[:40]!r}, which nobody asked for",
            request=response.request,
        )
    compressed = encoding not in ("", "identity")
    if response.status_code >= 300:
        most = _MAX_COMPRESSED_REPORT_BYTES if compressed else MAX_REPORT_BYTES
        response.stream = _Bounded(response, most, cut=True)
    elif response.request.method == "GET" and _LATE_ANSWER not in response.request.url.path:
        most = _MAX_COMPRESSED_BYTES if compressed else MAX_ASIDE_BYTES
        response.stream = _Bounded(response, most, cut=False)


async def read_whole(response: httpx.Response) -> httpx.Response:
    """Read the body of an answer that is not streamed.

    Args:
        response: Its headers have come, nothing of its body has been read.

    Returns:
        The same with its body.

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
                raise malformed(f"The NIM sent an answer of more than {MAX_WHOLE_BYTES} bytes.")
    finally:
        await response.aclose()
    # What says how the body came over the wire is no longer true of it.
    headers = response.headers.copy()
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=b"".join(parts),
        request=response.request,
        extensions=response.extensions,
    )


class _Bounded(httpx.AsyncByteStream):
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
