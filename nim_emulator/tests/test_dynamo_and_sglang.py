"""The ways of Dynamo's front end, of SGLang, and of NIM 1.15."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from helpers import CLOCK, WEATHER, Post, Servers, calls, content, events, message
from nim_emulator import EmulatorServer

GBNF = 'root ::= "yes" | "no"'
NAMED = {"type": "function", "function": {"name": "read_clock"}}


def test_health_of_dynamo(dynamo: EmulatorServer, http: httpx.Client) -> None:
    health = http.get(f"{dynamo.url}/health").json()
    assert set(health) == {"status", "endpoints", "instances"}
    assert http.get(f"{dynamo.url}/live").json()["status"] == "live"
    answer = http.get(f"{dynamo.url}/v1/version")
    assert (answer.status_code, answer.json()["type"]) == (404, "Not Found")


DYNAMO_REFUSES: list[tuple[dict[str, Any], str]] = [
    ({"unheard_of": 1, "other": 2}, "Validation: Unsupported parameter(s): `unheard_of`, `other`"),
    ({"structured_outputs": {"regex": "a"}}, "Unsupported parameter(s): `structured_outputs`"),
    ({"nvext": {"top_k": 3}}, "nvext: unknown field `top_k`, expected one of `agent_hints`, "),
    ({"nvext": {"guided_json": {}}}, "nvext: unknown field `guided_json`"),
    ({"stop": []}, "Validation: Stop sequences array cannot be empty"),
    ({"stop": ["x"] * 33}, "Maximum of 32 stop sequences allowed, got 33"),
    ({"n": 129}, "Validation: n must be between 1 and 128, got 129"),
    (
        {"logprobs": True, "top_logprobs": 21},
        "Validation: Top_logprobs must be between 0 and 20, got 21",
    ),
    ({"top_k": -2}, "Validation: Top_k must be null or greater than or equal to -1"),
    (
        {"repetition_penalty": 2.1},
        "Validation: Repetition penalty must be between 0 and 2, got 2.1",
    ),
    ({"repetition_penalty": 0}, "Validation: Repetition penalty must be between 0 and 2, got 0"),
    ({"min_p": 1.5}, "Validation: Min_p must be between 0 and 1, got 1.5"),
    ({"temperature": "warm"}, "Failed to deserialize the JSON body into the target type: temper"),
    ({"model": None}, "model: Field required"),
    ({"response_format": {"type": "json_schema"}}, "none are specified"),
    (
        {"guided_regex": "a", "guided_choice": ["a"]},
        "Only one guided-decoding constraint can be set; received: regex, choice",
    ),
]


@pytest.mark.parametrize(("fields", "text"), DYNAMO_REFUSES)
def test_dynamo_refuses(
    dynamo: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(dynamo, **fields)
    assert answer.status_code == 400
    body = answer.json()
    assert text in body.pop("message")
    assert body == {"type": "Bad Request", "code": 400}


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 0, "min_p": 0.1, "min_tokens": 2, "ignore_eos": False, "stop": "x"},
        {"stop_token_ids": [5], "skip_special_tokens": True, "cache_salt": "x"},
        {"nvext": {"greed_sampling": True, "agent_hints": {"osl": 3}, "max_thinking_tokens": 5}},
        {"chat_template_args": {"enable_thinking": True}, "thinking": False},
        {"guided_whitespace_pattern": " ", "guided_json": {"type": "integer"}},
        {"max_completion_tokens": 5, "reasoning_effort": "high"},
        {"messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": "x"}]},
    ],
)
def test_dynamo_accepts(dynamo: EmulatorServer, chat: Post, fields: dict[str, Any]) -> None:
    assert chat(dynamo, **fields).status_code == 200


def test_completions_of_dynamo(dynamo: EmulatorServer, complete: Post) -> None:
    assert complete(dynamo, logprobs=5).status_code == 200
    answer = complete(dynamo, logprobs=6)
    assert answer.json()["message"] == "Validation: Logprobs must be between 0 and 5, got 6"


def test_bodies_that_dynamo_does_not_read(dynamo: EmulatorServer, http: httpx.Client) -> None:
    url = f"{dynamo.url}/v1/chat/completions"
    answer = http.post(url, content=b"{}", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["type"]) == (415, "Unsupported Media Type")
    headers = {"content-type": "application/json"}
    answer = http.post(url, content=b" " * (45 * 1024 * 1024 + 1), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "Payload Too Large")


def test_ids_of_dynamo_requests(dynamo: EmulatorServer, chat: Post) -> None:
    for fields in ({}, {"stream": True}, {"unheard_of": 1}):
        answer = chat(dynamo, headers={"x-request-id": "mine"}, **fields)
        assert "x-dynamo-request-id" not in answer.headers
        assert answer.headers["x-request-id"] == "mine"
    assert "x-request-id" not in chat(dynamo).headers


def test_annotations_are_events_without_data(
    dynamo: EmulatorServer, nim1: EmulatorServer, chat: Post
) -> None:
    answer = chat(dynamo, stream=True, nvext={"annotations": ["request_id"]})
    first, second, *_ = answer.text.split("\n\n")
    assert first.startswith('event: request_id\n: "')
    assert second.startswith("data: {")
    assert chat(dynamo, nvext={"annotations": ["request_id"]}).status_code == 200


THOUGHTS: list[tuple[dict[str, Any], bool]] = [
    ({"thinking": True}, True),
    ({"thinking": {"type": "adaptive"}}, True),
    ({"thinking": {"type": "disabled"}}, False),
    ({"thinking": False}, False),
    ({"reasoning_effort": "none"}, False),
    ({"chat_template_args": {"enable_thinking": True}}, True),
]


@pytest.mark.parametrize(("fields", "thinks"), THOUGHTS)
def test_thinking_on_dynamo(
    dynamo: EmulatorServer, chat: Post, fields: dict[str, Any], thinks: bool
) -> None:
    assert bool(message(chat(dynamo, **fields)).get("reasoning_content")) is thinks


def test_thinking_budget_on_dynamo(dynamo: EmulatorServer, chat: Post) -> None:
    said = message(chat(dynamo, thinking=True, nvext={"max_thinking_tokens": 3}))
    assert said["reasoning_content"] == "The user wants"


def test_sglang_answers(sglang: EmulatorServer, chat: Post) -> None:
    answer = chat(sglang, temperature=0)
    said = message(answer)
    assert said["reasoning_content"] is None
    assert "tool_calls" not in said
    (choice,) = answer.json()["choices"]
    assert "stop_reason" not in choice
    assert choice["matched_stop"] == 128009
    assert "metadata" in answer.json()
    answer = chat(sglang, temperature=0, stop="You")
    assert answer.json()["choices"][0]["matched_stop"] == "You"
    answer = chat(sglang, max_tokens=2)
    assert answer.json()["choices"][0]["matched_stop"] is None
    first, second, *_ = events(chat(sglang, stream=True))
    assert first["choices"][0]["delta"].keys() == {"role", "content", "reasoning_content"}
    assert second["choices"][0]["delta"].keys() == {"content", "reasoning_content"}


def test_sglang_constraints(sglang: EmulatorServer, chat: Post) -> None:
    answer = chat(sglang, regex="a", ebnf=GBNF)
    assert (answer.status_code, answer.json()["object"]) == (400, "error")
    assert "Only one of json_schema, regex, ebnf" in answer.json()["message"]
    # A tool that the request asks for comes before a constraint, which is dropped.
    answer = chat(sglang, regex="a", tools=[CLOCK], tool_choice=NAMED)
    assert calls(answer) == [("read_clock", {})]
    answer = chat(sglang, "Hello", regex="a|b", tools=[WEATHER], tool_choice="auto")
    assert content(answer) in ("a", "b")


def test_sglang_thinking_in_the_text(sglang: EmulatorServer, chat: Post) -> None:
    answer = chat(sglang, reasoning_effort="high", separate_reasoning=False, temperature=0)
    said = message(answer)
    assert said["reasoning_content"] is None
    assert said["content"].startswith("<think>The user wants")
    assert "</think>" in said["content"]
    assert message(chat(sglang, separate_reasoning=False))["content"][0] != "<"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning_effort": 1}, "reasoning_effort"),
        ({"regex": "("}, "not valid"),
        ({"ebnf": "nonsense"}, "grammar"),
        ({"max_tokens": 9000}, "max_completion_tokens is too large: 9000."),
    ],
)
def test_sglang_refuses(
    sglang: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(sglang, **fields)
    assert answer.status_code == 400
    assert text in answer.json()["message"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"top_k": 5, "ignore_eos": False, "chat_template": "x"}, 200),
        ({"guided_decoding_backend": "xgrammar"}, 200),
        ({"messages": [{"role": "system", "content": ""}, {"role": "user", "content": "x"}]}, 200),
        ({"guided_regex": "a", "nvext": {"guided_regex": "a"}}, 400),
        ({"min_p": 0.1}, 400),
        ({"max_completion_tokens": 5}, 400),
        ({"nvext": {"min_tokens": 3}}, 400),
    ],
)
def test_nim_1_15(servers: Servers, chat: Post, fields: dict[str, Any], status: int) -> None:
    assert chat(servers["nim1-1.15"], **fields).status_code == status


def test_generic_takes_what_openai_does(servers: Servers, chat: Post) -> None:
    answer = chat(
        servers["generic"],
        max_completion_tokens=5,
        reasoning_effort="none",
        top_k=-5,
        guided_json={"type": "dog"},
    )
    assert answer.json()["usage"]["completion_tokens"] == 5
