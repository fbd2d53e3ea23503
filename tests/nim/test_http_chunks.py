"""HTTP chunks are taken together, and say what they said one by one."""

from types import SimpleNamespace
from typing import Any

import h11
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.config import NVIDIAConfig
from llama_stack_provider_nvidia.emulator import EmulatorServer
from llama_stack_provider_nvidia.nim.transport import http_chunks
from llama_stack_provider_nvidia.nim.transport.http_chunks import take_together

from ..strategies import cuts
from .test_stream import DONE, answered, read_all, text, writes

HEAD = b"HTTP/1.1 200 OK\r\n%b\r\n\r\n"
CHUNKED = HEAD % b"transfer-encoding: chunked"
MODEL = "meta/llama-3.1-8b-instruct"


def response_of(connection: h11.Connection) -> Any:
    return SimpleNamespace(stream=SimpleNamespace(_h11_state=connection))


def begun(head: bytes = CHUNKED) -> h11.Connection:
    """A connection that has received the head of a response."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "nim")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(head)
    assert isinstance(connection.next_event(), h11.Response)
    return connection


def received(pieces: list[bytes], *, together: bool) -> tuple[bytes, int, str]:
    """The body that comes of received bytes, in how many parts, and how it ended."""
    connection = begun()
    assert not together or take_together(response_of(connection))
    parts: list[bytes] = []
    for piece in pieces:
        connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                return b"".join(parts), len(parts), "broken"
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return b"".join(parts), len(parts), f"ended {event.headers}"
            else:
                break
    return b"".join(parts), len(parts), "open"


def framed(*bodies: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies) + end


def test_whole_chunks_of_a_read_are_one_part():
    assert received([framed(b"a", b"bc", b"d" * 300)], together=True)[:2] == (
        b"abc" + b"d" * 300,
        1,
    )


_BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
_ENDS = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"000\r\n\r\n",
        b"0\r\ntrailer: x\r\n\r\n",
        b"5;extension=1\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhel",
        b"5",
        b"",
        # What is malformed is for h11 to refuse.
        b"5\r\nhelloXX0\r\n\r\n",
        b"x\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"\r\n\r\n",
    ]
)


@given(bodies=_BODIES, end=_ENDS, data=st.data())
def test_any_bytes_cut_anywhere_are_the_same(bodies, end, data):
    pieces = data.draw(cuts(framed(*bodies, end=end)))
    body, parts, how = received(pieces, together=True)
    plain_body, plain_parts, plain_how = received(pieces, together=False)
    assert (body, how) == (plain_body, plain_how)
    assert parts <= plain_parts


def test_connection_serves_the_next_response():
    connection = begun()
    take_together(response_of(connection))
    connection.receive_data(framed(b"a", b"b"))
    assert bytes(connection.next_event().data) == b"ab"
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    connection.start_next_cycle()
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "nim")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(CHUNKED + framed(b"c", b"d"))
    connection.next_event()
    # Replaced for one response only.
    assert bytes(connection.next_event().data) == b"c"


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(response_of(begun(HEAD % b"content-length: 5")), id="no chunks"),
        pytest.param(SimpleNamespace(stream=object()), id="another library"),
        pytest.param(SimpleNamespace(stream=SimpleNamespace(_stream=None)), id="changed inside"),
    ],
)
def test_what_it_cannot_replace_it_leaves_alone(response: Any):
    assert not take_together(response)


def test_body_that_has_begun_is_left_alone():
    connection = begun()
    connection.receive_data(b"5\r\nhel")
    connection.next_event()
    assert not take_together(response_of(connection))


async def test_it_works_with_the_installed_libraries():
    async with answered(writes(text("a", "stop"), DONE)) as response:
        assert take_together(response)
        assert await read_all(response) == (["a"], None)


async def test_it_works_with_the_client_of_the_provider():
    with EmulatorServer() as nim:
        adapter = await get_adapter_impl(NVIDIAConfig(url=nim.url), {})
        endpoint, model = await adapter.target(MODEL)
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        response: httpx.Response = await endpoint.send(
            "/chat/completions", body, key=None, stream=True
        )
        assert take_together(response)
        assert b"[DONE]" in await response.aread()
        await adapter.shutdown()


async def test_streams_are_read_without_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http_chunks, "ChunkedReader", None)
    async with answered(writes(*map(text, "ab"), text("c", "stop"), DONE)) as response:
        assert not take_together(response)
        assert await read_all(response) == (["abc"], None)
