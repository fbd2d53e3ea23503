"""The fields that the NIM takes, and those that it silently ignores."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers import CLOCK, WEATHER, Post, content, message
from nim_emulator import EmulatorServer

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"nvext": {"guided_json": SCHEMA}},
        {"nvext": {"nonsense": 1}},
        {"guided_json": SCHEMA},
        {"guided_regex": "[0-9]+"},
        {"guided_choice": ["a", "b"]},
        {"guided_grammar": 'root ::= "a"'},
        {"unheard_of": {"deeply": [1]}},
    ],
)
def test_nim2_ignores(nim2: EmulatorServer, chat: Post, fields: dict[str, Any]) -> None:
    assert content(chat(nim2, temperature=0, **fields)) == content(chat(nim2, temperature=0))


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 0},
        {"top_k": -1},
        {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.2, "length_penalty": 1.0},
        {"skip_special_tokens": False, "bad_words": ["x"], "priority": 1, "logit_bias": {"5": 1}},
        {"structured_outputs": None, "response_format": {"type": "text"}},
        {"tool_choice": "none"},
        {"tools": [CLOCK], "tool_choice": None},
        {"messages": [{"role": "narrator", "content": "x"}, {"role": "user", "content": "x"}]},
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "x"}]}]},
        {"messages": [{"role": "assistant", "content": None}, {"role": "user", "content": "x"}]},
        {"model": None},
    ],
)
def test_nim2_accepts(nim2: EmulatorServer, chat: Post, fields: dict[str, Any]) -> None:
    assert chat(nim2, **fields).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"nvext": {"top_k": 40, "repetition_penalty": 1.2, "max_thinking_tokens": 5}},
        {"nvext": {"top_k": -1, "guided_decoding_backend": "outlines"}},
        {"nvext": None},
        {"tools": []},
        {"tools": [WEATHER], "parallel_tool_calls": False},
        {"user": "me", "seed": 3, "frequency_penalty": 0.5, "presence_penalty": -2},
    ],
)
def test_nim1_accepts(nim1: EmulatorServer, chat: Post, fields: dict[str, Any]) -> None:
    assert chat(nim1, **fields).status_code == 200


def test_nim1_guided_json_is_enforced(nim1: EmulatorServer, chat: Post) -> None:
    for schema in (SCHEMA, json.dumps(SCHEMA)):
        answer = chat(nim1, "She is 42 now", nvext={"guided_json": schema})
        assert json.loads(content(answer)) == {"age": 42}


def test_ignore_eos_in_nvext(nim1: EmulatorServer, chat: Post) -> None:
    answer = chat(nim1, nvext={"ignore_eos": True}, max_tokens=200)
    assert answer.json()["usage"]["completion_tokens"] == 200


def test_shape_of_a_chat(nim: EmulatorServer, chat: Post) -> None:
    body = chat(nim).json()
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    (choice,) = body["choices"]
    assert (choice["index"], choice["finish_reason"], choice["stop_reason"]) == (0, "stop", None)
    assert choice["logprobs"] is None
    said = choice["message"]
    assert said["role"] == "assistant"
    if nim.settings.dialect == "nim1":
        assert said["tool_calls"] == []
        assert said["reasoning_content"] is None
    else:
        assert "tool_calls" not in said
        assert said["reasoning"] is None
        assert "reasoning_content" not in said


def test_shape_of_a_completion(nim: EmulatorServer, complete: Post) -> None:
    body = complete(nim).json()
    assert body["object"] == "text_completion"
    assert body["id"].startswith("cmpl-")
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 16  # the default of completions


@pytest.mark.parametrize(
    ("system", "fields", "dialect"),
    [
        ("", {"chat_template_kwargs": {"enable_thinking": True}}, "nim2"),
        ("", {"chat_template_kwargs": {"thinking": True}}, "nim2"),
        ("", {"reasoning_effort": "low"}, "nim2"),
        ("detailed thinking on", {}, "nim1"),
        ("Be nice. /think", {}, "nim2"),
    ],
)
def test_thinking(
    request: pytest.FixtureRequest,
    chat: Post,
    system: str,
    fields: dict[str, Any],
    dialect: str,
) -> None:
    nim = request.getfixturevalue(dialect)
    said = [{"role": "system", "content": system}, {"role": "user", "content": "Hello there"}]
    field = {"nim1": "reasoning_content", "nim2": "reasoning"}[dialect]
    answer = chat(nim, said, **fields)
    thought = message(answer)[field]
    assert "Hello there" in thought
    assert answer.json()["usage"]["completion_tokens"] > 20
    assert message(answer)["content"]


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "none"},
        {"reasoning_effort": "high", "include_reasoning": False},
        {"reasoning_effort": "high", "thinking_token_budget": 0},
        {"chat_template_kwargs": {"enable_thinking": False}},
    ],
)
def test_no_thinking(nim2: EmulatorServer, chat: Post, fields: dict[str, Any]) -> None:
    assert message(chat(nim2, **fields))["reasoning"] is None


def test_thinking_budget(nim1: EmulatorServer, nim2: EmulatorServer, chat: Post) -> None:
    said = message(chat(nim2, reasoning_effort="high", thinking_token_budget=3))
    assert said["reasoning"] == "The user wants"
    full = message(chat(nim2, reasoning_effort="high", thinking_token_budget=-1))
    assert full["reasoning"].endswith("what I know.")
    system = {"role": "system", "content": "detailed thinking on"}
    user = {"role": "user", "content": "x"}
    said = message(chat(nim1, [system, user], nvext={"max_thinking_tokens": 3}))
    assert said["reasoning_content"] == "The user wants"
    # Thinking counts against max_tokens and can use it up.
    answer = chat(nim2, reasoning_effort="high", max_tokens=4)
    assert message(answer)["content"] == ""
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == 4
