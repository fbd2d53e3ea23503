"""Requests of OpenAI's API, a row per field, to send to a NIM directly and through a stack."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CHAT = "/chat/completions"
COMPLETION = "/completions"
EMBEDDINGS = "/embeddings"

HELLO = [{"role": "user", "content": "Say hello to the world."}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris and in Tokyo?"}]
PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}}
DATA_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
FUNCTION = {
    "name": "get_weather",
    "description": "Get the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city"},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOL = {"type": "function", "function": FUNCTION}
STRICT_TOOL = {"type": "function", "function": {**FUNCTION, "strict": True}}
PLAIN_TOOL = {"type": "function", "function": {"name": "now"}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "population": {"type": "integer", "minimum": 1},
        "note": {"type": ["string", "null"], "default": None},
    },
    "required": ["name", "population", "note"],
    "additionalProperties": False,
}
CALLED = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"}
USAGE = {"stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        name: What it is about.
        path: The route, below the base URL.
        fields: The body without ``model`` and ``stream``.
        form: The same as this NIM writes it, where its own form is another.
        ways: Whole, streamed or both.
    """

    name: str
    path: str
    fields: Mapping[str, Any]
    form: Mapping[str, Any] | None = None
    ways: tuple[bool, ...] = (False, True)

    def __str__(self) -> str:
        return f"{self.path.strip('/').replace('/', '-')}:{self.name}"


def schema_format(strict: bool | None = None) -> dict[str, Any]:
    named: dict[str, Any] = {"name": "city", "schema": SCHEMA}
    if strict is not None:
        named["strict"] = strict
    return {"type": "json_schema", "json_schema": named}


def _chat(name: str, fields: Mapping[str, Any], **more: Any) -> Case:
    form = more.pop("form", None)
    base = {"messages": HELLO}
    return Case(name, CHAT, {**base, **fields}, form=form and {**base, **form}, **more)


def _text(name: str, fields: Mapping[str, Any], **more: Any) -> Case:
    form = more.pop("form", None)
    base = {"prompt": "Once upon a time", "max_tokens": 8}
    return Case(name, COMPLETION, {**base, **fields}, form=form and {**base, **form}, **more)


def _embed(name: str, fields: Mapping[str, Any], **more: Any) -> Case:
    return Case(name, EMBEDDINGS, {"input": "hello", **fields}, ways=(False,), **more)


def _each(make: Any, rows: Mapping[str, Any], **more: Any) -> Iterator[Case]:
    for name, fields in rows.items():
        yield make(name, fields, **more)


SAMPLING = {
    "temperature": {"temperature": 0.25},
    "temperature 0": {"temperature": 0},
    "top_p": {"top_p": 0.5},
    "max_tokens": {"max_tokens": 5},
    "stop string": {"stop": "You"},
    "stop list": {"stop": ["upon", "wrote"]},
    "n 1": {"n": 1, "max_tokens": 4},
    "n 3": {"n": 3, "temperature": 1, "max_tokens": 6},
    "seed": {"seed": 7, "temperature": 1, "max_tokens": 6},
    "seed 0": {"seed": 0, "temperature": 1, "max_tokens": 6},
    "frequency_penalty": {"frequency_penalty": 0.5, "max_tokens": 4},
    "presence_penalty": {"presence_penalty": -0.5, "max_tokens": 4},
    "penalties 0": {"presence_penalty": 0, "frequency_penalty": 0, "max_tokens": 4},
    "logit_bias": {"logit_bias": {"42": 1.5}, "max_tokens": 4},
    "user": {"user": "somebody", "max_tokens": 4},
}
TOGETHER = {
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 6,
    "n": 2,
    "seed": 3,
    "stop": ["zebra"],
    "frequency_penalty": 0.25,
    "presence_penalty": 0.25,
    "user": "somebody",
}
# vLLM's fields, which NIM 2.x takes at the top level.
VENDOR = {
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.1},
    "repetition_penalty": {"repetition_penalty": 1.2},
    "min_tokens": {"min_tokens": 12, "max_tokens": 12},
    "ignore_eos": {"ignore_eos": True, "max_tokens": 40},
    "stop_token_ids": {"stop_token_ids": [1, 2]},
    "bad_words": {"bad_words": ["zebra"]},
    "structured_outputs": {"structured_outputs": {"choice": ["red", "green"]}},
}

