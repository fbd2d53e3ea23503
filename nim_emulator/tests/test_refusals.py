"""The emulator refuses the requests that the NIM refuses."""

from __future__ import annotations

from typing import Any

import pytest

from helpers import CLOCK, MODEL, WEATHER, Post, Servers, error
from nim_emulator import EmulatorServer

USER = {"role": "user", "content": "hi"}
NAMED = {"type": "function", "function": {"name": "read_clock"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def call(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "a", "function": function}]}


CHAT_BOTH: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n must be at least 1"),
    ({"n": 16385}, "n must be at most 16384, got 16385"),
    ({"n": 2, "temperature": 0}, "n must be 1 when using greedy sampling"),
    ({"temperature": -0.1}, "temperature must be non-negative"),
    ({"temperature": "warm"}, "temperature"),
    ({"top_p": 0}, "top_p must be in (0, 1]"),
    ({"top_p": 1.1}, "top_p must be in (0, 1]"),
    ({"presence_penalty": 2.1}, "presence_penalty must be in [-2, 2]"),
    ({"frequency_penalty": -2.1}, "frequency_penalty must be in [-2, 2]"),
    ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ({"max_tokens": -1}, "max_tokens must be at least 1"),
    ({"max_tokens": 8190}, "maximum context length is 8192 tokens"),
    ({"stop": ""}, "stop cannot contain an empty string"),
    ({"stop": ["a", ""]}, "stop cannot contain an empty string"),
    ({"stop": 5}, "stop"),
    ({"seed": "x"}, "seed"),
    ({"stream": "sideways"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "Stream options can only be defined when"),
    ({"top_logprobs": 2}, "`logprobs` must be set to true"),
    ({"logprobs": True, "top_logprobs": -1}, "`top_logprobs` must be a positive value"),
    ({"logprobs": True, "top_logprobs": 21}, "greater than max allowed: 20"),
    ({"tool_choice": "auto"}, "`tools` must be set"),
    ({"tool_choice": "required"}, "`tools` must be set"),
    ({"tools": [], "tool_choice": "auto"}, "tools"),
    ({"tools": [WEATHER], "tool_choice": NAMED}, "does not match any of the specified `tools`"),
    ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
    ({"tools": [{"type": "function"}]}, "function"),
    ({"tools": [{"type": "function", "function": {"name": ""}}]}, "name"),
    ({"messages": []}, "at least one message"),
    ({"messages": None}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": [{"content": "hi"}]}, "role"),
    ({"messages": [{"role": "user", "content": None}]}, "a valid string for role 'user'"),
    ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "type"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
    (
        {"messages": [{"role": "user", "content": [{**IMAGE, "image_url": {"url": "/a.png"}}]}]},
        "url",
    ),
    ({"response_format": {"type": "yaml"}}, "Input should be"),
    (
        {"response_format": {"type": "json_object"}, "tools": [CLOCK], "tool_choice": NAMED},
        "constraints for structured outputs or tools, not both",
    ),
]

NIM1: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "Field required"),
    *(
        ({name: value}, "Extra inputs are not permitted")
        for name, value in {
            "top_k": 5,
            "min_p": 0.1,
            "guided_json": {"type": "object"},
            "max_completion_tokens": 5,
            "structured_outputs": {"regex": "a"},
            "chat_template_kwargs": {},
            "unheard_of": None,
        }.items()
    ),
    ({"nvext": {"min_tokens": 3}}, "('body', 'nvext', 'min_tokens')"),
    ({"nvext": 3}, "nvext"),
    ({"nvext": {"top_k": 0}}, "top_k must be -1 (disable), or at least 1"),
    ({"nvext": {"repetition_penalty": 0}}, "repetition_penalty must be greater than zero"),
    ({"nvext": {"max_thinking_tokens": -1}}, "max_thinking_tokens"),
    ({"nvext": {"guided_json": "{"}}, "not JSON"),
    ({"nvext": {"guided_json": "3"}}, "neither an object nor a boolean"),
    ({"nvext": {"guided_json": {"type": "dog"}}}, "not valid"),
    ({"nvext": {"guided_regex": "("}}, "not valid"),
    ({"nvext": {"guided_choice": []}}, "cannot be an empty list"),
    ({"nvext": {"guided_grammar": "?"}}, "does not parse"),
    ({"nvext": {"guided_json": {}, "guided_whitespace_pattern": "("}}, "whitespace pattern"),
    ({"nvext": {"guided_json": {}, "guided_whitespace_pattern": "x"}}, "no white space"),
    ({"nvext": {"guided_regex": "a", "guided_choice": ["a"]}}, "only use one kind"),
    (
        {"nvext": {"guided_json": {}}, "response_format": {"type": "json_object"}},
        "only use one kind",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        "Input should be 'json_object' or 'text'",
    ),
    ({"messages": [USER, {"role": "tool", "content": "x"}]}, "Field required for role 'tool'"),
    ({"messages": [USER, call("{"), USER]}, "are not JSON"),
    ({"messages": [USER, call("[1]"), USER]}, "are not an object"),
    (
        {"messages": [{"role": "developer", "content": "x"}, USER]},
        "Input should be 'assistant' or 'system' or 'tool'",
    ),
    (
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}, USER]},
        "valid string for role 'system'",
    ),
]

