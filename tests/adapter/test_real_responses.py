"""Responses as users of engines have reported them, on each route, whole and streamed.

The files in ``responses/`` hold bodies and streams as they came off the wire.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.nim.errors import NIMError, ServerError
from llama_stack_provider_nvidia.nim.responses.struct_codec import COMPLETION as TEXTS
from nim_emulator import EmulatorServer

from . import own_api
from .conftest import MODEL
from .test_faults import native_chat, native_completion, openai_chat, openai_completion
from .test_model_quirks import adapter_of

RESPONSES = Path(__file__).parent / "responses"
SAID = [{"role": "user", "content": "hi"}]
CHAT = {"native": native_chat, "openai": openai_chat}
COMPLETION = {"native": native_completion, "openai": openai_completion}
# Those that the release has.
CHATS = [way for style, way in CHAT.items() if style == "openai" or stack.NATIVE]
COMPLETIONS = [way for style, way in COMPLETION.items() if style == "openai" or stack.NATIVE]
STYLES = pytest.mark.parametrize("style", CHAT)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
OPENAI_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


def serve(nim: EmulatorServer, name: str) -> None:
    """Answer the next POST with a file."""
    text = (RESPONSES / name).read_text()
    nim.script([{"sse": [{"raw": text}]} if name.endswith(".sse") else {"body": text}])


def serve_choice(nim: EmulatorServer, stream: bool, choice: dict[str, Any], **fields: Any) -> None:
    """Answer the next POST with one chat choice."""
    body = {"id": "x", "choices": [{"index": 0, **choice}], **fields}
    nim.script([{"sse": [body, "[DONE]"]} if stream else {"body": body}])


def suffix(stream: bool) -> str:
    return ".sse" if stream else ".json"


async def chunks_of(adapter: NVIDIAInferenceAdapter, **fields: Any) -> list[Any]:
    stream = await adapter.openai_chat_completion(model=MODEL, messages=SAID, stream=True, **fields)
    return [chunk async for chunk in stream]


# Ends


@STYLES
@STREAMED
async def test_an_aborted_response_is_an_error(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str, stream: bool
) -> None:
    serve(nim, "aborted" + suffix(stream))
    with pytest.raises(ServerError, match=r"gave up .*'abort'") as caught:
        await CHAT[style](adapter, stream)
    assert caught.value.code == "generation_aborted"


REASONS = {
    "abort": None,
    "error": None,
    "Cancelled": None,
    "timeout": None,
    "engine-failure": None,
    "repetition": ("out_of_tokens", "length"),
    "max_new_tokens": ("out_of_tokens", "length"),
    "eos": ("end_of_turn", "stop"),
    "end_turn": ("end_of_turn", "stop"),
    "safety": ("end_of_turn", "content_filter"),
    "something_new": ("end_of_turn", "stop"),
    "": ("end_of_turn", "stop"),
}


@STYLES
@STREAMED
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("route", ["chat", "completion"])
async def test_every_finish_reason_ends_in_one_of_openai_or_in_an_error(
    nim: EmulatorServer,
    adapter: NVIDIAInferenceAdapter,
    style: str,
    stream: bool,
    reason: str,
    route: str,
) -> None:
    written: dict[str, Any] = {"delta" if stream else "message": {"content": "a"}}
    if route == "completion":
        written = {"text": "a"}
    serve_choice(nim, stream, {**written, "finish_reason": reason})
    way = (CHAT if route == "chat" else COMPLETION)[style]
    expected = REASONS[reason]
    if expected is None:
        with pytest.raises(ServerError, match="gave up"):
            await way(adapter, stream)
    else:
        answer = await way(adapter, stream)
        assert (answer.text, answer.reason) == ("a", expected[style == "openai"])


async def test_an_unknown_reason_is_logged_once(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            serve_choice(nim, False, {"message": {"content": "a"}, "finish_reason": "moon phase"})
            await openai_chat(adapter, False)
    lines = [line for line in caplog.messages if "finish reason" in line]
    assert lines == [
        "The NIM ended a response with an unknown finish reason (moon_phase): it is handed on as "
        "stop."
    ]


@STYLES
async def test_a_stream_without_finish_reason_is_ended(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    serve(nim, "no_finish_reason.sse")
    answer = await CHAT[style](adapter, True)
    assert answer.text == "Hello there"
    assert answer.reason == ("end_of_turn" if style == "native" else "stop")


async def test_the_end_that_is_missing_comes_before_the_counts(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter
) -> None:
    serve(nim, "no_finish_reason.sse")
    *_, end, counts = await chunks_of(adapter, stream_options={"include_usage": True})
    assert end.choices[0].finish_reason == "stop"
    assert (counts.choices, counts.usage.total_tokens) == ([], 13)
    assert end.id == counts.id == "chatcmpl-b1"


@STYLES
async def test_a_tool_call_without_finish_reason_is_ended(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    serve_choice(nim, True, {"delta": {"tool_calls": [call]}})
    answer = await CHAT[style](adapter, True)
    assert len(answer.calls) == 1
    assert answer.reason == ("end_of_message" if style == "native" else "tool_calls")


@STYLES
async def test_a_text_completion_without_finish_reason_is_ended(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    serve_choice(nim, True, {"text": "a"})
    answer = await COMPLETION[style](adapter, True)
    assert (answer.text, answer.reason) == ("a", "end_of_turn" if style == "native" else "stop")


async def test_one_end_of_two(nim: EmulatorServer, adapter: NVIDIAInferenceAdapter) -> None:
    serve(nim, "one_finish_of_two.sse")
    chunks = await chunks_of(adapter, n=2)
    texts, ends = {0: "", 1: ""}, {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            assert choice.index not in ends
            ends[choice.index] = choice.finish_reason
    assert texts == {0: "One", 1: "Two"}
    assert ends == {0: "stop", 1: "stop"}


# Events


@STYLES
async def test_an_error_event_is_an_error_with_its_words(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    serve(nim, "error_event_in_comment.sse")
    with pytest.raises(NIMError, match="worker lost: KV transfer failed"):
        await CHAT[style](adapter, True)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    "event",
    [
        "event: error\n: boom: it broke\n\n",
        ": boom: it broke\nevent: error\n\n",
        "event: error\ndata: boom: it broke\n\n",
        'event: error\ndata: {"message": "boom: it broke", "code": 500}\n\n',
        'event: error\ndata: {"error": {"message": "boom: it broke"}}\n\n',
    ],
)
@STYLES
@pytest.mark.parametrize("route", ["chat", "completion"])
async def test_an_error_event_anywhere(
    nim: EmulatorServer,
    adapter: NVIDIAInferenceAdapter,
    style: str,
    event: str,
    place: str,
    route: str,
) -> None:
    written: dict[str, Any] = {"delta": {"content": "a"}} if route == "chat" else {"text": "a"}
    text = {"choices": [{"index": 0, **written, "finish_reason": None}]}
    end = {"choices": [{"index": 0, **written, "finish_reason": "stop"}]}
    items: dict[str, list[Any]] = {
        "first": [{"raw": event}, text, end, "[DONE]"],
        "middle": [text, {"raw": event}, "[DONE]"],
        "last": [text, {"raw": event.removesuffix("\n\n")}],
    }
    nim.script([{"sse": items[place]}])
    way = (CHAT if route == "chat" else COMPLETION)[style]
    with pytest.raises(NIMError, match="boom: it broke"):
        await way(adapter, True)


@STYLES
async def test_side_events_are_no_part_of_the_response(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    serve(nim, "side_events.sse")
    answer = await CHAT[style](adapter, True)
    assert answer.reason == ("end_of_message" if style == "native" else "tool_calls")
    if style == "native":
        (call,) = answer.calls
        assert (call.tool_name, call.arguments) == ("get_weather", {"city": "Paris"})
    else:
        pieces = [call.function.arguments for call in answer.calls]
        assert "".join(pieces) == '{"city":"Paris"}'


@STYLES
async def test_side_events_are_no_part_of_a_text_completion(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    event = {"raw": 'event: reasoning_dispatch\ndata: {"choices": [{"text": "not this"}]}\n\n'}
    end = {"choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]}
    nim.script([{"sse": [event, end, "[DONE]"]}])
    assert (await COMPLETION[style](adapter, True)).text == "a"


# Beside the answer


@pytest.mark.parametrize("name", ["logprob_nan.json", "logprob_null.json", "logprob_null.sse"])
async def test_odd_log_probabilities_cost_nothing(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, name: str
) -> None:
    stream = name.endswith(".sse")
    serve(nim, name)
    answer = await adapter.openai_chat_completion(
        model=MODEL, messages=SAID, stream=stream, logprobs=True, top_logprobs=2
    )
    parts = [part async for part in answer] if stream else [answer]
    found = [choice.logprobs for part in parts for choice in part.choices if choice.logprobs]
    tops = found[0].model_dump()["content"][0]["top_logprobs"]
    assert [top["logprob"] for top in tops] == [0.0, -9999.0]
    assert "-9999.0" in parts[0 if not stream else 1].model_dump_json()


@pytest.mark.native
@pytest.mark.parametrize("name", ["logprob_nan.json", "logprob_null.json", "logprob_null.sse"])
async def test_odd_log_probabilities_cost_nothing_in_the_native_api(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, name: str
) -> None:
    stream = name.endswith(".sse")
    serve(nim, name)
    said = [stack.UserMessage(content="hi")]
    native = await adapter.chat_completion(MODEL, said, stream=stream, logprobs={"top_k": 2})
    events = [item.event async for item in native] if stream else [native]
    probabilities = [one for event in events for one in event.logprobs or ()]
    assert probabilities[0].logprobs_by_token == {"{": 0.0, "[": -9999.0}


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "Infinity", "1e999", "null", '"NaN"', "[]"])
@STREAMED
async def test_odd_log_probabilities_of_a_text_completion_cost_nothing(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, number: str, stream: bool
) -> None:
    logprobs = {"tokens": ["a", "b"], "token_logprobs": ["?", -1.0], "text_offset": [0, 1]}
    logprobs["top_logprobs"] = [{"a": "?"}, {"b": -1.0}]
    choice = {"index": 0, "text": "ab", "finish_reason": "stop", "logprobs": logprobs}
    body = json.dumps({"id": "x", "choices": [choice]}).replace('"?"', number)
    for way in COMPLETIONS:
        nim.script([{"sse": [body, "[DONE]"]} if stream else {"body": body}])
        assert (await way(adapter, stream)).text == "ab"
    nim.script([{"body": body}])
    made = await adapter.openai_completion(model=MODEL, prompt="hi")
    expected = None if number == "null" else -9999.0
    found = made.model_dump()["choices"][0]["logprobs"]
    assert found["token_logprobs"] == [expected, -1.0]
    json.loads(made.model_dump_json(), parse_constant=pytest.fail)


VALUES: list[Any] = [
    *(None, True, 5, -1, 1.5, "text", "", [], [1], ["text"], [None], {}, {"a": 1}, {"a": None}),
    *({"a": [1]}, {"a": {"b": [{}]}}, [[{}]], float("nan"), float("-inf")),
]
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def side_fields() -> list[tuple[str, type[Any], dict[str, Any]]]:
    """Every field of the SDK's classes beyond the choices, and some that they lack."""
    found = []
    for kind in (ChatCompletion, ChatCompletionChunk, Completion):
        known = {*kind.model_fields, "metadata", "sglext", "nvext", "copy", "model_fields"}
        known |= {"kv_transfer_params", "prompt_logprobs", "warnings", "_fields_set", "self"}
        found += [(name, kind, {name: ...}) for name in sorted(known - {"choices"})]
        found += [
            (f"usage.{name}", kind, {"usage": {**USAGE, name: ...}})
            for name in (*USAGE, *DETAILS, "cost")
        ]
        for name in DETAILS:
            inner = {**USAGE, name: {"cached_tokens": ..., "reasoning_tokens": ...}}
            found.append((f"usage.{name}.*", kind, {"usage": inner}))
    return found


