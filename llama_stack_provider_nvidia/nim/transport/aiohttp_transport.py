"""HTTP/1.1 transport of httpx clients over aiohttp, whose parser is written in C.

Requests, responses and exceptions are httpx's, so that nothing above knows which library carries
them. Where aiohttp works otherwise than httpx's own transport, this module makes up for it:
connections are kept and limited by httpx's rules, no cookies are kept, no redirects followed,
nothing is decompressed, a slow upload times out, what arrived before a connection broke is not
lost, and a connection on which something has arrived that nobody asked for serves no further
request.
"""

import asyncio
import base64
import contextlib
import select
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx
import yarl

from .aiohttp_errors import INCOMPLETE, translated
from .aiohttp_session import abandon, open_session

CLOSES_AT_ONCE = "closes_at_once"
"""Extension of the responses whose reading may be cancelled anywhere: that closes them."""

_LARGE_BODY_BYTES = 64 * 1024
"""Larger request bodies are sent piece by piece, each within the time limit for writing."""

_FIRST_READ_BYTES = 4096
"""Of a body: in a flood, the first events need not wait for all that came with them."""

_used: weakref.WeakSet[Any] = weakref.WeakSet()
"""Connections that have carried a request."""


class _StaleConnectionError(Exception):
    """A kept connection holds bytes that belong to no request."""


class _Response(aiohttp.ClientResponse):
    """A response that goes on knowing its connection when that has been given back."""

    network_stream: object = None

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        self.network_stream = protocol = connection.protocol
        try:
            return await super().start(connection)
        except BaseException:
            # aiohttp's own way waits up to 30 s for the other side to end TLS as well.
            protocol.abort()
            raise


