"""OpenAI-style chat, whole and streamed."""

import json
from collections import defaultdict
from typing import Any

import jsonschema
import openai
import pytest

from nim_emulator import EmulatorServer

from . import release
from .conftest import LLM, MODEL

pytestmark = pytest.mark.server

HELLO: list[Any] = [{"role": "user", "content": "Say hello to the world."}]
WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Paris and in Tokyo?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city"}},
            "required": ["city"],
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "population": {"type": "integer", "minimum": 1},
        "note": {"type": ["string", "null"], "default": None},
    },
    "required": ["name", "population"],
    "additionalProperties": False,
}


def chat(client: Any, messages: list[Any] = HELLO, **fields: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=messages, **fields)


def streamed(client: Any, messages: list[Any] = HELLO, **fields: Any) -> list[Any]:
    with chat(client, messages, stream=True, **fields) as stream:
        return list(stream)


def texts(chunks: list[Any]) -> dict[int, str]:
    """The text of each choice of a stream."""
    found: dict[int, str] = defaultdict(str)
    for chunk in chunks:
        for choice in chunk.choices:
            found[choice.index] += choice.delta.content or ""
    return dict(found)


def sent(nim: EmulatorServer) -> dict[str, Any]:
    body = nim.requests[-1].body
    assert isinstance(body, dict)
    return body


def test_a_chat_has_the_same_text_whole_and_streamed(client: openai.OpenAI) -> None:
    whole = chat(client)
    assert "hello to the world" in whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.model == MODEL
    # How many there are depends on who is faster, the NIM or the server.
    chunks = streamed(client)
    assert texts(chunks) == {0: whole.choices[0].message.content}
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {MODEL}


def test_only_what_was_asked_for_reaches_the_nim(
    client: openai.OpenAI, nim: EmulatorServer
) -> None:
    chat(client)
    body = sent(nim)
    # Some releases fill in this one themselves.
    assert body.pop("stream", False) is False
    assert body == {"model": LLM, "messages": HELLO}


def test_the_standard_fields_reach_the_nim(client: openai.OpenAI, nim: EmulatorServer) -> None:
    fields: dict[str, Any] = {
        "frequency_penalty": 0.5,
        "logit_bias": {"42": 1.5},
        "max_tokens": 20,
        "n": 2,
        "presence_penalty": -0.5,
        "seed": 7,
        "stop": ["\n\n"],
        "temperature": 0.25,
        "top_p": 0.5,
        "user": "somebody",
        "logprobs": True,
        "top_logprobs": 1,
    }
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    chat(client, messages, **fields)
    body = sent(nim)
    body.pop("stream", None)
    assert body == {"model": LLM, "messages": messages, **fields}


def test_extras_reach_the_nim_where_the_release_lets_them_through(
    client: openai.OpenAI, nim: EmulatorServer
) -> None:
    extras = {"top_k": 5, "chat_template_kwargs": {"enable_thinking": False}}
    chat(client, extra_body=extras)
    assert (extras.items() <= sent(nim).items()) == release.ONE_OBJECT
    if release.ONE_OBJECT:
        client.chat.completions.create(model=f"nim1/{LLM}", messages=HELLO, extra_body={"top_k": 5})


def test_a_tool_call_and_the_answer_after_its_result(client: openai.OpenAI) -> None:
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    (choice,) = chat(client, question, tools=[TOOL]).choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    history = [
        *question,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"},
    ]
    answer = chat(client, history, tools=[TOOL]).choices[0]
    assert "21 degrees" in answer.message.content
    assert not answer.message.tool_calls


def test_parallel_tool_calls_streamed(client: openai.OpenAI) -> None:
    names: dict[int, str] = defaultdict(str)
    arguments: dict[int, str] = defaultdict(str)
    ids: dict[int, str] = {}
    reasons = []
    for chunk in streamed(client, WEATHER, tools=[TOOL]):
        for choice in chunk.choices:
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or ():
                ids.setdefault(call.index, call.id)
                names[call.index] += call.function.name or ""
                arguments[call.index] += call.function.arguments or ""
    assert [json.loads(text) for text in arguments.values()] == [
        {"city": "Paris"},
        {"city": "Tokyo"},
    ]
    assert set(names.values()) == {"get_weather"}
    assert len(set(ids.values())) == 2
    assert reasons == ["tool_calls"]


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_a_tool_can_be_forced(client: openai.OpenAI, choice: Any) -> None:
    message = chat(client, tools=[TOOL], tool_choice=choice).choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["get_weather"]


