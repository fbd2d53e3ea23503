"""Tries, time limits, turns and the end: what the provider does when a NIM is not at its best."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.transport import client_pool, sender
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from . import own_api
from .conftest import MODEL

CHAT = "/v1/chat/completions"
HELLO = "count to 50"
SOON = {"retry-after": "0"}


@contextlib.asynccontextmanager
async def adapter_for(nim: EmulatorServer, **keys: Any) -> AsyncIterator[NVIDIAInferenceAdapter]:
    made = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, **keys))
    await made.initialize()
    yield made
    await made.shutdown()


async def whole(adapter: NVIDIAInferenceAdapter) -> str:
    return own_api.text_of(await own_api.chat(adapter, MODEL, HELLO))


async def streamed(adapter: NVIDIAInferenceAdapter) -> str:
    return await own_api.text_of_stream(await own_api.chat(adapter, MODEL, HELLO, stream=True))


def refusals(*statuses: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"path": CHAT, "status": status, "body": {"message": "not now"}, "headers": SOON, **more}
        for status in statuses
    ]


def asked(nim: EmulatorServer) -> int:
    return sum(request.path == CHAT for request in nim.requests)


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_a_nim_that_says_not_now_is_asked_again(
    nim: EmulatorServer, status: int, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nim.script(refusals(status, status))
    async with adapter_for(nim) as adapter:
        assert "50" in await ask(adapter)
    assert asked(nim) == 3
    assert f"status {status} for model {MODEL}; attempt 3 of 3 follows" in caplog.text


@pytest.mark.parametrize(("tries", "statuses"), [(0, [503]), (1, [503, 503]), (2, [503] * 3)])
async def test_not_more_often_than_configured(
    nim: EmulatorServer, tries: int, statuses: list[int]
) -> None:
    nim.script(refusals(*statuses))
    async with adapter_for(nim, max_retries=tries) as adapter:
        with pytest.raises(errors.ServerError, match="not now") as caught:
            await whole(adapter)
    assert asked(nim) == tries + 1
    assert (f"It was attempted {tries + 1} times." in str(caught.value)) is (tries > 0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 501])
async def test_what_will_not_change_is_not_asked_again(nim: EmulatorServer, status: int) -> None:
    nim.script(refusals(status))
    async with adapter_for(nim) as adapter:
        with pytest.raises(errors.NIMError):
            await whole(adapter)
    assert asked(nim) == 1


async def test_a_wait_that_is_too_long_is_left_to_the_caller(nim: EmulatorServer) -> None:
    nim.script(refusals(429, headers={"retry-after": "3600"}))
    async with adapter_for(nim) as adapter:
        started = time.monotonic()
        with pytest.raises(errors.RateLimitError):
            await whole(adapter)
        assert time.monotonic() - started < 10
    assert asked(nim) == 1


async def test_a_connection_that_breaks_before_the_answer_is_made_again(
    nim: EmulatorServer,
) -> None:
    async with adapter_for(nim) as adapter:
        nim.faults([{"fault": "reset", "path": CHAT, "times": 1}])
        assert "50" in await streamed(adapter)
    assert asked(nim) == 2


async def test_what_has_begun_is_not_asked_again(nim: EmulatorServer) -> None:
    async with adapter_for(nim) as adapter:
        nim.faults(["cut:how=reset"])
        with pytest.raises(errors.NIMConnectionError):
            await streamed(adapter)
    assert asked(nim) == 1


async def test_a_nim_that_restarts_is_found_again() -> None:
    port = free_port()
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=f"http://127.0.0.1:{port}"))
    for _ in range(2):
        with EmulatorServer(port=port):
            assert "50" in await whole(adapter)
    await adapter.shutdown()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("first_token_timeout", "has not begun after 1.5 seconds"),
        ("total_timeout", "is not complete after 1.5 seconds"),
    ],
)
async def test_a_stream_that_does_not_begin_in_time(
    nim: EmulatorServer, key: str, said: str
) -> None:
    nim.script([{"path": CHAT, "sse": ["[DONE]"], "delay_s": 30}])
    async with adapter_for(nim, **{key: 1.5}) as adapter:
        started = time.monotonic()
        with pytest.raises(errors.NIMTimeoutError, match=f"{said}, the `{key}`"):
            await streamed(adapter)
        assert time.monotonic() - started < 10
    assert asked(nim) == 1


async def test_a_whole_answer_that_takes_too_long(nim: EmulatorServer) -> None:
    nim.script([{"path": CHAT, "body": {}, "delay_s": 30}])
    async with adapter_for(nim, total_timeout=0.2) as adapter:
        with pytest.raises(errors.NIMTimeoutError, match="total_timeout"):
            await whole(adapter)


def chunk(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


async def collect(stream: Any, seen: list[str]) -> None:
    async for event in stream:
        seen.append(own_api.text_in(event))  # noqa: PERF401 (what came before an error is wanted)


async def test_a_stream_that_pauses_too_long_although_its_proxy_says_it_lives(
    nim: EmulatorServer,
) -> None:
    comments = [{"raw": ": alive\n\n"}] * 40
    nim.script([{"path": CHAT, "sse": [chunk("a"), *comments], "chunk_delay_s": 0.05}])
    async with adapter_for(nim, token_timeout=0.3) as adapter:
        stream = await own_api.chat(adapter, MODEL, HELLO, stream=True)
        seen: list[str] = []
        with pytest.raises(errors.NIMTimeoutError, match="token_timeout"):
            await collect(stream, seen)
        assert "".join(seen) == "a"


async def test_a_stream_that_is_too_long_in_all(nim: EmulatorServer) -> None:
    nim.script([{"path": CHAT, "sse": [chunk("a")] * 200, "chunk_delay_s": 0.05}])
    async with adapter_for(nim, total_timeout=2, token_timeout=1.8) as adapter:
        started = time.monotonic()
        with pytest.raises(errors.NIMTimeoutError, match="total_timeout"):
            await streamed(adapter)
        assert 1.5 < time.monotonic() - started < 8  # the whole stream takes 10


async def test_no_more_requests_at_a_time_than_configured(nim: EmulatorServer) -> None:
    """A stream counts until its end, also when its reader goes away."""
    nim.script([{"path": CHAT, "sse": [chunk("a")] * 500, "chunk_delay_s": 0.05}])
    async with adapter_for(nim, max_concurrent_requests=1, timeout=5) as adapter:
        first = await own_api.chat(adapter, MODEL, HELLO, stream=True)
        await anext(first)
        await anext(first)
        waiting = asyncio.create_task(whole(adapter))
        await asyncio.sleep(0.1)
        assert asked(nim) == 1
        await first.aclose()
        assert "50" in await waiting
        nim.script(refusals(400))
        with pytest.raises(errors.InvalidRequestError):
            await whole(adapter)
        never = await own_api.chat(adapter, MODEL, HELLO, stream=True)
        del never  # dropped before it was begun
        assert "50" in await streamed(adapter)


async def test_shutting_down_waits_for_what_is_under_way(nim: EmulatorServer) -> None:
    nim.script([{"path": CHAT, "sse": [chunk("a")] * 6 + ["[DONE]"], "chunk_delay_s": 0.05}])
    async with adapter_for(nim) as adapter:
        task = asyncio.create_task(streamed(adapter))
        await asyncio.sleep(0.1)
    assert await asyncio.wait_for(task, 1) == "a" * 6


async def test_shutting_down_does_not_wait_for_ever(
    nim: EmulatorServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "_DRAIN_SECONDS", 0.1)
    nim.script([{"path": CHAT, "sse": [chunk("a")] * 500, "chunk_delay_s": 0.05}])
    async with adapter_for(nim) as adapter:
        task = asyncio.create_task(streamed(adapter))
        while not nim.requests or not nim.requests[-1].status:  # noqa: ASYNC110 (a thread sets it)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
    assert "are cut off" in caplog.text
    with pytest.raises(errors.NIMConnectionError):
        await asyncio.wait_for(task, 10)


async def test_clients_of_many_keys_are_closed_once_nobody_uses_them(
    nim: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_pool, "MAX_CLIENTS", 3)
    async with adapter_for(nim) as adapter:
        endpoint = adapter.endpoint
        body = {"model": MODEL, "messages": [{"role": "user", "content": "count to 50"}]}
        streamed = await endpoint.plan({**body, "stream": True})
        open_stream = await endpoint.send(streamed, key="nvapi-0")
        for number in range(1, 12):
            await endpoint.send(await endpoint.plan(body), key=f"nvapi-{number}")
        await asyncio.sleep(0.1)
        assert len(nim.connections.open) <= 3 + 1
        assert b"50" in await open_stream.aread()
        await open_stream.aclose()
        await asyncio.sleep(0.1)
        assert len(nim.connections.open) <= 3


async def test_nothing_of_a_try_is_logged_that_is_secret(
    nim: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nim.script(refusals(503))
    async with adapter_for(nim, api_key="nvapi-very-secret") as adapter:
        await whole(adapter)
    assert "nvapi-very-secret" not in caplog.text


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_each_attempt_takes_a_turn_of_the_requests_per_minute(
    nim: EmulatorServer, ask: Any
) -> None:
    nim.script(refusals(*[503] * 40))
    async with adapter_for(nim, requests_per_minute=5, retry_timeout=1, timeout=1) as adapter:
        asking = [ask(adapter) for _ in range(10)]
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert asked(nim) == 5
    assert all(isinstance(one, errors.ServerError | errors.RateLimitError) for one in outcomes)


async def test_a_further_attempt_that_gets_no_turn_tells_the_nim_s_error(
    nim: EmulatorServer,
) -> None:
    nim.script(refusals(503))
    async with adapter_for(nim, requests_per_minute=1, retry_timeout=0.5) as adapter:
        with pytest.raises(errors.ServerError, match="not now"):
            await whole(adapter)
    assert asked(nim) == 1


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize("status", [200, 503])
async def test_an_encoding_that_nobody_asked_for_is_not_asked_for_again(
    nim: EmulatorServer, ask: Any, status: int
) -> None:
    headers = {"content-encoding": "br", **SOON}
    nim.script([{"path": CHAT, "status": status, "body": {}, "headers": headers}] * 3)
    async with adapter_for(nim) as adapter:
        with pytest.raises(errors.NIMConnectionError, match="encoded as 'br'"):
            await ask(adapter)
    assert asked(nim) == 1


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        value = {"properties": value}
    return value


async def test_what_cannot_be_written_as_json_names_its_field(nim: EmulatorServer) -> None:
    half = "a\ud83d"
    function = {"name": "f", "parameters": deep(400)}
    openai: list[tuple[dict[str, Any], str]] = [
        ({"messages": [{"role": "user", "content": half}]}, r"messages\[0\].content"),
        ({"user": half}, "user"),
        ({"tools": [{"type": "function", "function": function}]}, r"tools\[0\].function.param"),
        ({"chat_template_kwargs": deep(5000)}, "chat_template_kwargs"),
    ]
    async with adapter_for(nim) as adapter:
        for fields, named in openai:
            for stream in (False, True):
                body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], **fields}
                with pytest.raises(errors.InvalidRequestError, match=f"^{named}"):
                    await adapter.openai_chat_completion(**body, stream=stream)
        with pytest.raises(errors.InvalidRequestError, match=r"^prompt"):
            await adapter.openai_completion(model=MODEL, prompt=half)
    assert asked(nim) == 0


@pytest.mark.native
async def test_what_cannot_be_written_as_json_names_the_native_field(nim: EmulatorServer) -> None:
    half = "a\ud83d"
    async with adapter_for(nim) as adapter:
        with pytest.raises(errors.InvalidRequestError, match=r"^prompt"):
            await adapter.completion(MODEL, half)
        with pytest.raises(errors.InvalidRequestError, match=r"^messages\[0\].content"):
            await adapter.chat_completion(MODEL, [stack.UserMessage(content=half)])
    assert asked(nim) == 0
