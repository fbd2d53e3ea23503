"""The transport over aiohttp, against a server that says what it says byte by byte."""

import asyncio
import contextlib
import gc
import json
import logging
import socket
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.transport import http_client
from llama_stack_provider_nvidia.nim.transport.aiohttp_transport import AiohttpTransport
from llama_stack_provider_nvidia.nim.transport.body_reader import BodyReader
from llama_stack_provider_nvidia.nim.transport.client_pool import TransportSettings
from llama_stack_provider_nvidia.nim.transport.http_client import HTTPClientFactory
from llama_stack_provider_nvidia.nim.transport.network import NetworkConfig
from llama_stack_provider_nvidia.nim.transport.retry import RetryPolicy
from llama_stack_provider_nvidia.nim.transport.sender import Sender
from scripts.child_process import free_port

from .raw_server import CHUNKED, Connection, RawServer, chunk, serving, whole

FOREIGN = whole(b'{"foreign": true}')


@pytest.fixture(scope="module", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority, not some 150: each client reads them all, which takes longest here."""
    file = tmp_path_factory.mktemp("authority") / "one.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@contextlib.asynccontextmanager
async def client(limit: Any = 5, **network: Any) -> AsyncIterator[httpx.AsyncClient]:
    factory = HTTPClientFactory(NetworkConfig(**network))
    async with factory.make(httpx.Timeout(limit)) as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the server has no event for each)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def streaming(
    script: Any, limit: Any = 5, server_side: ssl.SSLContext | None = None, **network: Any
) -> AsyncIterator[tuple[RawServer, httpx.Response]]:
    """Open a response of a server that follows a script."""
    async with (
        serving(script, server_side) as server,
        client(limit, **network) as http,
        http.stream("GET", server.url) as response,
    ):
        yield server, response


async def echo(connection: Connection) -> None:
    """Answer each request with its body."""
    while True:
        await connection.send(whole(await connection.request()))


# -- Errors -------------------------------------------------------------------------------------


async def test_a_refused_connection_is_no_timeout() -> None:
    async with client() as http:
        with pytest.raises(httpx.ConnectError, match="Connect call failed"):
            await http.get(f"http://127.0.0.1:{free_port()}")


async def test_an_unknown_host_is_told_by_its_cause() -> None:
    async with client() as http:
        with pytest.raises(httpx.ConnectError) as raised:
            await http.get("http://nim.invalid")
    cause: BaseException | None = raised.value
    while cause is not None and not isinstance(cause, socket.gaierror):
        cause = cause.__cause__
    assert cause is not None


async def closes(connection: Connection) -> None:
    await connection.request()


async def resets(connection: Connection) -> None:
    await connection.request()
    connection.reset()


async def half_a_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")


async def half_a_stream(connection: Connection) -> None:
    await connection.request()
    await connection.send(CHUNKED + chunk(b"abc"))


async def broken_chunks(connection: Connection) -> None:
    await connection.request()
    await connection.send(CHUNKED + chunk(b"abc"), b"xyz\r\n")


async def no_http(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (closes, httpx.RemoteProtocolError),
        (resets, httpx.NetworkError | httpx.RemoteProtocolError),
        (half_a_body, httpx.RemoteProtocolError),
        (half_a_stream, httpx.RemoteProtocolError),
        (broken_chunks, httpx.RemoteProtocolError),
        (no_http, httpx.RemoteProtocolError),
    ],
)
async def test_what_breaks_is_no_timeout_and_no_decoding_error(script: Any, kind: Any) -> None:
    async with serving(script) as server, client() as http:
        with pytest.raises(httpx.TransportError) as raised:
            await http.post(server.url, content=b"x")
    assert isinstance(raised.value, kind)
    assert str(raised.value)
    assert raised.value.request.url.port


async def test_a_header_that_cannot_be_sent_is_the_request_s_fault() -> None:
    async with serving(echo) as server, client() as http:
        with pytest.raises(httpx.LocalProtocolError):
            await http.get(server.url, headers={"X-A": "a\nX-Evil: 1"})
        assert (await http.post(server.url, content=b"next")).content == b"next"


async def test_another_protocol_is_refused() -> None:
    async with client() as http:
        with pytest.raises(httpx.UnsupportedProtocol):
            await http.get("ftp://127.0.0.1/")


@pytest.mark.parametrize("tls", [False, True])
async def test_what_came_before_the_end_is_not_lost(tmp_path: Path, tls: bool) -> None:
    """Also when nobody was waiting for it, and end or reset came right behind."""

    async def script(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(CHUNKED)
        await connection.writer.drain()
        await asyncio.sleep(0.1)
        connection.writer.write(chunk(b"first") + chunk(b"second"))
        await connection.writer.drain()

    server_side, network = certificates(tmp_path) if tls else (None, {})
    async with streaming(script, server_side=server_side, **network) as (_, response):
        await asyncio.sleep(0.5)
        parts = response.aiter_bytes()
        assert await anext(parts) == b"firstsecond"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(parts)


async def test_a_body_that_ends_with_the_connection_is_whole_only_if_that_was_closed() -> None:
    async def script(connection: Connection) -> None:
        how = await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n", b"abc")
        if how == b"reset":
            connection.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            connection.reset()

    async with serving(script) as server, client() as http:
        assert (await http.post(server.url, content=b"close")).content == b"abc"
        with pytest.raises(httpx.ReadError, match="reset"):
            await http.post(server.url, content=b"reset")


# -- Time limits --------------------------------------------------------------------------------


async def silent(connection: Connection) -> None:
    await connection.request()
    await asyncio.sleep(60)


async def test_no_answer_in_time() -> None:
    async with serving(silent) as server, client(1.5) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(server.url)


async def test_a_pause_in_the_body() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"a"))
        await asyncio.sleep(60)

    async with streaming(script, 1.5) as (_, response):
        parts = response.aiter_bytes()
        assert await anext(parts) == b"a"
        with pytest.raises(httpx.ReadTimeout):
            await anext(parts)


@pytest.mark.parametrize("start", [b"3;", b"0\r\n"])
async def test_an_endless_chunk_extension_or_trailer_is_no_body(start: bytes) -> None:
    """Bytes come all the while, and none of them reaches the caller."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"a") + start)
        while True:
            await connection.send(b"name=value;" if start == b"3;" else b"name: value\r\n")

    async with streaming(script, 1.5) as (server, response):
        parts = response.aiter_bytes()
        assert await anext(parts) == b"a"
        async with asyncio.timeout(10):
            with pytest.raises(httpx.TransportError):
                await anext(parts)
        await server.one_ended.wait()


async def test_the_time_limit_of_a_body_does_not_count_what_its_reader_takes() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"a"))
        for _ in range(9):
            await asyncio.sleep(0.4)
            await connection.send(chunk(b"c"))
        await connection.send(b"0\r\n\r\n")

    async with streaming(script, 2) as (_, response):
        parts = response.aiter_bytes()
        assert await anext(parts) == b"a"
        await asyncio.sleep(3)
        assert b"".join([part async for part in parts]) == b"c" * 9


