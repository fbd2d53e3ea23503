"""The behaviour of the engine alone, which the provider's own tests rest on.

The model is random, so a test may rely on what the engine enforces (guided
decoding, the tool parser, the shape of answers) and on nothing that a model knows.
"""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import openai
import pytest

from .conftest import Engine
from .requests import NAMED

# A property with "maxLength" keeps strings short whatever the random model does.
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
PERSON_FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
PLAIN_WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}},
            "required": ["city"],
        },
    },
}
STRICT_WEATHER = {"type": "function", "function": {**PLAIN_WEATHER["function"], "strict": True}}
# A random model calls no tool of its own accord. A regex makes it write the text that a
# trained one would, and from there on the engine's tool parser is the real one.
ONE_CALL = r'\{"name": "get_weather", "parameters": \{"city": "[a-z]{3,8}"\}\}'
TWO_CALLS = f"{ONE_CALL}; {ONE_CALL}"
GRAMMAR = 'root ::= "SELECT " col " FROM t"\ncol ::= "a" | "b"'
PROMPT = [{"role": "user", "content": "Tell me about Paris."}]
WEATHER_ARGUMENTS = PLAIN_WEATHER["function"]["parameters"]
SEEDS = range(3)


def ask(client: openai.OpenAI, engine: Engine, **fields: Any) -> Any:
    """Return the whole answer to a short chat."""
    fields = {"max_tokens": 80, "temperature": 1.0, "messages": PROMPT, **fields}
    return client.chat.completions.create(model=engine.model, **fields)


def ask_chunks(client: openai.OpenAI, engine: Engine, **fields: Any) -> list[Any]:
    """Return the chunks of a streamed answer to a short chat."""
    with ask(client, engine, stream=True, **fields) as stream:
        return list(stream)


def text_of(chunks: list[Any]) -> str:
    """Return the text that chunks with choices add up to."""
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def calls_of(chunks: list[Any]) -> dict[int, dict[str, str]]:
    """Return the streamed tool calls by index: id, name and joined arguments."""
    calls: dict[int, dict[str, str]] = {}
    for chunk in chunks:
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += delta.id or ""
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
    return calls


@pytest.mark.parametrize("seed", SEEDS)
def test_json_schema_is_obeyed(client: openai.OpenAI, engine: Engine, seed: int) -> None:
    fields = {"response_format": PERSON_FORMAT, "seed": seed}
    answer = ask(client, engine, **fields).choices[0].message.content
    streamed = text_of(ask_chunks(client, engine, **fields))
    for text in (answer, streamed):
        jsonschema.validate(json.loads(text), PERSON)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("constraint", "pattern"),
    [
        ({"regex": "[a-c]{3}-[0-9]{2}"}, "[a-c]{3}-[0-9]{2}"),
        ({"choice": ["red", "green", "blue"]}, "red|green|blue"),
        ({"grammar": GRAMMAR}, "SELECT (a|b) FROM t"),
    ],
    ids=["regex", "choice", "grammar"],
)
def test_structured_outputs_are_obeyed(
    client: openai.OpenAI, engine: Engine, constraint: dict[str, Any], pattern: str, seed: int
) -> None:
    extra = {"structured_outputs": constraint}
    chat = ask(client, engine, extra_body=extra, seed=seed).choices[0].message.content
    completion = client.completions.create(
        model=engine.model, prompt="x", max_tokens=40, seed=seed, extra_body=extra
    )
    assert re.fullmatch(pattern, chat)
    assert re.fullmatch(pattern, completion.choices[0].text)


@pytest.mark.parametrize(
    "ignored",
    [
        {"nvext": {"guided_json": PERSON}},
        {"guided_json": PERSON},
        {"nvext": {"guided_choice": ["red"]}},
        {"guided_choice": ["red"]},
    ],
    ids=["nvext.guided_json", "guided_json", "nvext.guided_choice", "guided_choice"],
)
def test_fields_of_nim_1_are_ignored_without_an_error(
    client: openai.OpenAI, engine: Engine, ignored: dict[str, Any]
) -> None:
    free = ask(client, engine, temperature=0).choices[0].message.content
    answer = ask(client, engine, temperature=0, extra_body=ignored).choices[0].message.content
    assert answer == free


@pytest.mark.parametrize(
    ("choice", "finish_reason"), [("required", "tool_calls"), (NAMED, "stop")], ids=str
)
def test_a_strict_tool_call_streams_to_the_arguments_of_the_whole_answer(
    client: openai.OpenAI, engine: Engine, choice: Any, finish_reason: str
) -> None:
    fields = {"tools": [STRICT_WEATHER], "tool_choice": choice, "temperature": 0}
    whole = ask(client, engine, **fields).choices[0]
    chunks = ask_chunks(client, engine, **fields)
    calls = calls_of(chunks)
    assert list(calls) == [0]
    assert calls[0]["id"].startswith("chatcmpl-tool-")
    assert calls[0]["name"] == "get_weather"
    arguments = json.loads(calls[0]["arguments"])
    jsonschema.validate(arguments, WEATHER_ARGUMENTS)
    assert json.loads(whole.message.tool_calls[0].function.arguments) == arguments
    # A named choice ends with "stop", although a tool was called.
    assert {whole.finish_reason, chunks[-1].choices[0].finish_reason} == {finish_reason}


