"""The dialect ``nim2-sglang`` beside raw responses of SGLang 0.5.23 (2026-11)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from helpers import Post
from nim_emulator import EmulatorServer

NAMELESS = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"top_k": 0}, "top_k must be -1 (disable) or at least 1, got 0."),
        (
            {"repetition_penalty": 2.5},
            "repetition_penalty must be in (0, 2] (1.0 = no penalty), got 2.5.",
        ),
        ({"stop": ["a"] * 33}, "at most 32 stop strings are allowed, got 33"),
    ],
)
def test_values_out_of_range(
    sglang: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(sglang, **fields)
    assert answer.status_code == 400
    assert answer.json() == {
        "object": "error",
        "message": text,
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    }


def test_what_else_is_refused(sglang: EmulatorServer, chat: Post) -> None:
    assert "name" in chat(sglang, response_format=NAMELESS).json()["message"]
    assert chat(sglang, response_format=NAMELESS).status_code == 400
    assert chat(sglang, [{"role": "nobody", "content": "x"}, USER]).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "auto"},
        {"top_logprobs": 3},
        {"stream_options": {"include_usage": True}},
        {"messages": [USER, {"role": "tool", "content": "21"}]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_answered(sglang: EmulatorServer, chat: Post, fields: dict[str, Any]) -> None:
    answer = chat(sglang, **fields)
    assert answer.status_code == 200, answer.text
    assert re.fullmatch(r"[0-9a-f]{32}", answer.json()["id"])


def test_completions(sglang: EmulatorServer, complete: Post) -> None:
    plain = complete(sglang).json()
    for fields in ({"suffix": "x"}, {"stream_options": {"include_usage": True}}):
        answer = complete(sglang, **fields)
        assert (answer.status_code, answer.json()["choices"]) == (200, plain["choices"])