async def test_the_first_events_of_a_flood_come_before_the_rest() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"x" * 100) * 2_000 + b"0\r\n\r\n")

    async with streaming(script) as (_, response):
        await asyncio.sleep(0.3)
        sizes = [len(part) async for part in response.aiter_bytes()]
    assert sizes[0] <= 4096 < sizes[1]
    assert sum(sizes) == 200_000


async def test_a_handshake_that_is_not_answered() -> None:
    async def script(connection: Connection) -> None:
        await asyncio.sleep(60)

    timeout = httpx.Timeout(30, connect=0.2)
    async with serving(script) as server, client(timeout) as http:
        with pytest.raises(httpx.ConnectTimeout):
            await http.get(server.url.replace("http:", "https:"))


async def test_a_large_body_that_nobody_reads() -> None:
    async def script(connection: Connection) -> None:
        await asyncio.sleep(60)

    timeout = httpx.Timeout(30, write=0.3)
    async with serving(script) as server, client(timeout) as http:
        with pytest.raises(httpx.WriteTimeout):
            await http.post(server.url, content=b"x" * 64 * 1024 * 1024)


async def test_a_slow_upload_that_goes_on_is_no_timeout() -> None:
    size = 12 * 1024 * 1024

    async def script(connection: Connection) -> None:
        head = await connection.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d" % size in head.lower()
        for _ in range(12):
            await connection.reader.readexactly(1024 * 1024)
            await asyncio.sleep(0.25)
        await connection.send(whole(b"ok"))

    limits = httpx.Timeout(20, write=2)
    async with serving(script) as server, client(limits) as http:
        assert (await http.post(server.url, content=b"x" * size)).content == b"ok"


