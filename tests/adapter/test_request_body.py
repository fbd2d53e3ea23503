"""Values that no JSON can carry, in every place of a request that a caller can write to."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer

MODEL = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
HALF = "half \ud83d"
HELLO = [{"role": "user", "content": "hello"}]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
Ask = Callable[[NVIDIAInferenceAdapter, Any], Awaitable[Any]]


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": HELLO, **fields}


def schema(inner: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": inner}}


def tool(parameters: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "f", "parameters": parameters}}]


def native_tool(default: Any) -> list[dict[str, Any]]:
    parameter = {"param_type": "string", "default": default}
    return [{"tool_name": "f", "description": "d", "parameters": {"p": parameter}}]


def native_schema(inner: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": inner}


OBJECTS: dict[str, Ask] = {
    "response_format": lambda a, v: a.openai_chat_completion(**chat(response_format=schema(v))),
    "tools": lambda a, v: a.openai_chat_completion(**chat(tools=tool(v))),
    "guided_json": lambda a, v: a.openai_chat_completion(**chat(guided_json=v)),
    "chat_template_kwargs": lambda a, v: a.openai_chat_completion(**chat(chat_template_kwargs=v)),
    "metadata": lambda a, v: a.openai_chat_completion(**chat(metadata=v)),
    "completion": lambda a, v: a.openai_completion(model=MODEL, prompt="x", guided_json=v),
    "native format": lambda a, v: a.chat_completion(MODEL, HELLO, response_format=native_schema(v)),
    "native tools": lambda a, v: a.chat_completion(MODEL, HELLO, tools=native_tool(v)),
    "native completion": lambda a, v: a.completion(MODEL, "x", response_format=native_schema(v)),
}
TEXTS: dict[str, Ask] = {
    "message": lambda a, v: a.openai_chat_completion(
        model=MODEL, messages=[{"role": "user", "content": v}]
    ),
    "stream": lambda a, v: a.openai_chat_completion(
        model=MODEL, messages=[{"role": "user", "content": v}], stream=True
    ),
    "tool result": lambda a, v: a.openai_chat_completion(
        model=MODEL,
        messages=[
            *HELLO,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "1", "content": v},
        ],
    ),
    "user": lambda a, v: a.openai_chat_completion(**chat(user=v)),
    "model": lambda a, v: a.openai_chat_completion(model=v, messages=HELLO),
    "completion": lambda a, v: a.openai_completion(model=MODEL, prompt=v),
    "embeddings": lambda a, v: a.openai_embeddings(model=EMBEDDER, input=["a", v]),
    "query": lambda a, v: a.rerank(RERANKER, v, ["a"]),
    "item": lambda a, v: a.rerank(RERANKER, "q", ["a", v]),
    "native message": lambda a, v: a.chat_completion(MODEL, [{"role": "user", "content": v}]),
    "native completion": lambda a, v: a.completion(MODEL, v),
    "native embeddings": lambda a, v: a.embeddings(EMBEDDER, ["a", v]),
}


def deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


async def refusal(ask: Ask, value: Any) -> errors.NIMError:
    with EmulatorServer(models=[MODEL, EMBEDDER, RERANKER]) as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, max_retries=0))
        with pytest.raises(errors.InvalidRequestError) as raised:
            await ask(adapter, value)
        assert [request for request in nim.requests if request.method == "POST"] == []
        await adapter.shutdown()
    assert raised.value.field
    assert raised.value.message.count(raised.value.field) == 1
    return raised.value


@pytest.mark.parametrize("levels", [250, 900])
@pytest.mark.parametrize("place", OBJECTS)
async def test_too_deep(place: str, levels: int) -> None:
    error = await refusal(OBJECTS[place], deep(levels))
    assert "is nested more than 200 levels deep" in error.message


@pytest.mark.parametrize("place", OBJECTS)
async def test_far_too_deep(place: str) -> None:
    await refusal(OBJECTS[place], deep(20_000))


@pytest.mark.parametrize("place", [*OBJECTS, *TEXTS])
async def test_half_a_character(place: str) -> None:
    if place in TEXTS:
        error = await refusal(TEXTS[place], HALF)
    else:
        error = await refusal(OBJECTS[place], {"type": "object", "title": HALF})
    assert "holds a lone surrogate" in error.message
    assert str(error).encode()  # a server can send it
    assert error.body["message"] == str(error)
