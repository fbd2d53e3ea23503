"""Each cause of docs/errors.md in this process: its class, its place, how often it was tried.

What servers make of them is in ``tests/matrix/test_error_table.py``.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import (
    NVIDIAConfig,
    NVIDIAProviderDataValidator,
)
from llama_stack_provider_nvidia.nim.errors import NIMError, ServerError
from llama_stack_provider_nvidia.nim.errors.cause import Cause, When
from llama_stack_provider_nvidia.nim.errors.troubleshooting import CAUSES
from nim_emulator import EmulatorServer

from ..matrix.causes import LONG, SECRETS, WAYS, Nims, Way
from .conftest import MODEL

HELLO = [{"role": "user", "content": "count to 6"}]


@pytest.fixture(scope="module")
def nims() -> Iterator[Nims]:
    with Nims() as made:
        made.open_mute()
        yield made


async def made_for(way: Way, nims: Nims) -> NVIDIAInferenceAdapter:
    """The provider with one further try, and the request's provider data."""
    config = nims.providers()[way.provider]
    adapter: Any = await get_adapter_impl(NVIDIAConfig(**{**config, "max_retries": 1}), {})
    if way.data is not None:
        data = NVIDIAProviderDataValidator(**way.data)
        adapter.__provider_spec__ = object()
        adapter.get_request_provider_data = lambda: data
    return adapter


async def ask(adapter: NVIDIAInferenceAdapter, way: Way, *, stream: bool) -> None:
    fields = {**way.fields, **way.fields.get("extra_body", {})}
    fields.pop("extra_body", None)
    if way.route == "embeddings":
        await adapter.openai_embeddings(model=way.model, input="x")
        return
    fields = {"model": way.model, "stream": stream, **fields}
    if way.route == "completion":
        answer = await adapter.openai_completion(prompt="x", **fields)
    else:
        answer = await adapter.openai_chat_completion(**{"messages": HELLO, **fields})
    if stream:
        async for _ in answer:
            pass


def fails_late(cause: Cause) -> bool:
    """Whether a stream fails otherwise than a whole answer does."""
    return not cause.whole or cause.when in (When.LATER, When.BOTH)


@pytest.mark.parametrize(
    ("cause", "stream"),
    [
        pytest.param(cause, stream, id=f"{cause.code}-{'streamed' if stream else 'whole'}")
        for cause in CAUSES
        for stream in (False, True)
        if cause.code in WAYS and (cause.whole if not stream else fails_late(cause))
    ],
)
async def test_a_cause(cause: Cause, stream: bool, nims: Nims) -> None:
    way = WAYS[cause.code]
    adapter = await made_for(way, nims)
    held: Any = None
    try:
        if way.holds:
            nims.plain.script([LONG])
            fields = {"model": way.model, "messages": HELLO}
            held = await adapter.openai_chat_completion(**fields, stream=True)
            await anext(held)
        for _ in range(way.asked_before):
            await ask(adapter, way, stream=False)
        way.order(nims.plain, stream=stream, times=2)
        with pytest.raises(NIMError) as caught:
            await ask(adapter, way, stream=stream)
    finally:
        nims.plain.clear()
        if held is not None:
            await held.aclose()
        await adapter.shutdown()
    error = caught.value
    assert type(error).__name__ == getattr(cause.kind, "__name__", None)
    assert error.status_code == cause.own_status
    assert error.code == cause.code
    assert (cause.remedy in error.message) == (not cause.unsent)
    assert error.body["message"] == str(error)
    assert error.body["code"] == (cause.openai_code or cause.code)
    assert error.body["type"]
    begun = stream and cause.when is When.BOTH
    assert ("It was attempted 2 times" in error.message) == (cause.retried and not begun)
    assert error.model == way.model or "model" not in way.names
    assert error.endpoint or "endpoint" not in way.names
    assert not any(secret in f"{error} {error!r}" for secret in SECRETS)


ODD = {"choices": [{"index": 0, "delta": {"content": "x", "function_call": 5}}]}


async def test_a_chunk_that_the_sdk_cannot_take_has_a_place(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    headers = {"x-request-id": "r-9"}
    nim.script([{"path": "/v1/chat/completions", "sse": [ODD], "headers": headers}])
    stream = await adapter.openai_chat_completion(model=MODEL, messages=HELLO, stream=True)
    with pytest.raises(ServerError, match="function_call") as caught:
        async for _ in stream:
            pass
    error = caught.value
    assert (error.model, error.endpoint) == (MODEL, adapter.endpoint.url)
    assert error.request_id == "r-9"


@pytest.mark.native
async def test_a_native_tool_call_without_a_name_has_a_place(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.faults([{"fault": "tool-calls", "kind": "no-name"}])
    said = [stack.UserMessage(content="count")]
    with pytest.raises(ServerError, match="without a name") as caught:
        async for _ in await adapter.chat_completion(MODEL, said, stream=True):
            pass
    assert (caught.value.model, caught.value.endpoint) == (MODEL, adapter.endpoint.url)
