"""Streams of a scripted NIM on a real socket: what is joined, what waits, and how they end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from llama_stack_provider_nvidia.nim.completions import stream_completion
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.discovery.finding import Finding
from llama_stack_provider_nvidia.nim.errors import NIMConnectionError, NIMError
from llama_stack_provider_nvidia.nim.plan import plan_request
from llama_stack_provider_nvidia.nim.responses.chunk_merger import MAX_BYTES
from llama_stack_provider_nvidia.nim.responses.openai_codec import OpenAICodec
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT
from llama_stack_provider_nvidia.nim.responses.structs import ChatChunk
from llama_stack_provider_nvidia.nim.settings import Settings

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def text(content: str, finish_reason: str | None = None, index: int = 0) -> bytes:
    delta = {"content": content}
    return event({"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]})


def framed(*events: bytes, last: bool = False) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in events)
    return body + (b"0\r\n\r\n" if last else b"")


@asynccontextmanager
async def answered(script: Script) -> AsyncIterator[httpx.Response]:
    """The response of a NIM that answers with what a script writes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        try:
            await script(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(handle, "127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        response = await client.send(client.build_request("GET", url), stream=True)
        stack.push_async_callback(response.aclose)
        yield response


def writes(*events: bytes, last: bool = True) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(framed(*events, last=last))
        await writer.drain()

    return script


def read(response: httpx.Response, *, choices: int = 1, **settings: Any) -> Any:
    body = {"model": "m", "messages": [], "stream": True, "n": choices}
    plan = plan_request(body, Finding(Dialect.NIM1, "a test says so"), Settings())
    return stream_completion(response, plan, CHAT, endpoint="http://nim/v1", **settings)


def contents(chunk: ChatChunk) -> str:
    return "".join(choice.delta.content for choice in chunk.choices)


async def read_all(response: httpx.Response, **settings: Any) -> tuple[list[str], NIMError | None]:
    seen = []
    try:
        async for chunk in read(response, **settings):
            seen.append(contents(chunk))  # noqa: PERF401 (what came before an error counts)
    except NIMError as error:
        return seen, error
    return seen, None


async def test_what_has_piled_up_is_one_chunk():
    async with answered(writes(*map(text, "abcd"), text("e", "stop"), DONE)) as response:
        assert await read_all(response) == (["abcde"], None)


async def test_nothing_is_joined_where_that_is_turned_off():
    async with answered(writes(*map(text, "abcd"), text("e", "stop"), DONE)) as response:
        assert await read_all(response, merge=False) == (list("abcde"), None)


async def test_each_chunk_comes_before_the_next_is_sent():
    may_go_on = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        for content in "abc":
            writer.write(framed(text(content)))
            await may_go_on.wait()
            may_go_on.clear()
        writer.write(framed(text("", "stop"), DONE, last=True))

    async with answered(script) as response:
        seen = []
        async with asyncio.timeout(10):
            async for chunk in read(response):
                seen.append(contents(chunk))
                may_go_on.set()
    assert seen == ["a", "b", "c", ""]


async def test_slow_reader_makes_the_nim_wait_and_gets_everything():
    count, sent = 20_000, 0

    async def script(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for number in range(count):
            writer.write(framed(text(f" {number:0>1000}")))
            await writer.drain()
            sent += 1
        writer.write(framed(text("", "stop"), DONE, last=True))

    async with answered(script) as response:
        seen, sizes = [], []
        stream = read(response)
        seen.append(contents(await anext(stream)))
        before = -1
        while sent != before:  # until the buffers of both sides are full
            before = sent
            await asyncio.sleep(0.2)
        assert sent < count
        async for chunk in stream:
            seen.append(contents(chunk))
            sizes.append(len(seen[-1]))
    assert [int(number) for number in "".join(seen).split()] == list(range(count))
    assert len(seen) < count / 10
    assert max(sizes) <= MAX_BYTES


@pytest.mark.parametrize("merge", [True, False])
async def test_text_before_an_error_is_given_first(merge: bool):
    report = event({"error": {"message": "out of memory", "code": 500}})
    script = writes(text("a"), text("b"), report, text("c"), DONE)
    async with answered(script) as response:
        seen, error = await read_all(response, merge=merge)
    assert "".join(seen) == "ab"
    assert "out of memory" in str(error)


@pytest.mark.parametrize(
    ("events", "answers", "complete"),
    [
        pytest.param([text("a"), DONE], 1, True, id="done"),
        pytest.param([text("a", "stop")], 1, True, id="finish reason without the end"),
        pytest.param([text("a")], 1, False, id="no finish reason"),
        pytest.param([], 1, False, id="nothing"),
        pytest.param([text("a", "stop"), text("b", index=1)], 2, False, id="second not ended"),
        pytest.param([text("a", "stop")], 2, False, id="second never began"),
        pytest.param([text("a", "stop"), text("b", index=1)], 1, False, id="more than asked for"),
        pytest.param([text("a", "stop"), text("b", "stop", 1)], 2, True, id="both ended"),
    ],
)
@pytest.mark.parametrize("merge", [True, False])
async def test_where_an_answer_ends(events, answers: int, complete: bool, merge: bool):
    async with answered(writes(*events)) as response:
        seen, error = await read_all(response, choices=answers, merge=merge)
    assert "".join(seen) == "ab"[: len(events) - events.count(DONE)]
    assert (error is None) is complete
    assert complete or "middle of the response" in str(error)


async def test_connection_that_breaks_after_the_end_does_not_matter():
    async with answered(writes(text("a", "stop"), DONE, last=False)) as response:
        assert await read_all(response) == (["a"], None)


async def test_connection_that_breaks_is_an_error_after_the_text():
    async with answered(writes(text("a"), text("b"), last=False)) as response:
        seen, error = await read_all(response)
    assert seen == ["ab"]
    assert isinstance(error, NIMConnectionError)


async def test_reader_that_leaves_closes_the_response():
    hung_up = asyncio.Event()

    async def script(writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(framed(text("a")))
                await writer.drain()
        except ConnectionError:
            hung_up.set()

    async with answered(script) as response:
        stream = read(response)
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(10):
            await hung_up.wait()


# Counts of tokens, in OpenAI-style streams


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
COUNTED = event({"choices": [], "usage": USAGE})


def read_openai(response: httpx.Response, *, asked: bool, counts_tokens: bool) -> Any:
    body = {"model": "m", "messages": [], "stream": True}
    body |= {"stream_options": {"include_usage": True}} if asked else {}
    finding = Finding(Dialect.NIM1, "a test says so")
    plan = plan_request(body, finding, Settings(), counts_tokens=counts_tokens)
    return stream_completion(response, plan, OpenAICodec("m"), endpoint="http://nim/v1")


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("counts_tokens", [False, True])
async def test_counts_stand_where_they_are_read(asked: bool, counts_tokens: bool) -> None:
    async with answered(writes(text("a"), text("b", "stop"), COUNTED, DONE)) as response:
        chunks = [
            chunk async for chunk in read_openai(response, asked=asked, counts_tokens=counts_tokens)
        ]
    assert "".join(choice.delta.content for one in chunks for choice in one.choices) == "ab"
    of_choices = [one.usage for one in chunks if one.choices]
    alone = [one.usage for one in chunks if not one.choices]
    assert (of_choices[-1] is not None) is counts_tokens
    assert [one.total_tokens for one in alone] == [3] * asked


async def test_a_chunk_that_waits_for_the_counts_comes_before_a_failure() -> None:
    async with answered(writes(text("a"), text("b", "stop"), last=False)) as response:
        stream = read_openai(response, asked=False, counts_tokens=True)
        chunk = await anext(stream)
        assert chunk.choices[0].delta.content == "ab"
        assert chunk.choices[0].finish_reason == "stop"
        with pytest.raises(NIMConnectionError):
            await anext(stream)
    assert response.is_closed


@pytest.mark.parametrize(("asked", "counts_tokens"), [(False, False), (False, True), (True, True)])
async def test_a_stream_that_is_left_is_closed(asked: bool, counts_tokens: bool) -> None:
    async with answered(writes(text("a"), last=False)) as response:
        stream = read_openai(response, asked=asked, counts_tokens=counts_tokens)
        await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(10):
            while not response.is_closed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