def filled(fields: Any, value: Any) -> Any:
    if isinstance(fields, dict):
        return {name: filled(one, value) for name, one in fields.items()}
    return value if fields is ... else fields


@pytest.mark.parametrize(
    ("kind", "fields"),
    [pytest.param(kind, fields, id=f"{kind.__name__}-{n}") for n, kind, fields in side_fields()],
)
async def test_nothing_beside_the_choices_costs_the_answer(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, kind: type[Any], fields: dict[str, Any]
) -> None:
    stream = kind is ChatCompletionChunk
    ways = COMPLETIONS if kind is Completion else CHATS
    choice: dict[str, Any] = {"delta" if stream else "message": {"content": "a"}}
    if kind is Completion:
        choice = {"text": "a"}
    body = {"id": "x", "choices": [{"index": 0, **choice, "finish_reason": "stop"}]}
    for value in VALUES:
        sent = {**body, **filled(fields, value)}
        for streams in (False, True) if kind is Completion else (stream,):
            for way in ways:
                nim.script([{"sse": [json.dumps(sent), "[DONE]"]} if streams else {"body": sent}])
                answer = await way(adapter, streams)
                assert (answer.text, bool(answer.reason)) == ("a", True), value


CHOICE_FIELDS = ("matched_stop", "stop_reason", "token_ids", "hidden_states", "meta")
MESSAGE_FIELDS = ("annotations", "audio", "role", "reasoning_details", "token_ids", "extra")