async def test_an_answer_that_comes_while_the_body_is_sent() -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch")
        await asyncio.sleep(0.5)

    async with serving(script) as server, client() as http:
        answer = await http.post(server.url, content=b"x" * 32 * 1024 * 1024)
        assert (answer.status_code, answer.content) == (413, b"much")


async def test_a_full_pool_is_told_apart_from_a_slow_connection() -> None:
    limits = {"max_connections": 1}
    async with (
        serving(silent) as server,
        client(httpx.Timeout(30, pool=0.2), limits=limits) as http,
    ):
        first = asyncio.create_task(http.get(server.url))
        await asyncio.sleep(0.1)
        with pytest.raises(httpx.PoolTimeout):
            await http.get(server.url)
        first.cancel()
        await asyncio.wait([first])


# -- The pool -----------------------------------------------------------------------------------


async def test_waiting_requests_are_served_in_turn() -> None:
    order: list[bytes] = []

    async def script(connection: Connection) -> None:
        while True:
            order.append(await connection.request())
            await connection.send(whole(b"ok"))

    async with serving(script) as server, client(limits={"max_connections": 2}) as http:
        asked = [b"%d" % number for number in range(40)]
        await asyncio.gather(*(http.post(server.url, content=one) for one in asked))
        assert [abs(order.index(one) - at) <= 2 for at, one in enumerate(asked)] == [True] * 40
        assert len(server.connections) == 2


async def test_a_waiting_request_that_is_cancelled_takes_no_place() -> None:
    async with serving(echo) as server, client(limits={"max_connections": 1}) as http:
        for _ in range(5):
            tasks = [asyncio.create_task(http.post(server.url, content=b"a")) for _ in range(10)]
            await asyncio.sleep(0.005)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5):
            assert (await http.post(server.url, content=b"b")).content == b"b"


@pytest.mark.parametrize("most", [0, 3])
async def test_no_more_connections_are_kept_than_configured(most: int) -> None:
    limits = {"max_keepalive_connections": most, "keepalive_expiry": None}
    async with serving(echo) as server, client(limits=limits) as http:
        for _ in range(3):
            await asyncio.gather(*(http.post(server.url, content=b"a") for _ in range(10)))
        await until(lambda: len(server.connections) - server.ended == most)


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with serving(echo) as server, client(limits={"keepalive_expiry": 0.2}) as http:
        await http.post(server.url, content=b"a")
        await until(lambda: server.ended == 1)


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    """As a NIM does with idle ones: the request must not fail, also without a retry."""

    async def script(connection: Connection) -> None:
        await connection.send(whole(await connection.request()))

    async with serving(script) as server, client() as http:
        for number in range(1, 6):
            assert (await http.post(server.url, content=b"a")).content == b"a"
            await until(lambda number=number: server.ended == number)
            for _ in range(5):  # turns of the loop in which the end arrives
                await asyncio.sleep(0.01)
        assert len(server.connections) == 5


# -- What comes after an answer -----------------------------------------------------------------

ANSWERS = {
    "length": whole(b"own"),
    "chunked": CHUNKED + chunk(b"own") + b"0\r\n\r\n",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "error": b"HTTP/1.1 429 Too Many\r\nContent-Length: 3\r\n\r\nown",
}
AFTER = {
    "a response": FOREIGN,
    "its head": FOREIGN[:20],
    "its head without the end": FOREIGN.partition(b"\r\n\r\n")[0],
    "an event": b'data: {"foreign": true}\n\n',
    "a chunk": chunk(b'data: {"foreign": true}\n\n'),
}