def test_arguments_are_free_unless_the_function_is_strict(
    client: openai.OpenAI, engine: Engine
) -> None:
    fields = {"tools": [PLAIN_WEATHER], "tool_choice": NAMED, "temperature": 0}
    call = ask(client, engine, **fields).choices[0].message.tool_calls[0]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(call.function.arguments), WEATHER_ARGUMENTS)


@pytest.mark.parametrize(("regex", "count"), [(ONE_CALL, 1), (TWO_CALLS, 2)], ids=["one", "two"])
def test_calls_found_in_the_text_are_streamed_in_parallel(
    client: openai.OpenAI, engine: Engine, regex: str, count: int
) -> None:
    fields = {
        "tools": [PLAIN_WEATHER],
        "extra_body": {"structured_outputs": {"regex": regex}},
        "temperature": 0,
    }
    whole = ask(client, engine, **fields).choices[0].message.tool_calls
    streamed = calls_of(ask_chunks(client, engine, **fields))
    assert sorted(streamed) == list(range(count))
    for index, call in streamed.items():
        jsonschema.validate(json.loads(call["arguments"]), WEATHER_ARGUMENTS)
        assert call["arguments"] == whole[index].function.arguments
    assert len({call["id"] for call in streamed.values()}) == count


def test_a_streamed_call_without_arguments_sends_no_arguments_at_all(
    client: openai.OpenAI, engine: Engine
) -> None:
    regex = r'\{"name": "get_weather", "parameters": \{\}\}'
    fields = {
        "tools": [PLAIN_WEATHER],
        "extra_body": {"structured_outputs": {"regex": regex}},
        "temperature": 0,
    }
    whole = ask(client, engine, **fields).choices[0].message.tool_calls[0]
    streamed = calls_of(ask_chunks(client, engine, **fields))[0]
    assert whole.function.arguments == "{}"
    assert streamed["arguments"] == ""


def test_chat_logprobs_have_one_entry_for_each_token(client: openai.OpenAI, engine: Engine) -> None:
    fields = {"logprobs": True, "top_logprobs": 3, "max_tokens": 6, "temperature": 0}
    answer = ask(client, engine, **fields)
    whole = answer.choices[0].logprobs.content
    chunks = ask_chunks(client, engine, **fields)
    streamed = [
        token for c in chunks for token in (c.choices[0].logprobs.content if logprobs(c) else [])
    ]
    assert len(whole) == len(streamed) == answer.usage.completion_tokens
    for token, other in zip(whole, streamed, strict=True):
        assert token.token == other.token
        assert token.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert token.bytes == list(token.token.encode())
        assert len(token.top_logprobs) == 3
        # Greedy decoding took the best alternative.
        assert token.top_logprobs[0].logprob == token.logprob <= 0
    # The chunk with the role comes before the first token and has none.
    assert chunks[0].choices[0].delta.role == "assistant"
    assert not logprobs(chunks[0])


def logprobs(chunk: Any) -> bool:
    """Say whether a chunk carries log probabilities."""
    return chunk.choices[0].logprobs is not None


def test_completion_logprobs_are_parallel_lists(client: openai.OpenAI, engine: Engine) -> None:
    fields: dict[str, Any] = {
        "model": engine.model,
        "prompt": "The quick brown fox",
        "max_tokens": 5,
        "temperature": 0,
        "logprobs": 3,
    }
    choice = client.completions.create(**fields).choices[0]
    assert "".join(choice.logprobs.tokens) == choice.text
    assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.tokens) == 5
    assert all(len(top) == 3 for top in choice.logprobs.top_logprobs)
    with client.completions.create(stream=True, **fields) as stream:
        parts = [chunk.choices[0] for chunk in stream]
    assert [token for part in parts for token in part.logprobs.tokens] == choice.logprobs.tokens
    assert [part.finish_reason for part in parts] == [None] * (len(parts) - 1) + ["length"]


def test_usage_comes_in_a_chunk_without_choices(client: openai.OpenAI, engine: Engine) -> None:
    chunks = ask_chunks(client, engine, max_tokens=4, stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 4
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "no/such-model"}, 404, "model"),
        ({"max_tokens": 100_000}, 400, "max_tokens"),
        ({"max_tokens": -1}, 400, "max_tokens"),
        ({"tools": []}, 400, "tools"),
        ({"tool_choice": "auto"}, 400, "tool_choice"),
        ({"response_format": {"type": "yaml"}}, 400, "body.response_format.type"),
        ({"extra_body": {"top_k": -2}}, 400, None),
    ],
    ids=str,
)
def test_errors_are_nested_with_a_number_for_code(
    client: openai.OpenAI, engine: Engine, fields: dict[str, Any], status: int, param: str | None
) -> None:
    fields = {"model": engine.model, "messages": PROMPT, "max_tokens": 4, **fields}
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**fields)
    assert caught.value.status_code == status
    error = caught.value.response.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert (error["code"], error["param"]) == (status, param)