@pytest.mark.parametrize("field", CHOICE_FIELDS + MESSAGE_FIELDS)
@STREAMED
async def test_side_fields_of_a_choice_cost_nothing(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, field: str, stream: bool
) -> None:
    for value in VALUES:
        written: dict[str, Any] = {"content": "a"}
        choice: dict[str, Any] = {"delta" if stream else "message": written}
        (choice if field in CHOICE_FIELDS else written)[field] = value
        for way in CHATS:
            serve_choice(nim, stream, {**choice, "finish_reason": "stop"})
            assert (await way(adapter, stream)).text == "a", value


async def test_sglang_s_metadata(nim: EmulatorServer, adapter: NVIDIAInferenceAdapter) -> None:
    metadata = {"weight_version": "default", "weight_versions": [{"version": "default"}]}
    choice = {"message": {"content": "a"}, "finish_reason": "stop"}
    serve_choice(nim, False, choice, metadata=metadata)
    made = await adapter.openai_chat_completion(model=MODEL, messages=SAID)
    assert made.choices[0].message.content == "a"
    assert made.metadata == {"weight_version": "default"}


async def test_a_stream_has_one_id(nim: EmulatorServer, adapter: NVIDIAInferenceAdapter) -> None:
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    for ids in (["", "a", "a"], ["a", None, ""], ["", "", ""], ["a", "b", "a"]):
        choices = [{"index": 0, "delta": {"content": "a"}}] * 2 + [end]
        events = [{"id": i, "choices": [c]} for i, c in zip(ids, choices, strict=True)]
        nim.script([{"sse": [*events, "[DONE]"], "chunk_delay_s": 0.01}])
        found = {chunk.id for chunk in await chunks_of(adapter)}
        assert len(found) == 1
        assert found == {"a"} or not ids[0]


