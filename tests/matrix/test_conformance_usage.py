"""Where callers, and the server's telemetry, find the count of tokens of a stream."""

import uuid
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import openai
import pytest

from llama_stack_provider_nvidia import get_adapter_impl
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.provider import get_provider_spec
from llama_stack_provider_nvidia.stack.token_counting import has_usage_metrics, telemetry_api
from nim_emulator import EmulatorServer

from . import release
from .conftest import LLM, MODEL
from .test_chat import HELLO, chat

TELEMETRY = telemetry_api()
COUNT = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def events(completion: bool, count: Any) -> list[Any]:
    said = {"text": "hi"} if completion else {"delta": {"role": "assistant", "content": "hi"}}
    ended = {"text": ""} if completion else {"delta": {}}
    choices = [{"index": 0, **said, "finish_reason": None}]
    # Servers that keep chats keep each id once.
    head = {"id": f"c-{uuid.uuid4().hex}", "created": 1, "model": "m"}
    return [
        {**head, "choices": choices},
        {**head, "choices": [{"index": 0, **ended, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": count},
        "[DONE]",
    ]


@pytest.mark.server
@pytest.mark.parametrize("completion", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_a_count_is_seen_by_those_who_asked(
    client: openai.OpenAI, nim: EmulatorServer, completion: bool, asked: bool
) -> None:
    """Some servers send it unasked."""
    nim.script([{"sse": events(completion, COUNT)}])
    fields: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    if completion:
        stream = client.completions.create(model=MODEL, prompt="Hi", stream=True, **fields)
    else:
        stream = chat(client, stream=True, **fields)
    chunks = list(stream)
    assert [chunk for chunk in chunks if not chunk.choices] == chunks[len(chunks) - asked :]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [3] * asked


@pytest.fixture
async def counted(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    """The provider in this process, beside the server's telemetry."""
    deps = {TELEMETRY: object()} if TELEMETRY else {}
    made = await get_adapter_impl(NVIDIAConfig(url=nim.url, max_retries=0), deps)
    yield made
    await made.shutdown()


def recorded() -> Any:
    """The context that telemetry puts around a request."""
    if not has_usage_metrics():
        return nullcontext()
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider().get_tracer("test").start_as_current_span("request")


async def streamed(adapter: Any, **fields: Any) -> list[Any]:
    fields = {"model": LLM, "messages": HELLO, "max_tokens": 3, "stream": True, **fields}
    positional, named = release.arguments("openai_chat_completion", fields)
    return [chunk async for chunk in await adapter.openai_chat_completion(*positional, **named)]


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("n", [1, 2])
async def test_telemetry_finds_the_count_where_it_looks(
    counted: NVIDIAInferenceAdapter, asked: bool, n: int
) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    with recorded():
        chunks = await streamed(counted, n=n, **options)
    last = chunks.pop() if asked else None
    assert last is None or (last.choices == [] and last.usage.completion_tokens == 3 * n)
    found = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
    assert found == ([3 * n] if TELEMETRY or has_usage_metrics() else [])
    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "length"
    assert not found or chunks[-1].usage


async def test_without_telemetry_the_nim_is_not_asked_to_count(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    assert not any(chunk.usage for chunk in await streamed(adapter))
    assert "stream_options" not in nim.requests[-1].body


def test_the_server_hands_its_telemetry_over() -> None:
    wanted = [TELEMETRY] if TELEMETRY else []
    assert get_provider_spec().optional_api_dependencies == wanted
