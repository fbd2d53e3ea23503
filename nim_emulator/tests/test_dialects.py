"""Each dialect beside the facts that tell it from the others."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from helpers import MODEL, WEATHER, Post, Servers, calls, content, events, message
from nim_emulator import DIALECTS, EmulatorServer
from nim_emulator.openapi import document

NAMES = [name for name, dialect in DIALECTS.items() if dialect.chat_fields is not None]
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
GBNF = 'root ::= "yes" | "no"'
LARK = '?start: "yes" | "no"'
BROKEN = "refused"
FREE = "ignored"
KEPT = "enforced"

NIM_ROUTES = {"/v1/version", "/v1/metadata", "/v1/license", "/v1/health/ready", "/v1/health/live"}
LLM_ROUTES = NIM_ROUTES | {"/v1/metrics", "/openapi.json"}
ROUTES: dict[str, set[str]] = {
    "nim1": LLM_ROUTES,
    "nim1-1.15": LLM_ROUTES,
    "nim2": LLM_ROUTES,
    "nim2-sglang": LLM_ROUTES,
    "retriever": NIM_ROUTES,
    "retriever1": NIM_ROUTES,
    "hosted": set(),
    "dynamo": {"/health", "/live", "/metrics", "/openapi.json"},
    "vllm": {"/health", "/version", "/metrics", "/openapi.json"},
    "generic": set(),
}


@pytest.mark.parametrize("path", sorted(set.union(*ROUTES.values())))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_probes(servers: Servers, http: httpx.Client, dialect: str, path: str) -> None:
    answer = http.get(servers[dialect].url + path)
    assert answer.status_code == (200 if path in ROUTES[dialect] else 404)


@pytest.mark.parametrize(
    ("dialect", "release"),
    [("nim1", "1.8.4"), ("nim1-1.15", "1.15.0"), ("nim2", "2.1.5"), ("nim2-sglang", "2.1.5")],
)
def test_version(servers: Servers, http: httpx.Client, dialect: str, release: str) -> None:
    answer = http.get(f"{servers[dialect].url}/v1/version")
    assert answer.json() == {"release": release, "api": release}
    license_ = http.get(f"{servers[dialect].url}/v1/license").json()
    assert set(license_) == {"name", "path", "sha", "size", "url", "type", "content"}


def test_a_release_can_be_set(http: httpx.Client) -> None:
    with EmulatorServer("nim2", release="2.0.1") as nim:
        assert http.get(f"{nim.url}/v1/version").json() == {"release": "2.0.1", "api": "2.0.1"}
        assert http.get(f"{nim.url}/v1/metadata").json()["version"] == "2.0.1"
        assert http.get(f"{nim.url}/openapi.json").json()["info"]["version"] == "2.0.1"


@pytest.mark.parametrize(("alias", "name"), [("nim1-1.8", "nim1"), ("nim2-vllm", "nim2")])
def test_aliases(http: httpx.Client, alias: str, name: str) -> None:
    with EmulatorServer(alias) as nim:
        version = http.get(f"{nim.url}/v1/version").json()
    assert version["release"] == DIALECTS[name].release


FULL = {"id", "object", "created", "owned_by", "root", "parent", "max_model_len", "permission"}
SHORT = {"id", "object", "created", "owned_by"}
ENTRIES: dict[str, tuple[str, set[str]]] = {
    "nim1": ("system", FULL),
    "nim1-1.15": ("system", FULL),
    "nim2": ("vllm", FULL),
    "nim2-sglang": ("sglang", FULL - {"permission"}),
    "hosted": ("meta", SHORT),
    "dynamo": ("nvidia", SHORT | {"context_window"}),
    "vllm": ("vllm", FULL),
    "generic": ("organization-owner", SHORT),
}


@pytest.mark.parametrize("dialect", NAMES)
def test_model_entries(servers: Servers, http: httpx.Client, dialect: str) -> None:
    entry = http.get(f"{servers[dialect].url}/v1/models").json()["data"][0]
    owner, fields = ENTRIES[dialect]
    assert (entry["id"], entry["object"], entry["owned_by"]) == (MODEL, "model", owner)
    assert set(entry) == fields
    if dialect == "hosted":
        assert entry["created"] == 735790403
    else:
        assert abs(entry["created"] - time.time()) < 600


TITLES: dict[str, tuple[str, set[str], set[str]]] = {
    "nim1": ("NIM", {"nvext"}, {"structured_outputs", "top_k", "guided_json", "ebnf"}),
    "nim1-1.15": ("NIM", {"nvext", "top_k", "ignore_eos", "guided_json"}, {"structured_outputs"}),
    "nim2": ("NIM", {"structured_outputs", "top_k"}, {"nvext", "guided_json", "ebnf"}),
    "nim2-sglang": (
        "NIM",
        {"ebnf", "regex", "separate_reasoning"},
        {"nvext", "structured_outputs", "guided_json"},
    ),
    "dynamo": (
        "NVIDIA Dynamo OpenAI Frontend",
        {"nvext", "guided_json", "top_k"},
        {"structured_outputs", "ebnf"},
    ),
    "vllm": ("FastAPI", {"structured_outputs"}, {"nvext"}),
}


@pytest.mark.parametrize("dialect", TITLES)
def test_openapi(servers: Servers, http: httpx.Client, dialect: str) -> None:
    document = http.get(f"{servers[dialect].url}/openapi.json").json()
    title, there, missing = TITLES[dialect]
    assert title in document["info"]["title"]
    schemas = document["components"]["schemas"]
    request = schemas["ChatCompletionRequest"]
    assert there <= set(request["properties"])
    assert not missing & set(request["properties"])
    assert request["additionalProperties"] is not DIALECTS[dialect].refuses_unknown
    assert set(DIALECTS[dialect].routes) < set(document["paths"])
    text = json.dumps(document)
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in schemas
    if "nvext" in there:
        assert set(schemas["Nvext"]["properties"]) == DIALECTS[dialect].nvext_fields


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_field_is_required_twice(dialect: str) -> None:
    for schema in document(DIALECTS[dialect])["components"]["schemas"].values():
        required = schema.get("required", [])
        assert len(set(required)) == len(required)


UNKNOWN = {"nim1": 400, "nim1-1.15": 400, "hosted": 400, "dynamo": 400}


@pytest.mark.parametrize("path", ["chat", "complete"])
@pytest.mark.parametrize("dialect", [name for name in NAMES if name != "hosted"])
def test_an_unknown_field(
    servers: Servers, request: pytest.FixtureRequest, dialect: str, path: str
) -> None:
    post: Post = request.getfixturevalue(path)
    answer = post(servers[dialect], unheard_of=1)
    assert answer.status_code == UNKNOWN.get(dialect, 200)
    assert ("unheard_of" in answer.text) is (dialect in UNKNOWN)


JSON_SCHEMA = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
}
# Per dialect: what becomes of each form of constraint.
FORMS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "json_object": ({"response_format": {"type": "json_object"}}, dict.fromkeys(NAMES, KEPT)),
    "json_schema": (JSON_SCHEMA, {**dict.fromkeys(NAMES, KEPT), "nim1": BROKEN}),
    "nvext.guided_json": (
        {"nvext": {"guided_json": SCHEMA}},
        {"nim1": KEPT, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": BROKEN},
    ),
    "nvext.guided_choice": (
        {"nvext": {"guided_choice": ["yes", "no"]}},
        {"nim1": KEPT, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": BROKEN},
    ),
    "nvext.guided_grammar in GBNF": (
        {"nvext": {"guided_grammar": GBNF}},
        {"nim1": KEPT, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": BROKEN},
    ),
    "nvext.guided_grammar in Lark": (
        {"nvext": {"guided_grammar": LARK}},
        {"nim1": KEPT, "nim1-1.15": BROKEN, "hosted": BROKEN, "dynamo": BROKEN},
    ),
    "guided_json": (
        {"guided_json": SCHEMA},
        {"nim1": BROKEN, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": KEPT},
    ),
    "guided_regex": (
        {"guided_regex": "yes|no"},
        {"nim1": BROKEN, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": KEPT},
    ),
    "guided_choice": (
        {"guided_choice": ["yes", "no"]},
        {"nim1": BROKEN, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": KEPT},
    ),
    "guided_grammar": (
        {"guided_grammar": GBNF},
        {"nim1": BROKEN, "nim1-1.15": KEPT, "hosted": BROKEN, "dynamo": KEPT},
    ),
    "structured_outputs": (
        {"structured_outputs": {"json": SCHEMA}},
        {
            **dict.fromkeys(("nim1", "nim1-1.15", "hosted", "dynamo"), BROKEN),
            "nim2": KEPT,
            "vllm": KEPT,
        },
    ),
    "regex": (
        {"regex": "yes|no"},
        {
            **dict.fromkeys(("nim1", "nim1-1.15", "hosted", "dynamo"), BROKEN),
            "nim2-sglang": KEPT,
        },
    ),
    "ebnf": (
        {"ebnf": GBNF},
        {
            **dict.fromkeys(("nim1", "nim1-1.15", "hosted", "dynamo"), BROKEN),
            "nim2-sglang": KEPT,
        },
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", NAMES)
def test_constraints(servers: Servers, chat: Post, dialect: str, form: str) -> None:
    fields, outcomes = FORMS[form]
    nim = servers[dialect]
    answer = chat(nim, "She is 42 now", temperature=0, **fields)
    match outcomes.get(dialect, FREE):
        case "refused":
            assert answer.status_code == 400
        case "ignored":
            assert content(answer) == content(chat(nim, "She is 42 now", temperature=0))
        case _:
            text = content(answer)
            if "json" in form or form == "structured_outputs":
                assert json.loads(text)["answer" if form == "json_object" else "age"]
            else:
                assert text in ("yes", "no")


@pytest.mark.parametrize("dialect", NAMES)
def test_top_k(servers: Servers, chat: Post, dialect: str) -> None:
    refused = {"nim1", "hosted"}
    assert chat(servers[dialect], top_k=5).status_code == (400 if dialect in refused else 200)
    refused = {"dynamo", "hosted"}
    answer = chat(servers[dialect], nvext={"top_k": 5})
    assert answer.status_code == (400 if dialect in refused else 200)


THINKING: dict[str, tuple[str, dict[str, Any]]] = {
    "nim1": ("reasoning_content", {}),
    "nim1-1.15": ("reasoning_content", {}),
    "nim2": ("reasoning", {"reasoning_effort": "low"}),
    "nim2-sglang": ("reasoning_content", {"reasoning_effort": 0.5}),
    "dynamo": ("reasoning_content", {"thinking": {"type": "enabled"}}),
    "vllm": ("reasoning", {"chat_template_kwargs": {"enable_thinking": True}}),
    "generic": ("reasoning_content", {"reasoning_effort": "low"}),
}


@pytest.mark.parametrize("dialect", THINKING)
def test_thinking(servers: Servers, chat: Post, dialect: str) -> None:
    field, fields = THINKING[dialect]
    said = [
        {"role": "system", "content": "" if fields else "detailed thinking on"},
        {"role": "user", "content": "Hi"},
    ]
    assert "Hi" in message(chat(servers[dialect], said, **fields))[field]
    chunks = events(chat(servers[dialect], said, stream=True, **fields))
    thought = "".join(chunk["choices"][0]["delta"].get(field) or "" for chunk in chunks)
    assert "Hi" in thought


@pytest.mark.parametrize("dialect", NAMES)
def test_unknown_model(servers: Servers, chat: Post, dialect: str) -> None:
    answer = chat(servers[dialect], model="no/model")
    if dialect == "nim2-sglang":
        assert (answer.status_code, answer.json()["model"]) == (200, "no/model")
        return
    assert answer.status_code == 404
    if dialect == "hosted":
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == "404 page not found\n"
    elif dialect == "dynamo":
        assert answer.json() == {"message": "Model not found", "type": "Not Found", "code": 404}
    else:
        assert "no/model" in answer.text


@pytest.mark.parametrize("dialect", ["nim1", "nim1-1.15", "nim2", "vllm", "dynamo"])
def test_a_server_without_a_tool_parser(chat: Post, dialect: str) -> None:
    said = {"tools": [WEATHER]}
    with EmulatorServer(dialect, tool_parser=False) as nim:
        answer = chat(nim, "Weather in Paris", **said)
        if dialect == "dynamo":
            assert calls(answer)
            return
        assert answer.status_code == 400
        assert "requires --enable-auto-tool-choice and --tool-call-parser" in answer.text
        assert calls(chat(nim, "Weather in Paris", tool_choice="required", **said))


IDS = {"nim2-sglang": "call_", "dynamo": "call-", "generic": "call_"}


@pytest.mark.parametrize("style", ["fragments", "whole", "two-part"])
@pytest.mark.parametrize("dialect", NAMES)
def test_tool_calls(servers: Servers, chat: Post, dialect: str, style: str) -> None:
    nim = servers[dialect]
    said = {"tools": [WEATHER], "tool_choice": "auto"}
    answer = chat(nim, "Weather in Paris", **said)
    assert calls(answer) == [("get_weather", {"city": "Paris"})]
    (call,) = message(answer)["tool_calls"]
    assert call["id"].startswith(IDS.get(dialect, "chatcmpl-tool-"))
    assert answer.json()["choices"][0]["finish_reason"] == "tool_calls"
    headers = {"x-emulator-tool-stream": style}
    chunks = events(chat(nim, "Weather in Paris", stream=True, headers=headers, **said))
    parts = [
        part for chunk in chunks for part in chunk["choices"][0]["delta"].get("tool_calls") or ()
    ]
    text = "".join(part["function"].get("arguments") or "" for part in parts)
    assert json.loads(text) == {"city": "Paris"}
    assert parts[0]["id"].startswith(IDS.get(dialect, "chatcmpl-tool-"))
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("dialect", "absent", "expected"),
    [
        ("nim1", "stop_reason", []),
        ("nim2", "stop_reason", "absent"),
        ("nim2-sglang", "matched_stop", "absent"),
        ("dynamo", None, "absent"),
        ("generic", None, "absent"),
    ],
)
def test_an_answer_without_tool_calls(
    servers: Servers, chat: Post, dialect: str, absent: str | None, expected: Any
) -> None:
    answer = chat(servers[dialect], stop="have", temperature=0)
    assert message(answer).get("tool_calls", "absent") == expected
    choice = answer.json()["choices"][0]
    assert {"stop_reason", "matched_stop"} & set(choice) == ({absent} if absent else set())


@pytest.mark.parametrize("dialect", NAMES)
def test_streams_have_the_text_of_the_whole(servers: Servers, chat: Post, dialect: str) -> None:
    nim = servers[dialect]
    whole = chat(nim, temperature=0.5)
    chunks = events(chat(nim, temperature=0.5, stream=True, stream_options={"include_usage": True}))
    *others, last = chunks
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in others)
    assert text == content(whole)
    usage = whole.json()["usage"]
    assert {key: usage[key] for key in last["usage"]} == last["usage"]