CHATS = [
    _chat("nothing else", {}),
    *_each(_chat, SAMPLING),
    _chat("together", TOGETHER),
    _chat("max_completion_tokens", {"max_completion_tokens": 5}),
    _chat("logprobs", {"logprobs": True, "max_tokens": 5}),
    _chat("logprobs false", {"logprobs": False, "max_tokens": 5}),
    _chat("top_logprobs", {"logprobs": True, "top_logprobs": 3, "max_tokens": 5}),
    _chat("top_logprobs 0", {"logprobs": True, "top_logprobs": 0, "max_tokens": 5}),
    _chat(
        "top_logprobs of n",
        {"logprobs": True, "top_logprobs": 2, "n": 2, "max_tokens": 4, "seed": 1},
    ),
    _chat("response_format text", {"response_format": {"type": "text"}}),
    _chat("response_format json_object", {"response_format": {"type": "json_object"}}),
    _chat("response_format json_schema", {"response_format": schema_format()}),
    _chat("response_format strict", {"response_format": schema_format(True)}),
    _chat("tools", {"messages": WEATHER, "tools": [TOOL]}),
    _chat("tools unused", {"tools": [TOOL]}),
    _chat("tools auto", {"messages": PARIS, "tools": [TOOL, PLAIN_TOOL], "tool_choice": "auto"}),
    _chat("tools required", {"tools": [TOOL], "tool_choice": "required"}),
    _chat("tools none", {"messages": PARIS, "tools": [TOOL], "tool_choice": "none"}),
    _chat("tools named", {"tools": [TOOL, PLAIN_TOOL], "tool_choice": NAMED}),
    _chat("tools strict", {"messages": PARIS, "tools": [STRICT_TOOL]}),
    _chat(
        "one tool call at a time",
        {"messages": WEATHER, "tools": [TOOL], "parallel_tool_calls": False},
    ),
    _chat(
        "parallel tool calls", {"messages": WEATHER, "tools": [TOOL], "parallel_tool_calls": True}
    ),
    _chat("tool calls of n", {"messages": PARIS, "tools": [TOOL], "n": 2, "seed": 1}),
    _chat(
        "a tool's result",
        {
            "messages": [
                *PARIS,
                {"role": "assistant", "content": None, "tool_calls": [CALLED]},
                RESULT,
            ],
            "tools": [TOOL],
        },
    ),
    _chat(
        "a tool's result in parts",
        {
            "messages": [
                *PARIS,
                {"role": "assistant", "content": "One moment.", "tool_calls": [CALLED]},
                {**RESULT, "content": [{"type": "text", "text": "21 degrees"}]},
            ],
            "tools": [TOOL],
        },
    ),
    _chat("an image", {"messages": [{"role": "user", "content": [IMAGE]}]}),
    _chat(
        "text and images",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "What is it?"}, IMAGE, DATA_IMAGE],
                }
            ]
        },
    ),
    _chat(
        "text in parts",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]},
    ),
    _chat("a system message", {"messages": [{"role": "system", "content": "Be brief."}, *HELLO]}),
    _chat(
        "a system message in parts",
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                *HELLO,
            ]
        },
    ),
    _chat(
        "a developer message", {"messages": [{"role": "developer", "content": "Be brief."}, *HELLO]}
    ),
    _chat(
        "names",
        {
            "messages": [
                {"role": "system", "content": "Be brief.", "name": "boss"},
                {"role": "user", "content": "Hello.", "name": "ann"},
                {"role": "assistant", "content": "Hello, Ann.", "name": "bot"},
                {"role": "user", "content": "Again.", "name": "ann"},
            ]
        },
    ),
    _chat("include_usage", USAGE, ways=(True,)),
    _chat("include_usage of n", {**USAGE, "n": 2, "seed": 1}, ways=(True,)),
    _chat(
        "include_usage with tools", {**USAGE, "messages": WEATHER, "tools": [TOOL]}, ways=(True,)
    ),
    _chat("include_usage false", {"stream_options": {"include_usage": False}}, ways=(True,)),
    _chat("metadata", {"metadata": {"team": "blue"}}),
    _chat("store", {"store": False}),
    _chat("service_tier", {"service_tier": "auto"}),
    _chat("reasoning_effort", {"reasoning_effort": "low"}),
    _chat("prompt_cache_key", {"prompt_cache_key": "abc"}),
    _chat("safety_identifier", {"safety_identifier": "abc"}),
    *_each(_chat, VENDOR),
    _chat("chat_template_kwargs", {"chat_template_kwargs": {"enable_thinking": False}}),
    _chat(
        "continuous usage",
        {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        ways=(True,),
    ),
]