@pytest.mark.parametrize("pause", [None, 0.0, 0.1], ids=["one segment", "at once", "later"])
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_what_comes_after_an_answer_is_nobody_s(
    answer: str, after: str, pause: float | None
) -> None:
    async def script(connection: Connection) -> None:
        body = await connection.request()
        if connection.number == 0:
            connection.writer.write(ANSWERS[answer] + (AFTER[after] if pause is None else b""))
            await connection.writer.drain()
            if pause is not None:
                await asyncio.sleep(pause)
                connection.writer.write(AFTER[after])
                await connection.writer.drain()
            body = await connection.request()
        await connection.send(whole(body))
        await connection.reader.read()

    async with serving(script) as server, client() as http:
        # What is no HTTP and comes with the answer makes the parser reject both.
        is_http = after in ("a response", "its head", "its head without the end")
        rejected = () if is_http or pause else httpx.RemoteProtocolError
        with contextlib.suppress(rejected):
            first = await http.post(server.url, content=b"first")
            assert first.content in (b"own", b"")
        await asyncio.sleep(0.15)
        second = await http.post(server.url, content=b"second")
        assert second.content == b"second"


async def test_what_waits_in_the_kernel_is_noticed_too() -> None:
    """The bytes have come, and the event loop has not looked at them when the request is sent."""

    async def script(connection: Connection) -> None:
        body = await connection.request()
        if connection.number == 0:
            connection.writer.write(whole(b"own"))
            asked.append(connection)
            body = await connection.request()
        await connection.send(whole(body))

    asked: list[Connection] = []
    async with serving(script) as server, client() as http:
        assert (await http.post(server.url, content=b"first")).content == b"own"
        asked[0].writer.write(FOREIGN)  # it is sent at once, with no turn of the loop in between
        assert (await http.post(server.url, content=b"second")).content == b"second"
        assert len(server.connections) == 2


async def test_a_retry_does_not_take_what_came_after_the_refusal() -> None:
    refusal = (
        b"HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}"
        + FOREIGN
        + FOREIGN
    )

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(refusal if connection.number == 0 else whole(b'{"own": true}'))
        await connection.request()
        await connection.send(FOREIGN)

    async with serving(script) as server:
        settings = TransportSettings(server.url, retry=RetryPolicy(retries=1))
        sender = Sender(settings, key=None, is_hosted=False)
        answer = await sender.post("/chat/completions", {"model": "m"}, key=None, stream=False)
        assert json.loads(answer.content) == {"own": True}
        await sender.aclose()


# -- What is kept, followed and unpacked --------------------------------------------------------


async def test_cookies_are_not_kept_and_redirects_not_followed() -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            cookies = b"".join(b"Set-Cookie: c%d=secret; Path=/\r\n" % n for n in range(40))
            await connection.send(
                b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n%b\r\n" % cookies
            )

    for http2 in (False, True):
        async with serving(script) as server, client(http2=http2) as http:
            for _ in range(3):
                answer = await http.get(server.url)
                assert answer.status_code == 302
                assert len(answer.headers.get_list("set-cookie")) == 40
            heads = server.connections[0].heads
            assert len(heads) == 3
            assert b"cookie" not in b"".join(heads).lower()
            assert not http.cookies


async def test_a_request_is_sent_as_it_is() -> None:
    """With httpx's headers and no others, and with a path as it was escaped."""
    async with serving(echo) as server, client(headers={}) as http:
        path = "/v1/a%2Fb/%2e%2e/c%20d?x=%7B1%7D&y="
        sent = await http.post(server.url + path, json={"a": 1}, headers={"X-Team": "search"})
        head = server.connections[0].heads[0].decode()
    line, *lines = head.strip().split("\r\n")
    assert line == f"POST {path} HTTP/1.1"
    expected = {f"{name.lower()}: {value}" for name, value in sent.request.headers.items()}
    assert {text[: text.index(":")].lower() + text[text.index(":") :] for text in lines} == expected


async def test_early_hints_are_no_answer() -> None:
    async def script(connection: Connection) -> None:
        body = await connection.request()
        await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", whole(body))

    async with serving(script) as server, client() as http:
        assert (await http.post(server.url, content=b"a")).content == b"a"


