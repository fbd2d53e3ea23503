"""However much a NIM sends, no more is taken than there is room for."""

import gzip
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from llama_stack_provider_nvidia.nim import completions
from llama_stack_provider_nvidia.nim.errors import NIMConnectionError, NIMError, ServerError
from llama_stack_provider_nvidia.nim.responses import (
    sse,
    tool_call_assembler,
)
from llama_stack_provider_nvidia.nim.responses.normalize import StreamProgress
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec
from llama_stack_provider_nvidia.nim.responses.sse import SSEDecoder
from llama_stack_provider_nvidia.nim.responses.structs import ChatChoice, ChatChunk, ChatDelta
from llama_stack_provider_nvidia.nim.responses.tool_call_assembler import ToolCallAssembler
from llama_stack_provider_nvidia.nim.transport import body_reader
from llama_stack_provider_nvidia.nim.transport.aiohttp_transport import AiohttpTransport
from llama_stack_provider_nvidia.nim.transport.client_pool import TransportSettings
from llama_stack_provider_nvidia.nim.transport.retry import RetryPolicy
from llama_stack_provider_nvidia.nim.transport.sender import Sender

from ..test_completions import answered, event, read_all, text, writes

URL = "http://nim/v1"
MEBIBYTE = 1024 * 1024


class Endless(httpx.AsyncByteStream):
    """A body that does not end, and how much of it was taken."""

    def __init__(self, head: bytes = b"", piece: bytes = b"x" * MEBIBYTE) -> None:
        self._head, self._piece = head, piece
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        while True:
            self.taken += len(self._piece)
            yield self._piece


def sender_of(
    monkeypatch: pytest.MonkeyPatch, status: int, body: httpx.AsyncByteStream, **headers: str
) -> Sender:
    """A sender whose NIM answers everything with one response."""

    async def answer(_: Any, request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=body, request=request)

    monkeypatch.setattr(AiohttpTransport, "handle_async_request", answer)
    return Sender(TransportSettings(URL, retry=RetryPolicy(retries=0)), key=None, is_hosted=False)


async def failure(sender: Sender, *, stream: bool = False) -> NIMError:
    with pytest.raises(NIMError) as raised:
        await sender.post("/chat/completions", {"model": "m"}, key=None, stream=stream)
    return raised.value


async def test_a_whole_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_reader, "MAX_WHOLE_BYTES", 3 * MEBIBYTE)
    body = Endless()
    error = await failure(sender_of(monkeypatch, 200, body))
    assert isinstance(error, ServerError)
    assert f"more than {3 * MEBIBYTE} bytes" in str(error)
    assert body.taken <= 4 * MEBIBYTE


async def test_a_compressed_answer_counts_as_what_it_becomes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_reader, "MAX_WHOLE_BYTES", 3 * MEBIBYTE)
    packed = gzip.compress(b"x" * 50 * MEBIBYTE)
    body = Endless(packed[:8192], packed[8192:])
    error = await failure(sender_of(monkeypatch, 200, body, **{"content-encoding": "gzip"}))
    assert f"more than {3 * MEBIBYTE} bytes" in str(error)
    assert body.taken == 0


async def test_an_answer_in_many_pieces_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            packed = gzip.compress(b"abcdefgh" * 1000)
            for at in range(0, len(packed), 7):
                yield packed[at : at + 7]

    headers = {"content-encoding": "gzip", "nvcf-reqid": "r"}
    sender = sender_of(monkeypatch, 200, Answer(), **headers)
    response = await sender.post("/chat/completions", {"model": "m"}, key=None, stream=False)
    assert response.content == b"abcdefgh" * 1000
    assert response.headers["nvcf-reqid"] == "r"
    assert response.is_closed


