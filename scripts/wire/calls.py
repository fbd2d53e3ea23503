"""The fixed list of raw requests that every engine and the emulator are asked.

Every request has one answer that hardly depends on what a model writes: short limits, and a
temperature of 0. Names are those of the fixtures in tests/fixtures/engines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from llama_stack_provider_nvidia.capture.answers import MODEL

CHAT = "/v1/chat/completions"
COMPLETION = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"

Body = dict[str, Any]


class Call(NamedTuple):
    """One request.

    Attributes:
        name: Its name, one of a kind.
        path: The path; a call without a body is a GET.
        body: JSON, or the text of a body that is none.
    """

    name: str
    path: str
    body: Any = None


COUNT = [{"role": "user", "content": "count to 300"}]
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER: Body = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 8}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
OPEN_STRICT: Body = {
    "type": "function",
    "function": {"name": "f", "strict": True, "parameters": {"type": "object"}},
}
SCHEMA: Body = {
    "type": "object",
    "properties": {"age": {"type": "integer", "maximum": 9, "minimum": 1}},
    "required": ["age"],
    "additionalProperties": False,
}
FORMAT: Body = {"type": "json_schema", "json_schema": {"name": "age", "schema": SCHEMA}}
UNKNOWN_TYPE: Body = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": {"type": "nope"}},
}
TOOL_CALL: Body = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
RESULT: Body = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
IMAGE: Body = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
USAGE: Body = {"include_usage": True}
LONG = "word " * 4000


def chat(messages: list[Body] | None = None, **fields: Any) -> Body:
    """Return a short chat."""
    plain = {"model": MODEL, "messages": messages or COUNT, "max_tokens": 4, "temperature": 0}
    return {**plain, **fields}


def completion(**fields: Any) -> Body:
    """Return a short completion."""
    plain = {"model": MODEL, "prompt": "count to 300", "max_tokens": 4, "temperature": 0}
    return {**plain, **fields}


def user(content: Any) -> list[Body]:
    """Return one message of a user."""
    return [{"role": "user", "content": content}]


def forced(**fields: Any) -> Body:
    """Return a chat with a tool that has to be called."""
    named = {"type": "function", "function": {"name": "get_weather"}}
    strict = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
    return chat(ASK, **{"tools": [strict], "tool_choice": named, "max_tokens": 80, **fields})


CHATS: dict[str, Any] = {
    "chat": chat(),
    "chat stream": chat(stream=True),
    "chat stream usage": chat(stream=True, stream_options=USAGE),
    "chat stream continuous usage": chat(
        stream=True, stream_options={**USAGE, "continuous_usage_stats": True}
    ),
    "chat stream_options without stream": chat(stream_options=USAGE),
    "chat logprobs": chat(logprobs=True),
    "chat logprobs stream": chat(logprobs=True, stream=True),
    "chat top_logprobs 2": chat(logprobs=True, top_logprobs=2),
    "chat top_logprobs 21": chat(logprobs=True, top_logprobs=21),
    "chat n 2": chat(n=2, temperature=1, seed=7),
    "chat n 2 stream": chat(n=2, temperature=1, seed=7, stream=True),
    "chat n 2, greedy": chat(n=2),
    "chat top_k 0, sampled": chat(top_k=0, temperature=1, seed=7),
    "chat top_k -2, sampled": chat(top_k=-2, temperature=1, seed=7),
    "tools required": forced(tool_choice="required"),
    "tools named": forced(),
    "tools required stream": forced(tool_choice="required", stream=True),
    "tools named stream": forced(stream=True),
    "tools auto": forced(tool_choice="auto"),
    "tools auto stream": forced(tool_choice="auto", stream=True),
    "tools named unknown": forced(tool_choice={"type": "function", "function": {"name": "nope"}}),
    "tools none": chat(tools=[WEATHER], tool_choice="none"),
    "tools empty": chat(tools=[]),
    "tools strict and open": chat(tools=[OPEN_STRICT], tool_choice="none"),
    "tool_choice auto without tools": chat(tool_choice="auto"),
    "tool_choice none without tools": chat(tool_choice="none"),
    "tool_choice required without tools": chat(tool_choice="required"),
    "tool history": chat(
        [*ASK, {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}, RESULT],
        tools=[WEATHER],
        tool_choice="none",
    ),
    "tool history, arguments not JSON": chat(
        [
            *ASK,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {**TOOL_CALL, "function": {"name": "get_weather", "arguments": "{oops"}}
                ],
            },
            RESULT,
        ]
    ),
    "tool result without id": chat([*COUNT, {"role": "tool", "content": "sunny"}]),
    "json_schema": chat(response_format=FORMAT, max_tokens=60),
    "json_schema stream": chat(response_format=FORMAT, max_tokens=60, stream=True),
    "json_schema without name": chat(
        response_format={"type": "json_schema", "json_schema": {"schema": SCHEMA}}, max_tokens=60
    ),
    "json_schema without schema": chat(
        response_format={"type": "json_schema", "json_schema": {"name": "x"}}
    ),
    "json_schema of an unknown type": chat(response_format=UNKNOWN_TYPE),
    "response_format text": chat(response_format={"type": "text"}),
    "response_format unknown": chat(response_format={"type": "nope"}),
    "guided_json": chat(guided_json=SCHEMA, max_tokens=60),
    "guided_choice": chat(guided_choice=["red", "green"], max_tokens=20),
    "guided_json and guided_regex": chat(guided_json=SCHEMA, guided_regex="a"),
    "guided_json and response_format": chat(
        guided_json=SCHEMA, response_format=FORMAT, max_tokens=60
    ),
    "structured_outputs choice": chat(
        structured_outputs={"choice": ["red", "green"]}, max_tokens=20
    ),
    "structured_outputs two": chat(structured_outputs={"regex": "a", "choice": ["a"]}),
    "structured_outputs empty choice": chat(structured_outputs={"choice": []}),
    "structured_outputs and response_format": chat(
        structured_outputs={"regex": "a"}, response_format=FORMAT
    ),
    "structured_outputs and a named tool": forced(structured_outputs={"regex": "a"}),
    "structured_outputs bad regex": chat(structured_outputs={"regex": "[a-"}),
    "structured_outputs bad regex stream": chat(structured_outputs={"regex": "[a-"}, stream=True),
    "structured_outputs bad grammar": chat(structured_outputs={"grammar": "root ::= nowhere"}),
    "structured_outputs bad grammar stream": chat(
        structured_outputs={"grammar": "root ::= nowhere"}, stream=True
    ),
    "regex": chat(regex="[0-9]{2}", max_tokens=20),
    "regex bad": chat(regex="[a-"),
    "regex bad stream": chat(regex="[a-", stream=True),
    "json_schema of an unknown type stream": chat(response_format=UNKNOWN_TYPE, stream=True),
    "ebnf": chat(ebnf='root ::= "yes"', max_tokens=20),
    "ebnf bad": chat(ebnf="root := "),
    "regex and response_format": chat(regex="a", response_format=FORMAT, max_tokens=60),
    "nvext empty": chat(nvext={}),
    "nvext guided_json": chat(nvext={"guided_json": SCHEMA}),
    "nvext unknown": chat(nvext={"foo": 1}),
    "nvext not an object": chat(nvext=[1]),
    "unknown model": chat(model="no/such-model"),
    "unknown model stream": chat(model="no/such-model", stream=True),
    "no model": {"messages": COUNT, "max_tokens": 4, "temperature": 0},
    "no messages": {"model": MODEL, "max_tokens": 4},
    "role unknown": chat([{"role": "narrator", "content": "Once"}, *COUNT]),
    "role developer": chat([{"role": "developer", "content": "Be brief"}, *COUNT]),
    "content number": chat(user(5)),
    "content null": chat(user(None)),
    "content parts": chat(user([{"type": "text", "text": "count to 300"}])),
    "content image": chat(user([{"type": "text", "text": "What is this?"}, IMAGE])),
    "message with an unknown field": chat([{**COUNT[0], "foo": 1}]),
    "prompt too long": chat(user(LONG)),
    "prompt too long stream": chat(user(LONG), stream=True),
    "max_tokens too large": chat(max_tokens=100_000),
    "body not JSON": "{oops",
    "body a list": [1],
    "body empty": "",
}
"""Chats by name."""

VALUES: dict[str, list[Any]] = {
    "temperature": [2.1, -1, "hot"],
    "top_p": [0, 1.1],
    "top_k": [5, 0, -1, -2, "5"],
    "min_p": [0.1, 1.5],
    "frequency_penalty": [0.01, 2.1],
    "presence_penalty": [-2.1],
    "repetition_penalty": [1.01, 0, 2.5],
    "length_penalty": [1.1],
    "max_tokens": [0, -1],
    "max_completion_tokens": [3],
    "min_tokens": [2, 5000],
    "ignore_eos": [True],
    "seed": [7, -1],
    "n": [0, 129],
    "stop": [["fox"], "fox", [], "", ["a"] * 33],
    "stop_token_ids": [[5]],
    "logit_bias": [{"5": 1}, {"5": 101}, {"x": 1}],
    "logprobs": [3],
    "top_logprobs": [3],
    "metadata": [{"a": "b"}],
    "store": [True],
    "service_tier": ["auto"],
    "prompt_cache_key": ["k"],
    "prompt_cache_retention": ["24h"],
    "safety_identifier": ["s"],
    "user": ["me"],
    "verbosity": ["low"],
    "reasoning_effort": ["low", "nope"],
    "chat_template_kwargs": [{"a": 1}],
    "chat_template_args": [{"a": 1}],
    "documents": [[]],
    "echo": [True],
    "priority": [1],
    "request_id": ["x"],
    "cache_salt": ["s"],
    "prompt_logprobs": [1],
    "thinking_token_budget": [5],
    "parallel_tool_calls": [False],
    "modalities": [["text"]],
    "functions": [[]],
    "function_call": ["none"],
    "best_of": [2],
    "tools": [None],
    "response_format": [None],
    "foo": [1],
}
"""Values of fields that are tried one by one in a chat."""

COMPLETIONS: dict[str, Body] = {
    "completion": completion(),
    "completion stream": completion(stream=True),
    "completion stream usage": completion(stream=True, stream_options=USAGE),
    "completion logprobs 2": completion(logprobs=2),
    "completion logprobs 2 stream": completion(logprobs=2, stream=True),
    "completion logprobs 0": completion(logprobs=0),
    "completion logprobs 6": completion(logprobs=6),
    "completion logprobs true": completion(logprobs=True),
    "completion n 2": completion(n=2, temperature=1, seed=7),
    "completion n 2 stream": completion(n=2, temperature=1, seed=7, stream=True),
    "completion echo": completion(echo=True),
    "completion suffix": completion(suffix="end"),
    "completion best_of": completion(best_of=2),
    "completion of two prompts": completion(prompt=["count to 300", "count to 200"]),
    "completion of token ids": completion(prompt=[5, 6, 7]),
    "completion of nothing": completion(prompt=""),
    "completion response_format": completion(response_format=FORMAT, max_tokens=60),
    "completion guided_choice": completion(guided_choice=["red", "green"], max_tokens=20),
    "completion structured_outputs choice": completion(
        structured_outputs={"choice": ["red", "green"]}, max_tokens=20
    ),
    "completion structured_outputs grammar": completion(
        structured_outputs={"grammar": 'root ::= "yes" | "no"'}, max_tokens=20
    ),
    "completion regex": completion(regex="[0-9]{2}", max_tokens=20),
    "completion stream_options without stream": completion(stream_options=USAGE),
    "completion unknown model": completion(model="no/such-model"),
    "completion too long": completion(prompt=LONG),
    "completion metadata": completion(metadata={"a": "b"}),
    "completion store": completion(store=True),
    "completion top_k": completion(top_k=5),
    "completion thinking_token_budget": completion(thinking_token_budget=5),
    "completion max_completion_tokens": completion(max_completion_tokens=3),
    "completion foo": completion(foo=1),
}
"""Completions by name."""

PATHS = (
    *("/v1/models", f"/v1/models/{MODEL}", "/v1/models/nope", f"/v1/models/{MODEL}/ready"),
    *("/health", "/live", "/ready", "/v1/health/ready", "/v1/health/live", "/v1/version"),
    *("/v1/metadata", "/version", "/nope", "/v1/nope"),
    CHAT,
)
"""Paths that are fetched."""


def calls() -> Iterator[Call]:
    """Yield every request."""
    for name, body in CHATS.items():
        yield Call(name, CHAT, body)
    for field, values in VALUES.items():
        for value in values:
            shown = json.dumps(value) if value != ["a"] * 33 else "33 texts"
            yield Call(f"{field} = {shown}", CHAT, chat(**{field: value}))
    for name, body in COMPLETIONS.items():
        yield Call(name, COMPLETION, body)
    yield Call("embeddings of a chat model", EMBEDDINGS, {"model": MODEL, "input": "hello"})
    yield Call("embeddings, unknown model", EMBEDDINGS, {"model": "nope", "input": "hello"})
    for path in PATHS:
        yield Call(f"GET {path}", path)