@pytest.mark.parametrize(("size", "count"), [(30_000, 1), (700, 60), (20, 300)])
async def test_large_headers_are_read(size: int, count: int) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        lines = b"".join(b"X-%d: %b\r\n" % (n, b"v" * size) for n in range(count))
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n" % lines)

    async with serving(script) as server, client() as http:
        answer = await http.get(server.url)
        assert [len(answer.headers[f"x-{n}"]) for n in range(count)] == [size] * count


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"v" * 4096),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: v\r\n" * 500),
        (b"HTTP/1.1 200 ", b"v" * 4096),
        (b"HTTP/1.1 200 OK\r\nX", b"n" * 4096),
        (CHUNKED + b"0\r\n", b"X-A: v\r\n" * 500),
    ],
    ids=["value", "headers", "status line", "name", "trailers"],
)
async def test_headers_without_an_end_are_an_error(begin: bytes, piece: bytes) -> None:
    sent = 0

    async def script(connection: Connection) -> None:
        nonlocal sent
        await connection.request()
        connection.writer.write(begin)
        while sent < 256 * 1024 * 1024:
            connection.writer.write(piece)
            await connection.writer.drain()
            sent += len(piece)

    async with serving(script) as server, client(20) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(server.url)
    assert sent < 64 * 1024 * 1024


# -- Closing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("when", ["before the answer", "in the body", "closed"])
async def test_a_cancelled_request_is_closed_at_once(tmp_path: Path, tls: bool, when: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        if when != "before the answer":
            await connection.send(CHUNKED + chunk(b"a"))
        await connection.reader.read()

    async def read(http: httpx.AsyncClient, url: str) -> None:
        async with http.stream("POST", url) as response:
            async for _ in response.aiter_bytes():
                if when == "closed":
                    return

    server_side, network = certificates(tmp_path) if tls else (None, {})
    async with serving(script, server_side) as server, client(30, **network) as http:
        task = asyncio.create_task(read(http, server.url))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.wait_for(server.one_ended.wait(), 5)


async def test_a_reader_that_is_cancelled_at_every_await_closes_the_response() -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + chunk(b"a"))
        await connection.reader.read()

    async with serving(script) as server, client(30) as http:
        response = await http.send(http.build_request("GET", server.url), stream=True)
        reader = BodyReader(response)

        async def read() -> None:
            try:
                async for _ in reader:
                    pass
            finally:
                reader.stop()
                for _ in range(3):
                    await asyncio.sleep(0)

        task = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait_for(server.one_ended.wait(), 5)


async def test_closing_a_client_ends_what_is_under_way() -> None:
    async def script(connection: Connection) -> None:
        if await connection.request() == b"stream":
            await connection.send(CHUNKED + chunk(b"a"))
        await connection.reader.read()

    async def read() -> None:
        async with http.stream("POST", server.url, content=b"stream") as response:
            async for _ in response.aiter_bytes():
                pass

    async with serving(script) as server:
        async with client(30) as http:
            tasks = [asyncio.create_task(read()), asyncio.create_task(http.get(server.url))]
            await asyncio.sleep(0.2)
        async with asyncio.timeout(2):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(end, httpx.TransportError) for end in ends] == [True, True]


def test_a_client_that_nobody_closed_makes_no_noise(caplog: pytest.LogCaptureFixture) -> None:
    """As with a library client, whose event loops come and go."""

    async def ask() -> None:
        async with serving(echo) as server:
            http = HTTPClientFactory(NetworkConfig()).make(httpx.Timeout(5))
            assert (await http.post(server.url, content=b"a")).content == b"a"

    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the socket, by Python
        asyncio.run(ask())
        gc.collect()
    assert "nclosed" not in caplog.text


# -- TLS and proxies ----------------------------------------------------------------------------