@pytest.mark.parametrize("status", [302, 400, 429, 500])
async def test_of_an_error_s_body_only_the_beginning_is_read(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    body = Endless(b"out of order ")
    error = await failure(sender_of(monkeypatch, status, body))
    assert "out of order" in str(error)
    assert len(str(error)) < 1000
    assert body.taken <= body_reader.MAX_ERROR_BYTES + MEBIBYTE


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_a_list_of_models_is_bounded(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    body = Endless(piece=b"x" * MEBIBYTE)
    if encoding:
        body = Endless(gzip.compress(b"x" * 9), gzip.compress(b"x" * MEBIBYTE))
    headers = {"content-encoding": encoding} if encoding else {}
    sender = sender_of(monkeypatch, 200, body, **headers)
    with pytest.raises(NIMConnectionError, match="sent more than"):
        await sender.get("/models", 10)
    assert body.taken <= body_reader.MAX_ASIDE_BYTES + MEBIBYTE


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "identity, gzip"])
async def test_no_other_compression_is_unpacked(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    body = Endless()
    error = await failure(sender_of(monkeypatch, 200, body, **{"content-encoding": encoding}))
    assert "the request did not accept" in str(error)
    assert body.taken == 0


async def test_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "MAX_STREAM_BYTES", 10_000)
    events = [text("x" * 500) for _ in range(40)]
    async with answered(writes(*events)) as response:
        _, error = await read_all(response)
    assert "more than 10000 bytes" in str(error)


async def test_an_event_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10_000)
    async with answered(writes(text("a"), event({"x": "x" * 20_000}))) as response:
        assert (await read_all(response))[0] == ["a"]


def test_an_event_of_many_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10_000)
    decoder = SSEDecoder()
    with pytest.raises(ServerError, match="more than 10000 bytes"):  # noqa: PT012
        for _ in range(3000):
            decoder.feed(b"data:\n")


def test_a_long_line_takes_time_by_its_length() -> None:
    """To join its pieces one by one would take minutes here."""
    decoder = SSEDecoder()
    decoder.feed(b"data: ")
    begun = time.perf_counter()
    for _ in range(300_000):
        decoder.feed(b"x" * 100)
    assert time.perf_counter() - begun < 10
    assert [len(found) for found in decoder.feed(b"\n\n")] == [30_000_000]


def fragment(**fields: Any) -> Any:
    function = SimpleNamespace(name=fields.pop("name", None), arguments=fields.pop("text", None))
    return SimpleNamespace(**{"index": 0, "id": None, "function": function, **fields})


def test_arguments_of_tools_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_call_assembler, "MAX_ARGUMENTS", 10_000)
    assembler = ToolCallAssembler()
    assembler.feed(fragment(name="f", id="1"))
    with pytest.raises(ServerError, match="arguments of more than 10000"):  # noqa: PT012
        for _ in range(200):
            assembler.feed(fragment(text="x" * 100))


def test_arguments_in_openai_style_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_call_assembler, "MAX_ARGUMENTS", 10_000)
    codec = OpenAICodec("m")

    def chunk(**function: str) -> bytes:
        call = {"index": 0, "function": function} | ({"id": "1"} if "name" in function else {})
        return json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).encode()

    codec.decode_chunk(chunk(name="f"))
    with pytest.raises(ServerError, match="arguments of more than 10000"):  # noqa: PT012
        for _ in range(200):
            codec.decode_chunk(chunk(arguments="x" * 100))


def test_tool_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_call_assembler, "MAX_CALLS", 10)
    assembler = ToolCallAssembler()
    with pytest.raises(ServerError, match="more than 10 tool calls"):  # noqa: PT012
        for index in range(20):
            assembler.feed(fragment(index=index, name="f"))


def test_a_name_in_every_fragment_takes_time_by_the_length() -> None:
    assembler = ToolCallAssembler()
    begun = time.perf_counter()
    assembler.feed(fragment(index=None, name="f", text='{"a": "'))
    for _ in range(20_000):
        assembler.feed(fragment(index=None, name="f", text="x" * 50))
    assert time.perf_counter() - begun < 5


def test_choices_of_a_stream_are_bounded() -> None:
    progress = StreamProgress(1)
    with pytest.raises(ServerError, match="index 128"):  # noqa: PT012
        for index in range(1000):
            choice = ChatChoice(index=index, delta=ChatDelta(content="x"))
            progress.see(ChatChunk(choices=[choice]))