# Tool calls

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


@STYLES
@STREAMED
async def test_tool_calls_without_any_is_a_stop(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str, stream: bool
) -> None:
    choice = {"delta" if stream else "message": {"content": "a"}, "finish_reason": "tool_calls"}
    serve_choice(nim, stream, choice)
    answer = await CHAT[style](adapter, stream)
    assert answer.reason == ("end_of_turn" if style == "native" else "stop")


@STYLES
@STREAMED
async def test_tool_calls_that_are_the_text_null_are_none(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str, stream: bool
) -> None:
    written = {"content": "a", "tool_calls": "null"}
    choice = {"delta" if stream else "message": written, "finish_reason": "tool_calls"}
    serve_choice(nim, stream, choice)
    answer = await CHAT[style](adapter, stream)
    assert (answer.text, answer.reason) == ("a", "end_of_turn" if style == "native" else "stop")


@STYLES
@STREAMED
async def test_a_call_that_is_cut_was_out_of_tokens(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str, stream: bool
) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"city": "Par'}}
    written = {"delta" if stream else "message": {"tool_calls": [call]}}
    serve_choice(nim, stream, {**written, "finish_reason": "tool_calls"})
    answer = await CHAT[style](adapter, stream)
    assert answer.reason == ("out_of_tokens" if style == "native" else "length")


@STREAMED
async def test_a_piece_of_the_template_behind_a_name_is_cut_off(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, stream: bool
) -> None:
    def answer(name: str) -> None:
        call = {"index": 0, "id": "c", "function": {"name": name, "arguments": "{}"}}
        written = {"delta" if stream else "message": {"tool_calls": [call]}}
        serve_choice(nim, stream, {**written, "finish_reason": "tool_calls"})

    async def openai_name() -> str:
        made = await adapter.openai_chat_completion(
            model=MODEL, messages=SAID, tools=[WEATHER], stream=stream
        )
        if not stream:
            return made.choices[0].message.tool_calls[0].function.name
        (found,) = [c.delta.tool_calls for x in [c async for c in made] for c in x.choices]
        return found[0].function.name

    answer("get_weather<|channel|>commentary")
    assert await openai_name() == "get_weather"
    answer("other<|channel|>commentary")  # never offered
    assert await openai_name() == "other<|channel|>commentary"
    if not stack.NATIVE:
        return
    answer("get_weather<|channel|>commentary")
    tools = [{"tool_name": "get_weather", "parameters": {}}]
    said = [stack.UserMessage(content="hi")]
    native = await adapter.chat_completion(MODEL, said, tools=tools, stream=stream)
    if stream:
        deltas = [item.event.delta async for item in native]
        calls = [d.tool_call for d in deltas if d.type == "tool_call" and d.tool_call]
        assert calls[-1].tool_name == "get_weather"
    else:
        assert native.completion_message.tool_calls[0].tool_name == "get_weather"


