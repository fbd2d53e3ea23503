"""Differences from model to model, and settings for all of them."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer

from . import own_api
from .conftest import MODEL

NANO = "nvidia/llama-3.1-nemotron-nano-8b-v1"
HELLO = "Hello."
WEATHER = {"tool_name": "get_weather", "parameters": {"city": {"param_type": "str"}}}
THINKING = {
    "drop": "Four.",
    "inline": "<think>\n2 + 2\n</think>\n\nFour.",
    "text": "2 + 2\n\nFour.",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[EmulatorServer]:
    with EmulatorServer(models=[MODEL, NANO]) as nim:
        yield nim


@pytest.fixture
def nim(shared: EmulatorServer) -> EmulatorServer:
    shared.clear()
    return shared


@asynccontextmanager
async def adapter_of(nim: EmulatorServer, **config: Any) -> AsyncIterator[NVIDIAInferenceAdapter]:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, max_retries=0, **config))
    await adapter.initialize()
    yield adapter
    await adapter.shutdown()


def whole(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"body": {"id": "x", "choices": [choice]}}


def streamed(*deltas: dict[str, Any]) -> dict[str, Any]:
    chunks = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return {"sse": [*chunks, "[DONE]"]}


def said() -> list[Any]:
    """A conversation of the native API."""
    return [stack.UserMessage(content=HELLO)]


@pytest.mark.native
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("mode", THINKING)
async def test_thinking_that_is_set_apart(nim: EmulatorServer, mode: str, field: str) -> None:
    async with adapter_of(nim, reasoning=mode) as adapter:
        nim.script([whole(**{field: "2 + 2", "content": "Four."})])
        answer = await own_api.chat(adapter, MODEL, HELLO)
        assert own_api.text_of(answer) == THINKING[mode]
        deltas = [{field: "2 +"}, {field: " 2"}, {"content": "Fo"}, {"content": "ur."}]
        nim.script([streamed(*deltas)])
        stream = await own_api.chat(adapter, MODEL, HELLO, stream=True)
        assert await own_api.text_of_stream(stream) == THINKING[mode]


@pytest.mark.native
@pytest.mark.parametrize("mode", THINKING)
async def test_thinking_in_the_text(nim: EmulatorServer, mode: str) -> None:
    async with adapter_of(nim, reasoning=mode) as adapter:
        nim.script([whole(content="<think>2 + 2</think>\n\nFour.")])
        answer = await own_api.chat(adapter, NANO, HELLO)
        assert own_api.text_of(answer) == THINKING[mode]
        pieces = ["<th", "ink>2 ", "+ 2</", "think>", "\n\nFour", "."]
        nim.script([streamed(*({"content": piece} for piece in pieces))])
        stream = await own_api.chat(adapter, NANO, HELLO, stream=True)
        assert await own_api.text_of_stream(stream) == THINKING[mode]


@pytest.mark.native
async def test_a_tag_that_never_closes_loses_nothing(nim: EmulatorServer) -> None:
    async with adapter_of(nim) as adapter:
        nim.script([{"sse": [*streamed({"content": "1 <thi"})["sse"][:1], "[DONE]"]}])
        stream = await own_api.chat(adapter, NANO, HELLO, stream=True)
        assert await own_api.text_of_stream(stream) == "1 <thi"


@pytest.mark.parametrize(
    ("setting", "line"), [("on", "detailed thinking on"), ("off", "detailed thinking off")]
)
async def test_thinking_is_switched_in_the_model_s_own_way(
    nim: EmulatorServer, setting: str, line: str
) -> None:
    async with adapter_of(nim, thinking=setting) as adapter:
        await own_api.chat(adapter, NANO, HELLO)
        first = nim.requests[-1].body["messages"][0]
        assert first == {"role": "system", "content": line}


async def test_a_model_without_a_switch_is_not_asked(nim: EmulatorServer) -> None:
    async with adapter_of(nim, thinking="on") as adapter:
        nim.clear()
        with pytest.raises(errors.InvalidRequestError, match="thinking"):
            await own_api.chat(adapter, MODEL, HELLO)
        assert nim.requests == []


@pytest.mark.native
async def test_tool_calls_in_the_text_are_recovered_where_that_is_wanted(
    nim: EmulatorServer,
) -> None:
    text = '{"name": "get_weather", "parameters": {"city": "Paris"}}'
    pieces = [{"content": text[at : at + 7]} for at in range(0, len(text), 7)]
    async with adapter_of(nim) as adapter:
        nim.script([whole(content=text)])
        answer = await adapter.chat_completion(MODEL, said(), tools=[WEATHER])
        assert answer.completion_message.content == text
    async with adapter_of(nim, recover_tool_calls=True) as adapter:
        nim.script([whole(content=text)])
        answer = await adapter.chat_completion(MODEL, said(), tools=[WEATHER])
        (call,) = answer.completion_message.tool_calls
        assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Paris"})
        assert answer.completion_message.content == ""
        assert answer.completion_message.stop_reason == stack.StopReason.end_of_message
        nim.script([streamed(*pieces)])
        stream = await adapter.chat_completion(MODEL, said(), tools=[WEATHER], stream=True)
        events = [chunk.event async for chunk in stream]
        assert [event.delta.text for event in events if event.delta.type == "text"] == ["", ""]
        assert events[-2].delta.tool_call.arguments == {"city": "Paris"}
        assert events[-1].stop_reason == stack.StopReason.end_of_message
        # Without tools there is nothing to call.
        nim.script([whole(content=text)])
        answer = await own_api.chat(adapter, MODEL, HELLO)
        assert answer.completion_message.content == text


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [("Of course!", "is not JSON"), ('{"n": "one"}', r"\$\.n"), ('{"n": 1}', None)],
    ids=["free text", "another form", "what was asked for"],
)
@pytest.mark.parametrize(
    "config", [{"structured_output": "validate"}, {"dialect": "generic"}], ids=["asked", "unknown"]
)
async def test_an_answer_that_does_not_fit_is_refused(
    nim: EmulatorServer, config: dict[str, Any], text: str, problem: str | None
) -> None:
    begun = [{"choices": [{"index": 0, "delta": {"content": text}}]}]
    async with adapter_of(nim, **config) as adapter:
        for reply in (
            whole(content=text),
            streamed({"content": text[:3]}, {"content": text[3:]}),
            {"sse": [*begun, "[DONE]"]},  # the NIM gives no finish reason
        ):
            nim.script([reply])
            stream = "sse" in reply
            call = own_api.chat(adapter, MODEL, HELLO, schema=SCHEMA, stream=stream)
            if problem is None:
                answer = await call
                got = await own_api.text_of_stream(answer) if stream else own_api.text_of(answer)
                assert json.loads(got) == {"n": 1}
            else:
                with pytest.raises(errors.ServerError, match=problem):
                    await finished(call)


async def finished(call: Any) -> None:
    answer = await call
    if hasattr(answer, "__aiter__"):
        await own_api.text_of_stream(answer)


async def test_a_nim_that_is_known_to_enforce_is_trusted(nim: EmulatorServer) -> None:
    async with adapter_of(nim) as adapter:
        nim.script([whole(content="Of course!")])
        answer = await own_api.chat(adapter, MODEL, HELLO, schema=SCHEMA)
        assert own_api.text_of(answer) == "Of course!"


@pytest.mark.native
async def test_images_from_private_addresses_are_not_fetched(nim: EmulatorServer) -> None:
    image = stack.ImageContentItem(image={"url": {"uri": f"{nim.url}/cat.png"}})
    async with adapter_of(nim, download_images=True) as adapter:
        nim.clear()
        with pytest.raises(errors.InvalidRequestError, match=r"messages\[0\].content\[0\]"):
            await adapter.chat_completion(MODEL, [stack.UserMessage(content=[image])])
        assert nim.requests == []


async def test_openai_style_answers_have_their_thinking_apart(nim: EmulatorServer) -> None:
    message = {"role": "user", "content": "2 + 2?"}
    async with adapter_of(nim) as adapter:
        nim.script([whole(content="<think>2 + 2</think>\n\nFour.")])
        answer = await adapter.openai_chat_completion(model=NANO, messages=[message])
        assert answer.choices[0].message.content == "Four."
        assert answer.choices[0].message.reasoning_content == "2 + 2"
        pieces = ["<th", "ink>2 + 2</", "think>\n\nFour."]
        nim.script([streamed(*({"content": piece} for piece in pieces))])
        stream = await adapter.openai_chat_completion(model=NANO, messages=[message], stream=True)
        deltas = [chunk.choices[0].delta async for chunk in stream]
        assert "".join(delta.content or "" for delta in deltas) == "Four."
        thoughts = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
        assert "".join(thoughts) == "2 + 2"


async def test_openai_style_answers_lose_nothing_at_a_sudden_end(nim: EmulatorServer) -> None:
    message = {"role": "user", "content": "1?"}
    async with adapter_of(nim) as adapter:
        nim.script([{"sse": [*streamed({"content": "1 <thi"})["sse"][:1], "[DONE]"]}])
        stream = await adapter.openai_chat_completion(model=NANO, messages=[message], stream=True)
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(texts) == "1 <thi"


async def test_openai_style_tool_calls_in_the_text_are_recovered(nim: EmulatorServer) -> None:
    text = '{"name": "get_weather", "parameters": {"city": "Paris"}}'
    function = {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    request = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "function": function}],
    }
    async with adapter_of(nim, recover_tool_calls=True) as adapter:
        nim.script([whole(content=text)])
        answer = await adapter.openai_chat_completion(**request)
        (call,) = answer.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        assert answer.choices[0].finish_reason == "tool_calls"
        assert answer.model_dump_json()
        nim.script([streamed({"content": text[:20]}, {"content": text[20:]})])
        stream = await adapter.openai_chat_completion(**request, stream=True)
        chunks = [chunk async for chunk in stream]
        (call,) = chunks[-1].choices[0].delta.tool_calls
        assert (call.function.name, call.index) == ("get_weather", 0)
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
        assert chunks[-1].model_dump_json()


async def test_openai_style_answers_are_checked_as_well(nim: EmulatorServer) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    request = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "n?"}],
        "response_format": wanted,
    }
    async with adapter_of(nim, structured_output="validate") as adapter:
        nim.script([whole(content="Of course!")])
        with pytest.raises(errors.ServerError, match="did not enforce"):
            await adapter.openai_chat_completion(**request)
        nim.script([streamed({"content": "Of course!"})])
        stream = await adapter.openai_chat_completion(**request, stream=True)
        with pytest.raises(errors.ServerError, match="did not enforce"):
            _ = [chunk async for chunk in stream]