@pytest.mark.parametrize("provider", ["nvidia", "nim1"])
def test_json_schema_output_validates(client: openai.OpenAI, provider: str) -> None:
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
    messages: list[Any] = [{"role": "user", "content": "Tell me about Paris."}]
    model = f"{provider}/{LLM}"
    whole = client.chat.completions.create(model=model, messages=messages, response_format=wanted)
    jsonschema.validate(json.loads(whole.choices[0].message.content or ""), SCHEMA)
    chunks = list(
        client.chat.completions.create(
            model=model, messages=messages, response_format=wanted, stream=True
        )
    )
    assert texts(chunks)[0] == whole.choices[0].message.content


def test_log_probabilities(client: openai.OpenAI) -> None:
    whole = chat(client, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in whole] == [2] * len(whole)
    parts = [
        token
        for chunk in streamed(client, logprobs=True, top_logprobs=2)
        for choice in chunk.choices
        for token in (choice.logprobs.content if choice.logprobs else None) or ()
    ]
    assert [(t.token, t.logprob, len(t.top_logprobs)) for t in parts] == [
        (t.token, t.logprob, len(t.top_logprobs)) for t in whole
    ]


def test_several_answers(client: openai.OpenAI) -> None:
    whole = chat(client, n=2, temperature=1, seed=3)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert texts(streamed(client, n=2, temperature=1, seed=3)) == {
        choice.index: choice.message.content for choice in whole.choices
    }


def test_usage(client: openai.OpenAI) -> None:
    usage = chat(client).usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    assert [chunk.usage for chunk in streamed(client) if chunk.usage] == []
    chunks = streamed(client, stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == usage.completion_tokens
    assert len([chunk for chunk in chunks if chunk.usage]) == 1


def test_an_answer_without_usage_gets_one(client: openai.OpenAI, nim: EmulatorServer) -> None:
    """Servers read it unguarded."""
    message = {"role": "assistant", "content": "hi"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    nim.script([{"path": "/v1/chat/completions", "body": body}])
    answer = chat(client)
    assert answer.choices[0].message.content == "hi"
    assert answer.usage.total_tokens == 0


def test_chunks_without_choices_break_nothing(client: openai.OpenAI, nim: EmulatorServer) -> None:
    def chunk(**fields: Any) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **fields}

    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    events = [
        chunk(choices=[]),
        chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]),
        chunk(choices=None, usage=usage),
        chunk(choices=[{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]),
        chunk(choices=[{"delta": None, "finish_reason": "stop"}]),
        chunk(choices=[], usage=usage),
        "[DONE]",
    ]
    nim.script([{"path": "/v1/chat/completions", "sse": events}])
    assert texts(streamed(client)) == {0: "hi"}


def test_reasoning_comes_through(client: openai.OpenAI, nim: EmulatorServer) -> None:
    message = {"role": "assistant", "content": "4", "reasoning": "2 and 2"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    nim.script([{"path": "/v1/chat/completions", "body": body}])
    assert chat(client).choices[0].message.reasoning_content == "2 and 2"
    deltas = [{"role": "assistant", "reasoning": "2 and 2"}, {"content": "4"}]
    events: list[Any] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "[DONE]"]
    nim.script([{"path": "/v1/chat/completions", "sse": events}])
    chunks = streamed(client)
    assert texts(chunks) == {0: "4"}
    deltas = [chunk.choices[0].delta for chunk in chunks]
    reasoning = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    assert "".join(reasoning) == "2 and 2"


def test_images_reach_the_model(client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    content = [{"type": "text", "text": "What is in this image?"}, image]
    answer = chat(client, [{"role": "user", "content": content}])
    assert "1 image" in answer.choices[0].message.content


def test_the_release_s_own_client(own_client: Any) -> None:
    whole = chat(own_client)
    text = whole.choices[0].message.content
    assert "hello to the world" in str(text)
    parts = [chunk for chunk in chat(own_client, stream=True) if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in parts) == text