@STYLES
@pytest.mark.parametrize("names", [("get_weather",) * 3, ("get_", "weather", "get_weather")])
async def test_a_name_and_an_id_with_every_fragment_are_one(
    nim: EmulatorServer,
    adapter: NVIDIAInferenceAdapter,
    style: str,
    names: tuple[str, ...],
) -> None:
    pieces = ("", "", '{"city": "Paris"}')
    functions = [{"name": n, "arguments": a} for n, a in zip(names, pieces, strict=True)]
    calls = [{"index": 0, "id": "c1", "type": "function", "function": one} for one in functions]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    nim.script([{"sse": [*chunks, end, "[DONE]"]}])
    if style == "native":
        (call,) = (await CHAT[style](adapter, True)).calls
        assert (call.call_id, call.tool_name) == ("c1", "get_weather")
        return
    # As the SDK and Llama Stack join them.
    found = [
        call
        for chunk in await chunks_of(adapter)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]
    assert "".join(call.id or "" for call in found) == "c1"
    assert "".join(call.function.name or "" for call in found) == "get_weather"
    assert "".join(call.function.arguments or "" for call in found) == pieces[-1]


@STREAMED
async def test_tools_of_a_text_completion_cost_nothing(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, stream: bool
) -> None:
    serve_choice(nim, stream, {"text": "a", "finish_reason": "stop"})
    body = {"model": MODEL, "prompt": "a", "tools": [WEATHER], "stream": stream}
    if stream:
        made = [chunk async for chunk in await adapter.endpoint.stream(body, TEXTS, key=None)]
    else:
        made = [await adapter.endpoint.complete(body, TEXTS, key=None)]
    assert "".join(choice.text for chunk in made for choice in chunk.choices) == "a"
    assert nim.requests[-1].body["tools"] == [WEATHER]


@STYLES
async def test_index_0_twice_without_ids(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter, style: str
) -> None:
    calls = [{"index": 0, "function": {"name": "f", "arguments": f'{{"n": {n}}}'}} for n in (1, 2)]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    nim.script([{"sse": [*chunks, end, "[DONE]"]}])
    found = (await CHAT[style](adapter, True)).calls
    assert len(found) == 2
    if style == "openai":
        assert [call.index for call in found] == [0, 1]
        assert len({call.id for call in found}) == 2


async def test_a_broken_call_in_the_history_is_repaired(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter
) -> None:
    request = json.loads((RESPONSES / "broken_call_request.json").read_text())
    await adapter.openai_chat_completion(model=MODEL, messages=request["messages"])
    check_repaired(nim, request["messages"])


@pytest.mark.native
async def test_a_broken_call_in_the_native_history_is_repaired(
    nim: EmulatorServer, adapter: NVIDIAInferenceAdapter
) -> None:
    request = json.loads((RESPONSES / "broken_call_request.json").read_text())
    broken = stack.ToolCall(
        call_id="call_abc",
        tool_name="get_weather",
        arguments='{"city": "Par',
        arguments_json='{"city": "Par',
    )
    history = [
        stack.UserMessage(content="hi"),
        stack.CompletionMessage(content="", stop_reason="end_of_turn", tool_calls=[broken]),
        stack.ToolResponseMessage(call_id="call_abc", content="not run"),
        stack.UserMessage(content="Continue."),
    ]
    await adapter.chat_completion(MODEL, history)
    check_repaired(nim, request["messages"])


def check_repaired(nim: EmulatorServer, messages: list[dict[str, Any]]) -> None:
    sent = nim.requests[-1].body["messages"]
    (call,) = sent[1]["tool_calls"]
    assert call["id"] == "call_abc"
    assert json.loads(call["function"]["arguments"]) == {"invalid_json": '{"city": "Par'}
    assert [one["role"] for one in sent] == [one["role"] for one in messages]


# Reasoning

