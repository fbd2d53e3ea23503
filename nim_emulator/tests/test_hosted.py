"""The hosted catalogue: keys, schemas per model, models that cannot be used, late answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from helpers import CLOCK, WEATHER, Post, content, events, message
from nim_emulator import DIALECTS, EmulatorServer

HOSTED = DIALECTS["hosted"]
USER = {"role": "user", "content": "hi"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
IMAGE = {
    "role": "user",
    "content": [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ],
}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
LLAMA = "meta/llama-3.1-8b-instruct"
SMALL = "meta/llama-3.2-3b-instruct"
VISION = "meta/llama-3.2-90b-vision-instruct"
MUSE = "meta/muse-glimmer-30b"
SUPER_49B = "nvidia/llama-3.3-nemotron-super-49b-v1.5"
NANO = "nvidia/nemotron-3-nano-30b-a3b"
SUPER = "nvidia/nemotron-3-super-120b-a12b"
ULTRA = "nvidia/nemotron-3-ultra-550b-a55b"
LIGHTNING = "nvidia/nemotron-3.5-lightning-30b-a3b"
OMNI = "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning"
GEMMA = "google/gemma-3-27b-it"
KIMI = "moonshotai/kimi-k2.6"
NO_PARSER = "meta/llama-without-tool-parser"
STARCODER = "bigcode/starcoder2-7b"
TOOL_RESULT = [
    USER,
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "read_clock", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "a", "content": "noon"},
]  # fmt: skip
STRICT = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}


def test_the_list_is_public(hosted: EmulatorServer, http: httpx.Client) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}):
        entries = http.get(f"{hosted.url}/v1/models", headers=headers).json()["data"]
        ids = [entry["id"] for entry in entries]
        assert set(ids) >= {*HOSTED.catalogue, *HOSTED.specials, *HOSTED.pending}
        assert len(set(ids)) == len(ids) - 1
        assert {entry["created"] for entry in entries} == {735790403}
        for entry in entries:
            assert entry["owned_by"] == entry["id"].split("/")[0]


def test_own_models_come_first(http: httpx.Client, chat: Post) -> None:
    with EmulatorServer("hosted", ["me/mine"]) as nim:
        entries = http.get(f"{nim.url}/v1/models").json()["data"]
        assert entries[0]["id"] == "me/mine"
        assert entries[0]["owned_by"] == "me"
        assert chat(nim, model="me/mine").status_code == 200
        assert chat(nim, model="me/mine", n=2).status_code == 422


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_keys(http: httpx.Client, path: str) -> None:
    with EmulatorServer("hosted", api_key="nvapi-right") as nim:
        url = f"{nim.url}/v1/{path}"
        answer = http.post(url, json={})
        assert answer.status_code == 401
        assert set(answer.json()) == {"timestamp", "path", "status", "error", "requestId"}
        assert answer.json()["path"] == f"/v1/{path}"
        answer = http.post(url, json={}, headers={"authorization": "Bearer nvapi-wrong"})
        assert answer.status_code == 403
        assert answer.json() == {
            "status": 403,
            "title": "Forbidden",
            "detail": "Authorization failed",
        }
        answer = http.post(url, json={}, headers={"authorization": "Bearer nvapi-right"})
        assert answer.status_code == (422 if path.startswith("chat") else 404)


def test_some_key_is_always_needed(hosted: EmulatorServer, http: httpx.Client) -> None:
    url = f"{hosted.url}/v1/chat/completions"
    body = {"model": LLAMA, "messages": [USER]}
    assert http.post(url, json=body).status_code == 401
    answer = http.post(url, json=body, headers={"authorization": "Bearer anything"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/health", "/v1/health/ready", "/v1/version", "/nothing"])
def test_no_other_routes(hosted: EmulatorServer, http: httpx.Client, path: str) -> None:
    answer = http.get(hosted.url + path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    (LLAMA, {"temperature": 0, "top_p": 0.7, "max_tokens": 4096, "stop": ["x"]}),
    (LLAMA, {"tools": [WEATHER], "tool_choice": NAMED}),
    (LLAMA, {"tools": [CLOCK], "tool_choice": "required"}),
    (LLAMA, {"messages": TOOL_RESULT}),
    (LLAMA, {"messages": [{"role": "context", "content": "x"}, USER]}),
    (LLAMA, {"stream": True, "stream_options": {"include_usage": True}}),
    (LLAMA, {"nvext": {"agent_hints": {"osl": 5}}}),
    (LLAMA, {"response_format": {"type": "json_object"}}),
    (SMALL, {"temperature": 1, "frequency_penalty": 0.5}),
    (VISION, {"messages": [IMAGE], "max_tokens": 8192, "seed": 0}),
    (MUSE, {"messages": [IMAGE], "reasoning_effort": "low", "max_tokens": 50_000}),
    (MUSE, {"messages": [USER, {"role": "assistant", "content": "x", "reasoning_content": "y"},
                         USER]}),
    (SUPER_49B, {"nvext": {"guided_json": {}}, "unheard_of": 1, "max_tokens": 65_536}),
    (NANO, {"temperature": 0.01, "max_tokens": 32_768, "seed": 42, "tools": [WEATHER]}),
    (NANO, {"messages": TOOL_RESULT, "chat_template_kwargs": {"enable_thinking": False}}),
    (SUPER, {"reasoning_effort": "low", "reasoning_budget": -1}),
    (ULTRA, {"reasoning_effort": "medium", "reasoning_budget": 5}),
    (LIGHTNING, {"reasoning_budget": 32_768}),
    (OMNI, {"messages": [IMAGE], "temperature": 0, "max_tokens": 65_536}),
    (GEMMA, {"messages": [USER], "seed": 1}),
    (KIMI, {"tools": [WEATHER], "chat_template_kwargs": {"thinking": True}}),
    (KIMI, {"messages": [PARTS]}),
    (NO_PARSER, {"tools": [CLOCK], "tool_choice": "required"}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "fields"), ACCEPTED)
def test_accepted(hosted: EmulatorServer, chat: Post, model: str, fields: dict[str, Any]) -> None:
    answer = chat(hosted, model=model, **fields)
    assert answer.status_code == 200, answer.text
    assert len(answer.headers["nvcf-reqid"]) == 36


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((LLAMA, {name: value}, f"Unsupported parameter(s): `{name}`")
      for name, value in {"seed": 1, "n": 1, "logprobs": True, "top_k": 5, "user": "x",
                          "store": False, "parallel_tool_calls": True, "min_p": 0.1,
                          "max_completion_tokens": 5, "reasoning_effort": "low"}.items()),
    (LLAMA, {"nvext": {"guided_json": {}}}, "unknown field `guided_json`, expected one of `"),
    (LLAMA, {"messages": [PARTS]}, "valid string for role 'user'"),
    (LLAMA, {"max_tokens": 4097}, "less than or equal to 4096"),
    (LLAMA, {"temperature": 1.1}, "less than or equal to 1"),
    (LLAMA, {"messages": [{"role": "developer", "content": "x"}, USER]}, "messages"),
    (LLAMA, {"messages": [USER, USER]}, "must alternate"),
    (LLAMA, {"messages": [USER, {"role": "assistant", "content": "x"}]}, "last message"),
    (LLAMA, {"messages": [USER, {"role": "assistant", "content": "x", "reasoning": "y"}, USER]},
     "messages.1.reasoning"),
    (SMALL, {"tools": [WEATHER]}, "extra_forbidden"),
    (SMALL, {"messages": TOOL_RESULT}, "'tool'"),
    (VISION, {"messages": [{"role": "system", "content": "x"}, USER]}, "should be 'assistant'"),
    (VISION, {"tools": [WEATHER]}, "Extra inputs are not permitted"),
    (VISION, {"max_tokens": 8193}, "less than or equal to 8192"),
    (MUSE, {"tools": [WEATHER], "tool_choice": "required"}, "'auto' or 'named' or 'none'"),
    (SUPER_49B, {"seed": -1}, "greater than or equal to 0"),
    (SUPER_49B, {"messages": [PARTS]}, "valid string"),
    (NANO, {"temperature": 0}, "Input should be greater than 0 (type=greater_than)"),
    (NANO, {"seed": -1}, "body -> seed\n  Input should be greater than or equal to 0"),
    (NANO, {"reasoning_budget": 5}, "body -> reasoning_budget\n  Extra inputs"),
    (NANO, {"reasoning_effort": "low"}, "type=extra_forbidden"),
    (NANO, {"messages": [PARTS]}, "valid string"),
    (LIGHTNING, {"reasoning_effort": "low"}, "type=extra_forbidden"),
    (LIGHTNING, {"reasoning_budget": 32_769}, "less than or equal to 32768"),
    (SUPER, {"reasoning_effort": "medium"}, "'high' or 'low' or 'none'"),
    (SUPER, {"reasoning_effort": 0.5}, "'high' or 'low' or 'none'"),
    (ULTRA, {"reasoning_effort": "low"}, "'high' or 'medium' or 'none'"),
    (NO_PARSER, {"tools": [WEATHER]}, " tool choice requires --enable-auto-tool-choice"),
    (GEMMA, {"tools": [WEATHER]}, "Extra inputs are not permitted"),
    (GEMMA, {"messages": [{"role": "system", "content": "x"}, USER]}, "should be 'assistant'"),
    (KIMI, {"tools": [CLOCK]}, "tools.0.function.parameters: Field required"),
    (KIMI, {"tools": [STRICT]}, "tools.0.function.strict: Extra inputs"),
]  # fmt: skip
STATUS = {GEMMA: 422, NANO: 422, SUPER: 422, ULTRA: 422, LIGHTNING: 422}


@pytest.mark.parametrize(("model", "fields", "text"), REFUSED)
def test_refused(
    hosted: EmulatorServer, chat: Post, model: str, fields: dict[str, Any], text: str
) -> None:
    answer = chat(hosted, model=model, **fields)
    assert answer.status_code == STATUS.get(model, 400), answer.text
    assert text in json.dumps(answer.json()).replace("\\n", "\n")
    assert answer.headers["nvcf-reqid"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LLAMA, {"message", "type", "code"}),
        (SMALL, {"error"}),
        (VISION, {"error"}),
        (NANO, {"type", "title", "status", "detail", "instance", "requestId"}),
        (GEMMA, {"detail"}),
    ],
)
def test_forms_of_errors(
    hosted: EmulatorServer, chat: Post, model: str, expected: set[str]
) -> None:
    body = chat(hosted, model=model, unheard_of=1).json()
    assert set(body) == expected
    if model == SMALL:
        assert body["error"].startswith("[{'type': 'extra_forbidden', 'loc': ('body', 'unheard")
    if model == VISION:
        assert body["error"]["code"] == 400
    if model == NANO:
        detail = "body -> unheard_of\n  Extra inputs are not permitted (type=extra_forbidden)"
        assert body["type"].endswith(":unprocessable-entity")
        assert (body["title"], body["detail"]) == ("Unprocessable Entity", detail)
    if model == GEMMA:
        assert body["detail"][0]["loc"] == ["body", "unheard_of"]


def test_errors_of_values(hosted: EmulatorServer, chat: Post) -> None:
    too_long = "word " * 140_000
    answer = chat(hosted, too_long, model=GEMMA)
    assert answer.status_code == 422
    assert "maximum context length is 131072" in answer.json()["detail"][0]["msg"]
    answer = chat(hosted, model=NANO, messages=[])
    assert answer.json()["detail"].startswith("body\n  Cannot apply chat template")


@pytest.mark.parametrize("model", [NANO, SUPER, ULTRA, LIGHTNING])
def test_streams_are_the_default_of_some(hosted: EmulatorServer, chat: Post, model: str) -> None:
    assert events(chat(hosted, model=model))
    assert message(chat(hosted, model=model, stream=False))["reasoning_content"]
    for fields in (
        {"chat_template_kwargs": {"enable_thinking": False}},
        {} if model == NANO else {"reasoning_budget": 0},
    ):
        if fields:
            said = message(chat(hosted, model=model, stream=False, **fields))
            assert said["reasoning_content"] is None


@pytest.mark.parametrize(("model", "tokens"), [(LLAMA, 1024), (VISION, 512), (MUSE, 2048)])
def test_default_max_tokens(hosted: EmulatorServer, chat: Post, model: str, tokens: int) -> None:
    answer = chat(hosted, "count to 5000", model=model)
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == tokens


def test_a_context_can_be_set(chat: Post) -> None:
    with EmulatorServer("hosted", context=100) as nim:
        assert chat(nim, "word " * 200).status_code == 400
        assert chat(nim).status_code == 200


@pytest.mark.parametrize("model", HOSTED.specials)
def test_models_that_cannot_be_used(hosted: EmulatorServer, chat: Post, model: str) -> None:
    answer = chat(hosted, model=model)
    reply = HOSTED.specials[model]
    assert answer.status_code == reply.status
    assert answer.headers["nvcf-reqid"]
    assert answer.headers.items() >= reply.headers.items()
    if reply.body is None:
        assert answer.text == ""
    elif isinstance(reply.body, str):
        assert answer.text == reply.body
    else:
        assert set(answer.json()) == set(reply.body)
        assert "{" not in json.dumps(answer.json())[1:]


@pytest.mark.parametrize(
    ("model", "status", "text"),
    [
        ("meta/llama-listed-not-callable", 404, "': Not found for account '"),
        ("meta/llama-end-of-life", 410, "'meta/llama-end-of-life' has reached its end of life"),
        ("meta/llama-degraded", 400, "DEGRADED function cannot be invoked"),
        ("meta/llama-no-credits", 402, "credits"),
        ("meta/llama-rate-limited", 429, '{"status":429,"title":"Too Many Requests"}'),
        ("meta/llama-rate-limited-empty", 429, ""),
        ("meta/llama-overloaded", 503, "ResourceExhausted: Worker local total request limit"),
        ("meta/llama-gateway-timeout", 504, "<html>"),
    ],
)
def test_what_they_say(
    hosted: EmulatorServer, chat: Post, model: str, status: int, text: str
) -> None:
    answer = chat(hosted, model=model)
    assert answer.status_code == status
    assert text in answer.text


def test_completions_of_few_models(hosted: EmulatorServer, complete: Post, chat: Post) -> None:
    assert complete(hosted, model=STARCODER).status_code == 200
    assert complete(hosted, model=STARCODER, logprobs=1).status_code == 422
    assert complete(hosted, model=LLAMA).text == "404 page not found\n"
    assert chat(hosted, model=STARCODER).text == "404 page not found\n"


def poll(http: httpx.Client, nim: EmulatorServer, name: str, key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return http.get(f"{nim.url}/v2/nvcf/pexec/status/{name}", headers=headers)


def test_an_answer_that_is_fetched_later(http: httpx.Client, chat: Post) -> None:
    with EmulatorServer("hosted", polls=2) as nim:
        answer = chat(nim, model="meta/llama-slow-start")
        name = answer.headers["nvcf-reqid"]
        assert (answer.status_code, answer.content) == (202, b"")
        assert poll(http, nim, name, "").status_code == 401
        assert poll(http, nim, name, "other").status_code == 403
        for _ in range(2):
            again = poll(http, nim, name, "nvapi-test")
            assert (again.status_code, again.content) == (202, b"")
            assert again.headers["nvcf-reqid"] == name
        fetched = poll(http, nim, name, "nvapi-test")
        assert fetched.headers["nvcf-reqid"] == name
        assert "You wrote" in content(fetched)
        gone = poll(http, nim, name, "nvapi-test")
        assert (gone.status_code, gone.json()["title"]) == (404, "Not Found")


def test_any_answer_can_be_late(
    hosted: EmulatorServer, http: httpx.Client, chat: Post, complete: Post
) -> None:
    late = {"x-emulator-polls": "0"}
    answer = chat(hosted, stream=True, headers=late)
    assert answer.status_code == 202
    fetched = poll(http, hosted, answer.headers["nvcf-reqid"], "nvapi-test")
    assert events(fetched)
    assert hosted.requests[-1].tokens_sent > 5
    answer = chat(hosted, headers={"x-emulator-polls": "soon"})
    assert answer.status_code == 400
    assert "x-emulator-polls" in answer.text
    # A request that is refused is refused at once.
    assert chat(hosted, max_tokens=0, headers=late).status_code == 400


def test_only_so_many_answers_wait(hosted: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    from nim_emulator import gateway

    pending = gateway.PendingResponses()
    for number in range(gateway._MOST_PENDING + 1):
        pending.put(str(number), None, 1, lambda request: None)
    assert len(pending._pending) == gateway._MOST_PENDING
    assert "0" not in pending._pending


def test_nothing_is_fetched_elsewhere(nim2: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    assert chat(nim2, headers={"x-emulator-polls": "2"}).status_code == 200
    assert poll(http, nim2, "x", "k").status_code == 404


@pytest.mark.parametrize("dialect", ["hosted", "nim2"])
def test_streams_without_an_end_mark(dialect: str, chat: Post) -> None:
    with EmulatorServer(dialect, done=False) as nim:
        answer = chat(nim, stream=True, max_tokens=2)
        assert "[DONE]" not in answer.text
        assert answer.text.endswith("}\n\n")


def test_a_stream_without_an_end_mark(hosted: EmulatorServer, chat: Post) -> None:
    answer = chat(hosted, stream=True, headers={"x-emulator-done": "no"})
    assert "[DONE]" not in answer.text
    assert answer.headers["nvcf-reqid"]