COMPLETIONS = [
    _text("nothing else", {"max_tokens": 8}),
    *_each(_text, SAMPLING),
    _text("together", TOGETHER),
    _text("echo", {"echo": True}),
    _text("echo with logprobs", {"echo": True, "logprobs": 1}),
    _text("logprobs", {"logprobs": 2}),
    _text("logprobs 0", {"logprobs": 0}),
    _text("best_of", {"best_of": 2, "n": 1}, ways=(False,)),
    _text("prompts", {"prompt": ["Once", "Twice"]}),
    _text("prompts and n", {"prompt": ["Once", "Twice"], "n": 2, "seed": 1}),
    _text("a prompt of tokens", {"prompt": [1, 2, 3]}),
    _text("prompts of tokens", {"prompt": [[1, 2, 3], [4, 5]]}),
    _text("include_usage", USAGE, ways=(True,)),
    *_each(_text, VENDOR),
    _text(
        "response_format",
        {"response_format": schema_format(), "max_tokens": 90},
        form={"structured_outputs": {"json": SCHEMA}, "max_tokens": 90},
    ),
]

EMBEDS = [
    _embed("a text", {}),
    _embed("texts", {"input": ["one", "two"]}),
    _embed("tokens", {"input": [1, 2, 3]}),
    _embed("lists of tokens", {"input": [[1, 2, 3], [4]]}),
    _embed("floats", {"encoding_format": "float"}),
    _embed("base64", {"encoding_format": "base64"}),
    _embed("user", {"user": "somebody"}),
]
CASES = [*CHATS, *COMPLETIONS, *EMBEDS]

_BAD_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
_OTHER = {"type": "function", "function": {"name": "other"}}
# What a NIM refuses, be it the server, the provider or the NIM that says so.
REFUSED = [
    _chat("max_tokens 0", {"max_tokens": 0}),
    _chat("too many tokens", {"max_tokens": 100_000}),
    _chat("temperature", {"temperature": -1}),
    _chat("top_p", {"top_p": 2}),
    _chat("n", {"n": 0}),
    _chat("top_logprobs", {"logprobs": True, "top_logprobs": 99}),
    _chat("top_logprobs alone", {"top_logprobs": 2}),
    _chat("a schema", {"response_format": _BAD_SCHEMA}),
    _chat("an unknown tool", {"tools": [TOOL], "tool_choice": _OTHER}),
    _text("suffix", {"suffix": " The end."}),
    _text("max_tokens 0", {"max_tokens": 0}),
    _text("too many tokens", {"max_tokens": 100_000}),
    _text("temperature", {"temperature": -1}),
    _embed("dimensions", {"dimensions": 64}),
]

# NIM 1.x has forms of its own, and leaves more out of its answers.
OF_NIM1 = [
    _chat("nothing else", {}),
    _chat("together", TOGETHER),
    _chat("top_logprobs", {"logprobs": True, "top_logprobs": 3, "max_tokens": 5}),
    _chat("tools", {"messages": WEATHER, "tools": [TOOL]}),
    _chat("tools named", {"tools": [TOOL], "tool_choice": NAMED}),
    _chat("include_usage", USAGE, ways=(True,)),
    _chat(
        "response_format json_schema",
        {"response_format": schema_format()},
        form={"nvext": {"guided_json": SCHEMA}},
    ),
    _text("nothing else", {}),
    _text("n 3 and logprobs", {"n": 3, "seed": 1, "logprobs": 1}),
]
