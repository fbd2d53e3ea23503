"""The dialect ``dynamo`` beside raw responses of NVIDIA Dynamo's front end 1.6.1 (2026-11).

Statuses and error bodies are those of the real one; where a message names a position in the body,
its beginning is.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from helpers import WEATHER, Post, events, message
from nim_emulator import EmulatorServer

BAD_REQUEST = {"type": "Bad Request", "code": 400}
STRICT = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
NAMELESS = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
UNREAD = "Failed to deserialize the JSON body into the target type: "

CHAT_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tools": []}, "Validation: tools array cannot be empty; omit the field entirely to disable "),
    (
        {"tools": [STRICT]},
        "Validation: Invalid schema for function 'get_weather': In context=#, object schemas "
        "require additionalProperties: false",
    ),
    ({"response_format": NAMELESS}, UNREAD),
    ({"top_k": "5"}, UNREAD),
    ({"logprobs": 3}, UNREAD),
    (
        {"logit_bias": {"5": 101}},
        "Validation: Logit bias for token '5' must be between -100 and 100, got 101",
    ),
    (
        {"logit_bias": {"x": 1}},
        "Validation: Logit bias key must be a non-negative 32-bit integer token id",
    ),
    ({"echo": True}, "Validation: Unsupported parameter(s): `echo`"),
    ({"safety_identifier": "x"}, "Validation: Unsupported parameter(s): `safety_identifier`"),
]


@pytest.mark.parametrize(("fields", "text"), CHAT_REFUSED)
def test_chats_that_are_refused(
    dynamo: EmulatorServer, chat: Post, fields: dict[str, Any], text: str
) -> None:
    answer = chat(dynamo, **fields)
    body = answer.json()
    assert (answer.status_code, body.pop("message")[: len(text)]) == (400, text)
    assert body == BAD_REQUEST


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "auto"},
        {"top_logprobs": 3},
        {"thinking_token_budget": 5},
        {"metadata": {"a": "b"}},
        {"store": True},
        {"service_tier": "auto"},
        {"prompt_cache_key": "k"},
        {"add_generation_prompt": True},
        {"prompt_logprobs": 1},
        {"modalities": ["text"]},
        {"prediction": {"type": "content", "content": "x"}},
        {"audio": None},
        {"web_search_options": {}},
        {"mm_processor_kwargs": {}},
        {"nvext": {"cache_salt": "x", "router": {}}},
        {"logit_bias": {"5": 100}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_chats_that_are_answered(dynamo: EmulatorServer, chat: Post, fields: Any) -> None:
    answer = chat(dynamo, **fields)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [("functions", [], "tools"), ("function_call", "none", "tool_choice")],
)
def test_old_function_calls_are_not_implemented(
    dynamo: EmulatorServer, chat: Post, field: str, value: Any, other: str
) -> None:
    answer = chat(dynamo, **{field: value})
    assert answer.status_code == 501
    assert answer.json() == {
        "message": f"Validation: `{field}` is deprecated. Please migrate to use `{other}` instead.",
        "type": "Not Implemented",
        "code": 501,
    }


def test_fields_of_completions_without_effect(dynamo: EmulatorServer, complete: Post) -> None:
    plain = complete(dynamo).json()["choices"]
    for fields in ({"echo": True}, {"suffix": "x"}, {"best_of": 2}, {"metadata": {"a": "b"}}):
        answer = complete(dynamo, **fields)
        assert (answer.status_code, answer.json()["choices"]) == (200, plain), fields


def test_log_probabilities_of_completions_are_a_number(
    dynamo: EmulatorServer, complete: Post
) -> None:
    answer = complete(dynamo, logprobs=True)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(UNREAD)


def test_unknown_fields_of_nvext(dynamo: EmulatorServer, chat: Post) -> None:
    known = {
        *("greed_sampling", "use_raw_prompt", "annotations", "backend_instance_id", "token_data"),
        *("max_thinking_tokens", "cache_salt", "extra_fields", "metadata_upload"),
        *("prefill_worker_id", "decode_worker_id", "dp_rank", "prefill_dp_rank", "agent_hints"),
        *("request_timestamp_ms", "routing_constraints", "router"),
    }
    text = chat(dynamo, nvext={"foo": 1}).json()["message"]
    assert f"{UNREAD}nvext: unknown field `foo`, expected one of " in text
    assert {word.strip(" `,") for word in text.partition("one of ")[2].split()} == known
    assert chat(dynamo, nvext={"agent_context": {}}).status_code == 400


def test_routes(dynamo: EmulatorServer, http: httpx.Client) -> None:
    model = "meta/llama-3.1-8b-instruct"
    (entry,) = http.get(f"{dynamo.url}/v1/models").json()["data"]
    assert entry.keys() == {"id", "object", "created", "owned_by", "context_window"}
    assert (entry["owned_by"], entry["context_window"]) == ("nvidia", 8192)
    one = http.get(f"{dynamo.url}/v1/models/{model}").json()
    assert {**one, "created": 0} == {**entry, "created": 0}
    answer = http.get(f"{dynamo.url}/v1/models/nope")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Model not found", "type": "Not Found", "code": 404}
    assert http.get(f"{dynamo.url}/live").json() == {
        "status": "live",
        "message": "Service is live",
    }
    assert http.get(f"{dynamo.url}/health").json().keys() == {"status", "endpoints", "instances"}
    for path in ("/ready", "/v1/health/ready", "/v1/version", "/version", "/nope"):
        answer = http.get(dynamo.url + path)
        assert answer.status_code == 404
        assert answer.json() == {
            "message": f"Route not found: GET {path}",
            "type": "Not Found",
            "code": 404,
        }


def test_no_request_id_but_the_caller_s(dynamo: EmulatorServer, chat: Post) -> None:
    names = [name for name in chat(dynamo).headers if name.startswith("x-")]
    assert names == []
    assert chat(dynamo, headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"


def test_a_message_without_reasoning(dynamo: EmulatorServer, chat: Post) -> None:
    assert message(chat(dynamo)).keys() == {"role", "content", "refusal"}


def test_each_annotation_has_a_value_of_its_own(dynamo: EmulatorServer, chat: Post) -> None:
    wanted = ["request_id", "formatted_prompt", "token_ids", "llm_metrics"]
    answer = chat(dynamo, "Say hi", stream=True, nvext={"annotations": wanted})
    *frames, first, rest = answer.text.split("\n\n", 4)[:5]
    shown = [frame.split("\n: ") for frame in [*frames, first]]
    assert [name for name, *_ in shown[:3]] == [f"event: {name}" for name in wanted[:3]]
    request_id, prompt, tokens = (json.loads(value) for _, value in shown[:3])
    assert f"chatcmpl-{request_id}" == json.loads(shown[3][0].removeprefix("data: "))["id"]
    assert "Say hi" in prompt
    assert all(isinstance(number, int) for number in json.loads(tokens))
    assert "llm_metrics" not in rest


def test_a_stream_has_no_further_events(dynamo: EmulatorServer, chat: Post) -> None:
    assert all(chunk["choices"] for chunk in events(chat(dynamo, stream=True)))


def test_too_long(dynamo: EmulatorServer, chat: Post, complete: Post) -> None:
    answer = chat(dynamo, max_tokens=100_000)
    body = answer.json()
    assert answer.status_code == 400
    assert body.pop("details").pop("actual") > 100_000
    assert body == {"message": "Invalid request", **BAD_REQUEST}
    details = complete(dynamo, max_tokens=100_000, stream=True).json()["details"]
    assert (details["type"], details["limit"]) == ("context_length", 8192)


def test_the_first_chunk_has_text_and_the_last_a_reason(dynamo: EmulatorServer, chat: Post) -> None:
    first, *_, last = events(chat(dynamo, stream=True, max_tokens=5))
    assert first["choices"][0]["delta"].keys() == {"role", "content"}
    assert first["choices"][0]["delta"]["content"]
    assert last["choices"][0]["delta"]["content"]
    assert last["choices"][0]["finish_reason"] == "length"


def test_log_probabilities_of_completions_have_no_places(
    dynamo: EmulatorServer, complete: Post
) -> None:
    whole = complete(dynamo, logprobs=1).json()["choices"][0]["logprobs"]
    streamed = events(complete(dynamo, logprobs=1, stream=True))[0]["choices"][0]["logprobs"]
    for made in (whole, streamed):
        assert made["tokens"]
        assert made["text_offset"] == []


def test_a_front_end_without_workers(http: httpx.Client) -> None:
    with EmulatorServer(dialect="dynamo", models=[]) as alone:
        assert http.get(f"{alone.url}/v1/models").json()["data"] == []
        health = http.get(f"{alone.url}/health").json()
        assert (health["status"], health["endpoints"]) == ("healthy", [])
        for path in ("chat/completions", "completions"):
            answer = http.post(f"{alone.url}/v1/{path}", json={"model": "m"})
            assert (answer.status_code, answer.content) == (404, b"")
