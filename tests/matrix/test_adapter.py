"""Calls as the installed server makes them, in this process."""

import asyncio
import gc
from typing import Any

import anyio
import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.provider import get_provider_spec
from nim_emulator import EmulatorServer

from . import release
from .conftest import EMBEDDER, LLM, RERANKER

COUNT: list[Any] = [{"role": "user", "content": "count to 5000"}]
THOUGHT = "Two and two."


async def call(adapter: NVIDIAInferenceAdapter, method: str, **fields: Any) -> Any:
    positional, named = release.arguments(method, fields)
    return await getattr(adapter, method)(*positional, **named)


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the emulator runs in another thread)
            await asyncio.sleep(0.02)


def counting(method: str) -> dict[str, Any]:
    what = {"prompt": "count to 5000"} if method == "openai_completion" else {"messages": COUNT}
    return {"model": LLM, "max_tokens": 8000, "stream": True, **what}


@pytest.mark.parametrize("method", ["openai_chat_completion", "openai_completion"])
async def test_a_stream_that_nobody_starts_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, method: str
) -> None:
    stream = await call(adapter, method, **counting(method))
    del stream
    gc.collect()
    await until(lambda: nim.requests[-1].disconnected)


@pytest.mark.parametrize("method", ["openai_chat_completion", "openai_completion"])
async def test_a_stream_that_is_closed_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, method: str
) -> None:
    stream = await call(adapter, method, **counting(method))
    assert (await anext(stream)).choices
    await stream.aclose()
    await until(lambda: nim.requests[-1].disconnected)


async def as_a_server(step: Any) -> Any:
    """Wait for a step as servers do: in a task of its own, cancelled again at every await."""
    return await asyncio.create_task(step)


async def leave_once_asked(nim: EmulatorServer, step: Any) -> None:
    """Wait for a step as servers do, and leave when the NIM has got a request."""
    with anyio.CancelScope() as scope:

        async def leave() -> None:
            await until(lambda: nim.requests)
            scope.cancel()

        leaving = asyncio.create_task(leave())
        await as_a_server(step)
    await leaving


async def test_a_caller_who_leaves_in_the_middle_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    method = "openai_chat_completion"
    for _ in range(3):
        stream = await call(adapter, method, **counting(method))
        with anyio.move_on_after(0.2):
            while True:
                await as_a_server(anext(stream))
        await until(lambda: nim.requests[-1].disconnected)


async def test_a_caller_who_leaves_before_the_answer_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    method = "openai_chat_completion"
    await call(adapter, method, model=LLM, messages=COUNT[:1], max_tokens=1)
    nim.clear()
    nim.script([{"path": "/v1/chat/completions", "delay_s": 20, "sse": ["[DONE]"]}])
    await leave_once_asked(nim, call(adapter, method, **counting(method)))
    await until(lambda: nim.requests[-1].disconnected)


@pytest.mark.parametrize("method", ["openai_chat_completion", "openai_completion"])
async def test_a_refused_stream_is_refused_when_it_is_asked_for(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, method: str
) -> None:
    nim.script([{"status": 400, "body": {"message": "no"}}])
    with pytest.raises(errors.InvalidRequestError):
        await call(adapter, method, **counting(method))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>", "cannot be read"),
        ({"choices": []}, "without choices"),
        ({"hello": 1}, "without choices"),
        ({"error": {"message": "boom", "code": 500}}, "boom"),
        ({"object": "error", "message": "flat boom", "code": 500}, "flat boom"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, body: Any, problem: str
) -> None:
    nim.script([{"body": body}])
    with pytest.raises(errors.ServerError, match=problem):
        await call(adapter, "openai_chat_completion", model=LLM, messages=COUNT)


async def test_embeddings_that_are_none_are_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script([{"body": {"object": "list", "data": None}}])
    with pytest.raises(errors.ServerError, match="without embeddings"):
        await call(adapter, "openai_embeddings", model=EMBEDDER, input=["one"])