NEMOTRON = "nvidia/nemotron-3-nano-30b-a3b"
MINIMAX = "minimaxai/minimax-m3"


async def asked(
    adapter: NVIDIAInferenceAdapter, model: str, stream: bool, **fields: Any
) -> tuple[str, str]:
    """The reasoning and the content of an OpenAI-style answer."""
    made = await adapter.openai_chat_completion(model=model, messages=SAID, stream=stream, **fields)
    if not stream:
        parts = [made.choices[0].message]
    else:
        parts = [choice.delta async for chunk in made for choice in chunk.choices]
    assert not any(getattr(part, "reasoning", None) for part in parts)
    reasoning = "".join(getattr(part, "reasoning_content", None) or "" for part in parts)
    return reasoning, "".join(part.content or "" for part in parts)


async def own_text(adapter: NVIDIAInferenceAdapter, model: str, stream: bool) -> str:
    """The text in the API that the release has."""
    made = await own_api.chat(adapter, model, "hi", stream=stream)
    return await own_api.text_of_stream(made) if stream else own_api.text_of(made)


@pytest.fixture(scope="module")
def reasoner() -> Any:
    with EmulatorServer(models=[MODEL, NEMOTRON, MINIMAX]) as nim:
        yield nim


def serve_pieces(nim: EmulatorServer, stream: bool, *pieces: dict[str, Any]) -> None:
    """Answer with pieces of one choice; a whole response has them joined."""
    if not stream:
        message: dict[str, Any] = {}
        for piece in pieces:
            for name, text in piece.items():
                message[name] = message.get(name, "") + text
        serve_choice(nim, False, {"message": message, "finish_reason": "stop"})
        return
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": piece}]} for piece in pieces]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    nim.script([{"sse": [*chunks, "[DONE]"], "chunk_delay_s": 0.002}])


@STREAMED
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_an_answer_in_the_field_for_reasoning_is_the_answer_where_reasoning_is_off(
    reasoner: EmulatorServer, stream: bool, field: str
) -> None:
    answer = [{field: "The answer"}, {field: " is 4."}]
    async with adapter_of(reasoner, thinking="off") as adapter:
        serve_pieces(reasoner, stream, *answer)
        assert await asked(adapter, NEMOTRON, stream) == ("", "The answer is 4.")
        serve_pieces(reasoner, stream, *answer)
        assert await own_text(adapter, NEMOTRON, stream) == "The answer is 4."
        # What is followed by content is reasoning after all.
        serve_pieces(reasoner, stream, *answer, {"content": "4"})
        assert await asked(adapter, NEMOTRON, stream) == ("The answer is 4.", "4")
        serve_pieces(reasoner, stream, *answer, {"content": "4"})
        assert await own_text(adapter, NEMOTRON, stream) == "4"
        if not stream:
            serve(reasoner, "answer_in_reasoning.json")
            assert await asked(adapter, NEMOTRON, False) == ("", "The answer is 4.")
    async with adapter_of(reasoner, thinking="on") as adapter:
        serve_pieces(reasoner, stream, *answer)
        assert await asked(adapter, NEMOTRON, stream) == ("The answer is 4.", "")
    async with adapter_of(reasoner) as adapter:
        for model in (NEMOTRON, MINIMAX):
            serve_pieces(reasoner, stream, *answer)
            found = await asked(adapter, model, stream, reasoning_effort="none")
            assert found == ("", "The answer is 4.")


@STREAMED
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_has_one_name_and_the_content_stays_as_it_is(
    reasoner: EmulatorServer, stream: bool, field: str
) -> None:
    async with adapter_of(reasoner) as adapter:
        for model in (MODEL, NEMOTRON):
            serve_pieces(reasoner, stream, {field: "2 + "}, {field: "2"}, {"content": "\n\n Four."})
            assert await asked(adapter, model, stream) == ("2 + 2", "\n\n Four.")
            serve_pieces(reasoner, stream, {field: "2 + 2"}, {"content": "\n\n Four."})
            assert await own_text(adapter, model, stream) == "\n\n Four."


@STREAMED
async def test_tags_of_minimax(reasoner: EmulatorServer, stream: bool) -> None:
    async with adapter_of(reasoner) as adapter:
        serve(reasoner, "mm_think" + suffix(stream))
        assert await asked(adapter, MINIMAX, stream) == ("The user asks", "Four.")
        serve(reasoner, "mm_think" + suffix(stream))
        assert await own_text(adapter, MINIMAX, stream) == "Four."