class _Request(aiohttp.ClientRequest):
    """A request that is not sent over a connection whose next response is not its own."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        protocol = conn.protocol
        if protocol in _used and (protocol.should_close or _is_readable(protocol.transport)):
            raise _StaleConnectionError
        _used.add(protocol)
        if self.headers.get("Connection", "").lower() == "close":
            protocol.force_close()
        return await super().send(conn)


def _is_readable(transport: asyncio.Transport) -> bool:
    """Return whether a connection that waits for a request has bytes, or its end, to read."""
    number = transport.get_extra_info("socket").fileno()
    if not hasattr(select, "poll"):  # pragma: no cover (Windows)
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends the requests of one httpx client, which belongs to one event loop."""

    def __init__(
        self, context: ssl.SSLContext, limits: httpx.Limits, proxy: httpx.Proxy | None = None
    ) -> None:
        """Set up; nothing is opened before the first request.

        Args:
            context: For TLS, with a NIM and with a proxy.
            limits: How many connections there are, and which are kept.
            proxy: ``http://`` or ``https://``; None for direct connections.
        """
        self._context = context
        self._limits = limits
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None
        self._slots: asyncio.Semaphore | None = None
        self._bodies: set[_Body] = set()
        self._sending = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the headers of its response.

        Raises:
            httpx.TransportError: There was no response, or no connection became free.
        """
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(
                "Request URL has no 'http://' or 'https://' protocol", request=request
            )
        session = self._session or self._open()
        limits = request.extensions.get("timeout", {})
        await self._take_slot(limits.get("pool"), request)
        self._sending += 1
        try:
            response = await self._send(session, request, limits)
        except BaseException:
            self._give_slot()
            raise
        finally:
            self._sending -= 1
        body = _Body(response, request, limits.get("read"), self._on_end)
        self._bodies.add(body)
        version = response.version
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=body,
            request=request,
            extensions={
                "http_version": b"HTTP/1.0" if version and version.minor == 0 else b"HTTP/1.1",
                "reason_phrase": (response.reason or "").encode("ascii", "replace"),
                # Only to tell one connection from another.
                "network_stream": getattr(response, "network_stream", None),
                CLOSES_AT_ONCE: True,
            },
        )

    async def _send(
        self, session: aiohttp.ClientSession, request: httpx.Request, limits: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        url = request.url
        address = f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}"
        connect = limits.get("connect")
        content = await request.aread()
        writing = asyncio.timeout(None)
        while True:
            try:
                async with writing:
                    return await session.request(
                        request.method,
                        yarl.URL(address, encoded=True),
                        headers=self._headers(request),
                        data=_pieces(content, limits.get("write"), writing),
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(
                            connect=connect, sock_connect=connect, sock_read=limits.get("read")
                        ),
                        **self._proxy_options(url.scheme),
                    )
            except _StaleConnectionError:
                writing = asyncio.timeout(None)
            except Exception as error:
                if writing.expired():
                    raise httpx.WriteTimeout("", request=request) from error
                raise translated(error, request) from error

    def _open(self) -> aiohttp.ClientSession:
        limits = self._limits
        if limits.max_connections is not None:
            self._slots = asyncio.Semaphore(limits.max_connections)
        self._session = session = open_session(self._context, limits, _Request, _Response)
        # aiohttp complains loudly of a session that nobody closed, as when its loop has ended.
        weakref.finalize(self, abandon, session)
        return session

    def _headers(self, request: httpx.Request) -> list[tuple[str, str]]:
        made = [(name.decode("ascii"), text.decode("ascii")) for name, text in request.headers.raw]
        most = self._limits.max_keepalive_connections
        if self._limits.keepalive_expiry == 0 or (most is not None and self._in_use > most):
            made = [pair for pair in made if pair[0].lower() != "connection"]
            made.append(("Connection", "close"))
        if self._proxy is not None and request.url.scheme == "http":
            made += self._proxy_authorization().items()
        return made

    def _proxy_options(self, scheme: str) -> dict[str, Any]:
        proxy = self._proxy
        if proxy is None:
            return {}
        headers = dict(proxy.headers.items())
        if scheme == "https":
            headers |= self._proxy_authorization()
        return {"proxy": yarl.URL(str(proxy.url), encoded=True), "proxy_headers": headers}

    def _proxy_authorization(self) -> dict[str, str]:
        if self._proxy is None or self._proxy.raw_auth is None:
            return {}
        credentials = base64.b64encode(b":".join(self._proxy.raw_auth)).decode()
        return {"Proxy-Authorization": f"Basic {credentials}"}

    @property
    def _in_use(self) -> int:
        return self._sending + len(self._bodies)

    async def _take_slot(self, seconds: float | None, request: httpx.Request) -> None:
        if self._slots is None:
            return
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("", request=request) from error

    def _give_slot(self) -> None:
        if self._slots is not None:
            self._slots.release()

    def _on_end(self, body: "_Body") -> None:
        self._bodies.discard(body)
        self._give_slot()

    def abandon(self) -> None:
        """Let go of connections whose event loop has ended."""
        if self._session is not None:
            abandon(self._session)

    async def aclose(self) -> None:
        """Close all connections; responses that are still being read fail."""
        for body in tuple(self._bodies):
            body.close()
        if self._session is not None:
            await self._session.close()


class _Body(httpx.AsyncByteStream):
    """The body of a response, of which all that has arrived is handed on at a time."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: httpx.Request,
        seconds: float | None,
        on_end: Callable[["_Body"], None],
    ) -> None:
        self._response = response
        self._request = request
        self._seconds = seconds
        self._steps = 0  # odd while somebody waits for a part
        self._watch: asyncio.TimerHandle | None = None
        self._on_end: Callable[[_Body], None] | None = on_end
        self._connection = connection = getattr(response, "network_stream", None)
        self._lost = None if connection is None or response.closed else connection.closed
        if self._lost is not None:
            self._lost.add_done_callback(self._on_lost)
            self._look(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        failure: Exception | None = None
        try:
            while failure is None:
                self._steps += 1
                try:
                    part = await (
                        content.readany() if self._steps > 1 else content.read(_FIRST_READ_BYTES)
                    )
                except Exception as error:
                    failure, part = self._reset() or error, _left_in(content)
                self._steps += 1
                if part:
                    yield part
                elif failure is None:
                    failure = None if self._has_end() else self._reset()
                    break
            if failure is not None:
                raise translated(failure, self._request) from failure
        finally:
            self.close()

    def _look(self, before: tuple[int, int] | None) -> None:
        """Let a reader wait no longer for whom nothing of the body has come since the last look.

        aiohttp's time limit is for silence: an endless extension of a chunk moves it on.
        """
        content = self._response.content
        if self._seconds is None or content.is_eof():
            return
        now = self._steps, content.total_bytes
        if now == before and self._steps % 2:
            content.set_exception(aiohttp.SocketTimeoutError())
            return
        self._watch = asyncio.get_running_loop().call_later(self._seconds, self._look, now)

    def _has_end(self) -> bool:
        """Return whether the body says where it ends; else it ends with the connection."""
        headers = self._response.headers
        return "Content-Length" in headers or "Transfer-Encoding" in headers

    def _reset(self) -> Exception | None:
        """Return how the connection broke, if it was not just closed."""
        failure = None if self._connection is None else self._connection.exception()
        return failure if isinstance(failure, aiohttp.ClientOSError) else None

    def _on_lost(self, closed: "asyncio.Future[None]") -> None:
        """Wake the reader of a body that cannot be parsed: aiohttp only closes the connection."""
        if not closed.cancelled():
            closed.exception()  # asyncio complains of one that nobody looked at
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            failure = None if self._connection is None else self._connection.exception()
            content.set_exception(failure or aiohttp.ClientPayloadError(INCOMPLETE))

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, unless the body has come to its end."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            if self._watch is not None:
                self._watch.cancel()
            if self._lost is not None:
                self._lost.remove_done_callback(self._on_lost)
            if self._connection is not None and self._response.connection is not None:
                self._connection.abort()
            self._response.close()
            on_end(self)


def _left_in(content: aiohttp.StreamReader) -> bytes:
    """Return what had arrived before an error, which hides it."""
    content.set_exception(None)  # type: ignore[arg-type]
    return content.read_nowait(-1)


def _pieces(content: bytes, seconds: float | None, writing: asyncio.Timeout) -> Any:
    """Return a request body as aiohttp takes it.

    Args:
        content: The body.
        seconds: Longest time until the next piece of a large body is taken.
        writing: The time limit to move on.
    """
    if len(content) <= _LARGE_BODY_BYTES:
        return content or None

    async def pieces() -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        for at in range(0, len(content), _LARGE_BODY_BYTES):
            move(None if seconds is None else now() + seconds)
            yield content[at : at + _LARGE_BODY_BYTES]
        move(None)

    def move(until: float | None) -> None:
        with contextlib.suppress(RuntimeError):  # the response came before all was sent
            writing.reschedule(until)

    return pieces()