NIM2: list[tuple[dict[str, Any], str]] = [
    ({"tools": []}, "must not be an empty array"),
    ({"top_k": -2}, "top_k must be 0 (disable), or at least 1"),
    ({"min_p": 1.5}, "min_p must be in [0, 1]"),
    ({"repetition_penalty": 0}, "repetition_penalty must be greater than zero"),
    ({"min_tokens": -1}, "min_tokens must be greater than or equal to 0"),
    ({"min_tokens": 5, "max_tokens": 3}, "min_tokens must be less than or equal to max_tokens=3"),
    ({"max_completion_tokens": 0}, "max_tokens must be at least 1"),
    ({"max_tokens": 9000}, "cannot be greater than max_model_len=8192"),
    ({"stop_token_ids": ["x"]}, "stop_token_ids"),
    ({"reasoning_effort": "extreme"}, "reasoning_effort"),
    ({"thinking_token_budget": -2}, "thinking_token_budget"),
    ({"structured_outputs": {}}, "none are specified"),
    ({"structured_outputs": {"regex": "a", "json": {}}}, "only use one kind"),
    ({"structured_outputs": {"choice": []}}, "cannot be an empty list"),
    ({"structured_outputs": {"structural_tag": "x"}}, "structural_tag is not emulated"),
    ({"structured_outputs": {"json": {"type": "dog"}}}, "not valid"),
    ({"structured_outputs": {"regex": "[a-"}}, "not valid"),
    ({"structured_outputs": {"grammar": "root ::= nowhere"}}, "nowhere"),
    ({"structured_outputs": {"grammar": "?start: /a/"}}, "Lark is not accepted"),
    (
        {"structured_outputs": {"regex": "a"}, "tools": [CLOCK], "tool_choice": NAMED},
        "constraints for structured outputs or tools, not both",
    ),
    ({"response_format": {"type": "json_schema"}}, "none are specified"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "none are"),
    (
        {"response_format": {"type": "json_object"}, "structured_outputs": {"regex": "a"}},
        "only use one kind",
    ),
    ({"messages": [{"role": "system", "content": [IMAGE]}, USER]}, "only a user can send images"),
    (
        {"tools": [{"function": {"name": "f", "parameters": {"type": "dog"}}}], "messages": [
            {"role": "user", "content": "f"}]},
        "Invalid parameters of tool 'f'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "text"), CHAT_BOTH)
def test_chat_refusals_of_both(
    nim: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(nim, **fields)
    assert answer.status_code == 400, answer.text
    assert text in error(answer)["message"]
    assert error(answer)["code"] == 400


@pytest.mark.parametrize(("fields", "text"), NIM1)
def test_chat_refusals_of_nim1(
    nim1: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(nim1, **fields)
    assert answer.status_code == 400, answer.text
    assert answer.json()["object"] == "error"
    assert text in answer.json()["message"]


@pytest.mark.parametrize(("fields", "text"), NIM2)
def test_chat_refusals_of_nim2(
    nim2: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(nim2, **fields)
    assert answer.status_code == 400, answer.text
    assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"logprobs": -1}, "`logprobs` must be a positive value"),
        ({"logprobs": 21}, "greater than max allowed: 20"),
        ({"suffix": "end"}, "suffix is "),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"prompt": "word " * 9000}, "maximum context length is 8192 tokens"),
        ({"prompt": "word " * 8191, "max_tokens": None}, "maximum context length"),
    ],
)
def test_completion_refusals(
    nim: EmulatorServer, complete: Post, fields: dict[str, Any], text: str
) -> None:
    answer = complete(nim, **fields)
    assert answer.status_code == 400, answer.text
    assert text in error(answer)["message"]


def test_completion_refusals_of_nim1(nim1: EmulatorServer, complete: Post) -> None:
    answer = complete(nim1, echo=True, stream=True)
    assert "echo is not supported together with stream" in answer.json()["message"]
    answer = complete(nim1, messages=[USER])
    assert "Extra inputs are not permitted" in answer.json()["message"]


def test_all_problems_are_listed(nim: EmulatorServer, chat: Post) -> None:
    text = error(chat(nim, temperature="x", top_p="y"))["message"]
    assert "temperature" in text
    assert "top_p" in text


def test_a_refused_stream_is_no_stream(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, stream=True, model="no/model")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert error(answer)["type"] == "NotFoundError"
    assert MODEL not in answer.text


@pytest.mark.parametrize("dialect", ["vllm", "nim2-sglang", "dynamo"])
@pytest.mark.parametrize("value", [-1000, 1000])
@pytest.mark.parametrize(
    "field",
    [
        *("temperature", "top_p", "min_p", "n", "frequency_penalty", "presence_penalty"),
        *("repetition_penalty", "top_k", "max_tokens", "min_tokens", "logprobs"),
    ],
)
def test_each_text_of_an_error_is_complete(
    servers: Servers, chat: Post, complete: Post, dialect: str, field: str, value: int
) -> None:
    ask = complete if field == "logprobs" else chat
    answer = ask(servers[dialect], **{"max_tokens": 5, field: value})
    assert answer.status_code in (200, 400), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert "{" not in error(answer).get("message", "")