def certificates(folder: Path) -> tuple[ssl.SSLContext, dict[str, Any]]:
    """A server's context, and the settings that trust it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, {"tls": {"verify": folder / "ca.pem"}}


async def test_a_renewed_client_certificate_needs_no_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "_LOOK_SECONDS", 0.0)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def renew(name: str) -> None:
        issued = authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            shown = connection.writer.get_extra_info("peercert")
            await connection.send(whole(json.dumps(shown["subjectAltName"][0][1]).encode()))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    renew("first.invalid")
    tls = {"verify": tmp_path / "ca.pem", "client_cert": certificate, "client_key": key}
    async with serving(script, context) as server:
        settings = TransportSettings(server.url, network=NetworkConfig(tls=tls))
        sender = Sender(settings, key=None, is_hosted=False)

        async def shown() -> Any:
            return (await sender.get("/v1/models", 5)).json()

        assert await shown() == "first.invalid"
        certificate.write_text("half a fi")  # while it is being written
        assert await shown() == "first.invalid"
        renew("second.invalid")
        assert await shown() == "second.invalid"
        assert await shown() == "second.invalid"
        assert len(server.connections) == 2
        # The connection with the old certificate is not kept.
        await asyncio.wait_for(server.one_ended.wait(), 5)
        await sender.aclose()


async def test_an_old_version_of_tls_is_refused(tmp_path: Path) -> None:
    context, network = certificates(tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    network["tls"]["min_version"] = "TLSv1.3"
    async with serving(echo, context) as server, client(**network) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(server.url)
        context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
        assert (await http.post(server.url, content=b"a")).content == b"a"


@contextlib.asynccontextmanager
async def proxy(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A proxy for http:// and https:// addresses that wants a password; what it was asked."""
    seen: list[bytes] = []

    async def script(connection: Connection) -> None:
        while True:
            body = await connection.request()
            head = connection.heads[-1]
            seen.append(head)
            if b"Proxy-Authorization: Basic dXNlcjpwOnc=\r\n" not in head:
                await connection.send(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            elif head.startswith(b"CONNECT"):
                host, port = head.split(b" ")[1].split(b":")
                reader, writer = await asyncio.open_connection(host.decode(), int(port))
                await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
                await asyncio.gather(
                    pump(connection.reader, writer), pump(reader, connection.writer)
                )
            else:
                await connection.send(whole(body))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async with serving(script, tls) as server:
        yield server.url.replace("//", "//user:p%3Aw@"), seen


@pytest.mark.parametrize("secure_proxy", [False, True])
async def test_a_proxy_that_wants_a_password(tmp_path: Path, secure_proxy: bool) -> None:
    context, network = certificates(tmp_path)
    async with (
        proxy(context if secure_proxy else None) as (address, seen),
        serving(echo, context) as server,
        client(**network, proxy={"url": address}) as http,
    ):
        for scheme in ("http", "https"):
            for _ in range(2):  # the second time over the kept connection
                url = server.url.replace("https", scheme)
                assert (await http.post(url, content=b"a")).content == b"a"
        assert [head.split(b" ")[0] for head in seen] == [b"POST", b"POST", b"CONNECT"]
        assert b"proxy-authorization" not in b"".join(server.connections[0].heads).lower()


async def test_a_proxy_that_refuses_is_named(tmp_path: Path) -> None:
    context, network = certificates(tmp_path)
    async with proxy() as (address, _), serving(echo, context) as server:
        wrong = address.replace("user", "other")
        async with client(**network, proxy={"url": wrong}) as http:
            with pytest.raises(httpx.ProxyError, match="407"):
                await http.get(server.url)


async def test_the_environment_s_proxies_and_exceptions_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.internal")
    async with serving(echo) as server, client() as http:
        assert (await http.post(server.url, content=b"a")).content == b"a"
        chosen = [http._transport_for_url(httpx.URL(url)) for url in ("http://nim", server.url)]
    assert all(isinstance(one, AiohttpTransport) for one in chosen)
    assert chosen[0] is not chosen[1]


# -- Memory -------------------------------------------------------------------------------------


async def test_requests_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "httpx")  # what is logged is kept
    async with serving(echo) as server, client(limits={"max_connections": 4}) as http:

        async def ask(count: int) -> None:
            for _ in range(count):
                assert (await http.post(server.url, content=b"a" * 200)).content == b"a" * 200

        await ask(50)
        gc.collect()
        before = len(gc.get_objects())
        begun = time.monotonic()
        await asyncio.gather(*(ask(100) for _ in range(4)))
        assert time.monotonic() - begun < 60
        gc.collect()
        assert len(gc.get_objects()) - before < 400


async def test_a_failure_says_what_the_provider_says() -> None:
    """Connection errors keep their codes through the sender."""
    sender = Sender(
        TransportSettings(f"http://127.0.0.1:{free_port()}", retry=RetryPolicy(retries=0)),
        key=None,
        is_hosted=False,
    )
    with pytest.raises(NIMError) as raised:
        await sender.post("/chat/completions", {"model": "m"}, key=None, stream=False)
    assert raised.value.code == "connection_failed"
    await sender.aclose()