async def test_what_servers_leave_out_is_filled_in(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    call_made = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    choice = {"message": {"tool_calls": [call_made]}, "finish_reason": "odd"}
    nim.script([{"body": {"choices": [choice]}}])
    answer = await call(adapter, "openai_chat_completion", model=LLM, messages=COUNT)
    (found,) = answer.choices
    assert (found.index, found.finish_reason) == (0, "stop")
    assert found.message.tool_calls[0].function.arguments == '{"a":1}'
    assert answer.model == LLM
    assert answer.created > 0


async def test_models_of_every_kind_that_the_stack_has(adapter: NVIDIAInferenceAdapter) -> None:
    assert await adapter.should_refresh_models()
    listed = {model.identifier: model for model in await adapter.list_models() or ()}
    assert not await adapter.should_refresh_models()
    assert listed.keys() == {LLM, EMBEDDER} | ({RERANKER} if "rerank" in stack.KINDS else set())
    assert listed[LLM].model_type == stack.ModelType.llm
    assert listed[EMBEDDER].model_type == stack.ModelType.embedding
    assert listed[EMBEDDER].metadata["embedding_dimension"] == 1024


async def test_models_are_asked_for_again_until_the_nim_answers(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script([{"path": "/v1/models", "status": 503, "body": "starting"}])
    assert await adapter.list_models() is None
    assert await adapter.should_refresh_models()


def test_the_spec_is_of_the_installed_release() -> None:
    spec = get_provider_spec()
    assert spec.provider_type == "remote::nvidia"
    assert spec.module == "llama_stack_provider_nvidia"


def thinking(nim: EmulatorServer, name: str, *, streamed: bool) -> None:
    """Script an answer with reasoning under the name that one kind of NIM gives it."""
    path = "/v1/chat/completions"
    if streamed:
        parts: list[Any] = [{name: "Two "}, {name: "and two."}, {"content": "4"}]
        events: list[Any] = [{"choices": [{"index": 0, "delta": part}]} for part in parts]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        nim.script([{"path": path, "sse": [{"choices": []}, *events, "[DONE]"]}])
    else:
        message = {"role": "assistant", "content": "4", name: THOUGHT}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        nim.script([{"path": path, "body": {"choices": [choice]}}])


def test_reasoning_has_a_call_of_its_own_where_the_protocol_has() -> None:
    name = "openai_chat_completions_with_reasoning"
    assert (name in dir(NVIDIAInferenceAdapter)) == stack.REASONING


if stack.REASONING:

    @pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
    async def test_reasoning_stands_beside_the_answer(
        adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, name: str
    ) -> None:
        method = "openai_chat_completions_with_reasoning"
        thinking(nim, name, streamed=False)
        whole = await call(adapter, method, model=LLM, messages=COUNT)
        assert whole.reasoning_content == THOUGHT
        assert whole.completion.choices[0].message.content == "4"

        thinking(nim, name, streamed=True)
        stream = await call(adapter, method, model=LLM, messages=COUNT, stream=True)
        seen = [item async for item in stream]
        assert "".join(item.reasoning_content or "" for item in seen) == THOUGHT
        deltas = [choice.delta for item in seen for choice in item.chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == "4"

    async def test_earlier_reasoning_goes_back_to_the_nim(
        adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
    ) -> None:
        (params,), _ = release.arguments(
            "openai_chat_completion", {"model": LLM, "messages": COUNT}
        )
        said = {"role": "assistant", "content": "4", "reasoning_content": THOUGHT}

        class Thinking(type(params.messages[0])):  # type: ignore[misc]
            reasoning_content: str = THOUGHT

        params.messages = [*params.messages, Thinking.model_construct(**said), *params.messages]
        thinking(nim, "reasoning", streamed=False)
        await adapter.openai_chat_completions_with_reasoning(params)
        expected = {"role": "assistant", "content": "4", "reasoning": THOUGHT}  # vLLM's name
        assert nim.requests[-1].body["messages"][1] == expected

    async def test_a_reasoning_stream_that_nobody_starts_lets_go_of_the_nim(
        adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
    ) -> None:
        method = "openai_chat_completions_with_reasoning"
        stream = await call(adapter, method, **counting(method))
        del stream
        gc.collect()
        await until(lambda: nim.requests[-1].disconnected)
