"""Faults of the status and of what is said."""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, get_args

import httpx
import pytest

from helpers import MODEL, WEATHER
from nim_emulator import FAULTS, EmulatorServer
from nim_emulator.faults import WRONG_TYPES
from nim_emulator.faults.error_bodies import Body
from raw_http import CHAT, STREAM, WORDS, Wire, ask, connect, read, request

COMPLETION = {"model": MODEL, "prompt": "count to 6", "max_tokens": 50}


def faulty(nim: EmulatorServer, name: str, sent: Any = CHAT, /, **parameters: Any) -> Wire:
    nim.faults([{"fault": name, **parameters}])
    wire = ask(nim, sent)
    assert wire.end == "whole"
    return wire


JSON_BODIES: dict[str, Any] = {
    "nested": {"error": {"message": "m", "type": "NotFoundError", "param": None, "code": 404}},
    "flat": {
        "object": "error",
        "message": "m",
        "type": "NotFoundError",
        "param": None,
        "code": 404,
    },
    "reason": {"message": "m", "type": "Not Found", "code": 404},
    "string": {"error": "m"},
    "problem": {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "m"},
    "title": {"status": 404, "title": "Not Found"},
    "detail-text": {"detail": "m", "type": "Not Found"},
    "detail-list": {"detail": [{"loc": ["body", "n"], "msg": "m", "type": "value_error"}]},
    "list": ["m"],
    "number": 404,
    "null": None,
}


@pytest.mark.parametrize("form", JSON_BODIES)
def test_json_bodies(nim2: EmulatorServer, form: str) -> None:
    wire = faulty(nim2, "status", status=404, body=form, message="m")
    assert (wire.status, wire.json) == (404, JSON_BODIES[form])
    assert re.fullmatch(r"application/(problem\+)?json", wire.headers["content-type"])
    assert nim2.requests[-1].status == 404


def test_other_bodies(nim2: EmulatorServer) -> None:
    def answer(form: str) -> Wire:
        return faulty(nim2, "status", body=form, message="m")

    others = {"unauthorized", "text", "html", "empty", "truncated", "wrong-type", "no-type"}
    assert {*JSON_BODIES, *others} == set(get_args(Body))
    fields = {"timestamp", "path", "status", "error", "requestId"}
    assert set(answer("unauthorized").json) == fields
    wire = answer("text")
    assert (wire.status, wire.body, wire.headers["content-type"]) == (503, b"m", "text/plain")
    wire = answer("html")
    assert wire.headers["content-type"] == "text/html"
    assert b"<h1>503 Service Unavailable</h1>" in wire.body
    wire = answer("empty")
    assert (wire.body, wire.headers["content-length"]) == (b"", "0")
    assert "content-type" not in wire.headers
    wire = answer("truncated")
    assert wire.headers["content-type"] == "application/json"
    with pytest.raises(json.JSONDecodeError):
        _ = wire.json
    wire = answer("wrong-type")
    assert (wire.headers["content-type"], "error" in wire.json) == ("text/html", True)
    wire = answer("no-type")
    assert "content-type" not in wire.headers
    assert "error" in wire.json


@pytest.mark.parametrize("status", [200, 204, 304, 400, 402, 413, 418, 451, 499, 529, 599])
def test_any_status(nim2: EmulatorServer, status: int) -> None:
    nim2.faults([{"fault": "status", "status": status}])
    answer = httpx.post(f"{nim2.url}/v1/chat/completions", json=CHAT, trust_env=False)
    assert answer.status_code == status
    assert (answer.content == b"") == (status in (204, 304))


def test_headers(nim2: EmulatorServer) -> None:
    headers = {"X-Should-Retry": "false", "content-type": "text/odd"}
    wire = faulty(nim2, "status", headers=headers)
    assert wire.headers["x-should-retry"] == "false"
    assert wire.headers["content-type"] == "text/odd"
    assert faulty(nim2, "status", retry_after=1.5).headers["retry-after"] == "1.5"
    before = time.time()
    wire = faulty(nim2, "status", retry_after=30, retry_date=True)
    when = parsedate_to_datetime(wire.headers["retry-after"])
    assert wire.headers["retry-after"].endswith(" GMT")
    assert before + 29 <= when.timestamp() <= time.time() + 32


def test_connections_stay_open_after_an_error(nim2: EmulatorServer) -> None:
    nim2.faults([{"fault": "status", "times": 3}])
    with httpx.Client(base_url=nim2.url, trust_env=False) as http:
        statuses = [http.post("/v1/chat/completions", json=CHAT).status_code for _ in range(4)]
    assert statuses == [503, 503, 503, 200]
    assert nim2.connections.opened == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(nim2: EmulatorServer, status: int) -> None:
    wire = faulty(nim2, "redirect", status=status)
    assert (wire.status, wire.headers["location"]) == (status, "/v1/chat/completions")
    other = "http://other.invalid/v1/chat/completions"
    assert faulty(nim2, "redirect", status=status, to=other).headers["location"] == other


def test_a_client_follows_a_redirect(nim2: EmulatorServer) -> None:
    nim2.faults(["redirect"])
    with httpx.Client(trust_env=False, follow_redirects=True) as http:
        answer = http.post(f"{nim2.url}/v1/chat/completions", json=CHAT)
    assert answer.json()["choices"][0]["message"]["content"] == WORDS
    assert [request.status for request in nim2.requests] == [307, 200]


def test_never_ready(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "never-ready")
    name = wire.headers["nvcf-reqid"]
    assert (wire.status, wire.body) == (202, b"")
    for _ in range(3):
        wire = ask(nim2, path=f"/v2/nvcf/pexec/status/{name}")
        assert (wire.status, wire.headers["nvcf-reqid"]) == (202, name)
    assert faulty(nim2, "never-ready").headers["nvcf-reqid"] != name
    assert ask(nim2, CHAT).status == 200


def test_wrong_kind(nim2: EmulatorServer) -> None:
    wire = faulty(nim2, "wrong-kind", CHAT)
    assert wire.headers["content-type"].startswith("text/event-stream")
    assert wire.text == WORDS
    wire = faulty(nim2, "wrong-kind", {**STREAM, "stream_options": {"include_usage": True}})
    assert wire.headers["content-type"] == "application/json"
    assert wire.json["choices"][0]["message"]["content"] == WORDS
    # The record has what the client sent.
    assert nim2.requests[-1].body["stream"] is True


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("text", b"data: Internal Server Error\n\n"),
        ("empty", b"data: \n\n"),
        ("list", b"data: []\n\n"),
        ("string", b'data: "text"\n\n'),
        ("null", b"data: null\n\n"),
        ("nested", b"data: " + b"[" * 100_000 + b"\n\n"),
    ],
)
def test_bad_json(nim2: EmulatorServer, kind: str, data: bytes) -> None:
    wire = faulty(nim2, "bad-json", STREAM, kind=kind, after=2)
    assert wire.body.split(b"\n\n")[2] + b"\n\n" == data
    assert wire.body.endswith(b"data: [DONE]\n\n")


def test_nan_beside_the_rest(nim2: EmulatorServer) -> None:
    body = faulty(nim2, "bad-json", STREAM, kind="nan").body
    event = body.split(b"\n\n")[1]
    assert event.startswith(b'data: {"id"')
    assert event.endswith(b',"usage":NaN}')


def test_truncated_json(nim2: EmulatorServer) -> None:
    body = faulty(nim2, "bad-json", STREAM).body
    cut = body.split(b"\n\n")[1]
    assert cut.startswith(b'data: {"id"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.removeprefix(b"data: "))


@pytest.mark.parametrize(
    "kind", ["truncated", "text", "html", "empty", "list", "string", "null", "twice"]
)
def test_bad_bodies(nim2: EmulatorServer, kind: str) -> None:
    wire = faulty(nim2, "bad-body", kind=kind)
    assert (wire.status, wire.headers["content-type"]) == (200, "application/json")
    try:
        assert not isinstance(wire.json, dict)
    except json.JSONDecodeError:
        assert kind in ("truncated", "text", "html", "empty", "twice")


def found(value: Any, path: str) -> list[Any]:
    """The values at a path of a body or chunk."""
    name, _, rest = path.partition(".")
    if isinstance(value, dict):
        name = "delta" if name == "message" and "delta" in value else name
        items = [value[name]] if name in value else []
    else:
        items = value if name == "*" and isinstance(value, list) else []
    return [item for one in items for item in found(one, rest)] if rest else list(items)


KINDS = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", STREAM),
    ("/v1/completions", COMPLETION),
    ("/v1/completions", {**COMPLETION, "stream": True}),
]


@pytest.mark.parametrize("path", WRONG_TYPES)
def test_wrong_types(nim2: EmulatorServer, path: str) -> None:
    chat = not path.endswith(".text")
    for route, body in KINDS[:2] if chat else KINDS[2:]:
        if path.startswith(("data", "rankings")):
            name = path.partition(".")[0]
            item = {"index": 0, "embedding": [0.5], "logit": 0.5}
            nim2.script([{"path": route, "body": {name: [item]}}])
        for value in WRONG_TYPES[path]:
            nim2.faults([{"fault": "wrong-type", "field": path, "value": value}])
            wire = ask(nim2, body, path=route)
            values = (
                found(wire.json, path)
                if not body.get("stream") or "json" in wire.headers["content-type"]
                else [item for event in wire.events for item in found(event, path)]
            )
            assert values == [value] * len(values)
            assert values
            if path.startswith(("data", "rankings")):
                nim2.script([{"path": route, "body": {name: [item]}}])
        nim2.clear()


@pytest.mark.parametrize("path", ["id", "choices.*.message", "choices.*.index", "usage"])
def test_missing_fields(nim2: EmulatorServer, path: str) -> None:
    assert found(faulty(nim2, "missing", CHAT, field=path).json, path) == []
    events = faulty(nim2, "missing", STREAM, field=path, after=2).events
    assert [len(found(event, path)) for event in events[2:]] == [0] * (len(events) - 2)
    if path != "usage":
        assert all(found(event, path) for event in events[:2])


def test_choices(nim2: EmulatorServer) -> None:
    for kind, value in {"empty": [], "null": None}.items():
        assert faulty(nim2, "choices", CHAT, kind=kind).json["choices"] == value
        events = faulty(nim2, "choices", STREAM, kind=kind, after=1).events
        assert [event["choices"] for event in events[1:]] == [value] * (len(events) - 1)
        assert events[0]["choices"]
    assert "choices" not in faulty(nim2, "choices", CHAT, kind="missing").json
    assert all(
        "choices" not in event for event in faulty(nim2, "choices", STREAM, kind="missing").events
    )


@pytest.mark.parametrize(
    ("kind", "streamed", "whole"),
    [
        ("unknown", ["finished_somehow"], "finished_somehow"),
        ("null", [], None),
        ("missing", [], "absent"),
        ("empty", [""], ""),
        ("several", ["stop", "length"], "stop"),
        ("twice", ["stop", "stop"], "stop"),
    ],
)
def test_finish_reasons(nim2: EmulatorServer, kind: str, streamed: list[str], whole: Any) -> None:
    wire = faulty(nim2, "finish", STREAM, kind=kind)
    reasons = [choice.get("finish_reason") for event in wire.events for choice in event["choices"]]
    assert [reason for reason in reasons if reason is not None] == streamed
    assert wire.text == WORDS
    choice = faulty(nim2, "finish", CHAT, kind=kind).json["choices"][0]
    assert choice.get("finish_reason", "absent") == whole


def test_a_finish_reason_in_every_chunk(nim2: EmulatorServer) -> None:
    events = faulty(nim2, "finish", STREAM, kind="every").events
    assert {choice["finish_reason"] for event in events for choice in event["choices"]} == {"stop"}


@pytest.mark.parametrize(("kind", "left"), [("null", {None}), ("empty", {""}), ("missing", set())])
def test_no_content(nim2: EmulatorServer, kind: str, left: set[Any]) -> None:
    wire = faulty(nim2, "no-content", STREAM, kind=kind)
    deltas = [choice["delta"] for event in wire.events for choice in event["choices"]]
    assert {delta["content"] for delta in deltas if "content" in delta} == left
    message = faulty(nim2, "no-content", CHAT, kind=kind).json["choices"][0]["message"]
    assert {message[name] for name in ("content",) if name in message} == left
    nim2.faults([{"fault": "no-content", "kind": kind}])
    choice = ask(nim2, COMPLETION, path="/v1/completions").json["choices"][0]
    assert {choice[name] for name in ("text",) if name in choice} == left
    assert choice["finish_reason"] == "stop"


def test_usage(nim2: EmulatorServer) -> None:
    with_usage = {**STREAM, "stream_options": {"include_usage": True}}

    def usages(kind: str) -> list[Any]:
        events = faulty(nim2, "usage", with_usage, kind=kind).events
        return [event["usage"] for event in events if "usage" in event]

    assert set(usages("null")) == {None}
    assert usages("garbage")[-1]["prompt_tokens"] == "many"
    assert usages("negative")[-1]["total_tokens"] == -1
    assert usages("empty")[-1] == {}
    assert len(usages("repeated")) > 6
    assert all(usages("repeated"))
    assert usages("missing") == []
    assert faulty(nim2, "usage", CHAT, kind="negative").json["usage"]["prompt_tokens"] == -1


def test_extra_choices(nim2: EmulatorServer) -> None:
    events = faulty(nim2, "extra-choices", STREAM, n=3).events
    order = [choice["index"] for event in events for choice in event["choices"]]
    assert order[:6] == [0, 1, 2, 0, 1, 2]
    choices = faulty(nim2, "extra-choices", CHAT).json["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]


def fragments(nim: EmulatorServer, kind: str, **parameters: Any) -> list[dict[str, Any]]:
    body = {**STREAM, "tools": [WEATHER]}
    events = faulty(nim, "tool-calls", body, kind=kind, **parameters).events
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


def whole_calls(nim: EmulatorServer, kind: str) -> list[dict[str, Any]]:
    body = {**CHAT, "tools": [WEATHER]}
    (choice,) = faulty(nim, "tool-calls", body, kind=kind).json["choices"]
    assert choice["finish_reason"] == "tool_calls"
    return choice["message"]["tool_calls"]


def test_streamed_tool_calls(nim2: EmulatorServer) -> None:
    def indexes(kind: str) -> list[Any]:
        return [call.get("index") for call in fragments(nim2, kind)]

    assert indexes("no-index") == [None] * 6
    assert indexes("same-index") == [0] * 6
    assert indexes("out-of-order") == [1, 0] * 3
    assert indexes("negative-index") == [-1] * 3 + [-2] * 3
    assert indexes("gap") == [3] * 3 + [7] * 3
    assert not any("id" in call for call in fragments(nim2, "no-id"))
    assert not any("name" in call["function"] for call in fragments(nim2, "no-name"))
    assert {call.get("id") for call in fragments(nim2, "same-id")} == {"call-1", None}
    late = fragments(nim2, "late-name")
    assert ["name" in call["function"] for call in late] == [False, True] * 2
    calls = fragments(nim2, "object-arguments")
    assert [call["function"]["arguments"] for call in calls] == [{"n": 1}, {"n": 2}]
    assert fragments(nim2, "null-arguments")[0]["function"]["arguments"] is None
    assert fragments(nim2, "unknown-tool")[0]["function"]["name"] == "no_such_tool"
    assert fragments(nim2, "gap")[0]["function"]["name"] == "get_weather"


def test_a_call_in_many_fragments(nim2: EmulatorServer) -> None:
    calls = fragments(nim2, "many", fragments=1000)
    assert len(calls) > 1000
    text = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(text) == {"n": "x" * 1000}


def test_whole_tool_calls(nim2: EmulatorServer) -> None:
    def arguments(kind: str) -> list[Any]:
        return [call["function"]["arguments"] for call in whole_calls(nim2, kind)]

    assert arguments("no-index") == ['{"n": 1}', '{"n": 2}']
    assert arguments("out-of-order") == ['{"n": 2}', '{"n": 1}']
    assert arguments("object-arguments") == [{"n": 1}, {"n": 2}]
    assert arguments("null-arguments") == [None, None]
    assert arguments("cut-arguments") == ['{"n": ', '{"n": ']
    assert arguments("text-arguments")[0] == "n is 1"
    assert arguments("list-arguments")[0] == "[1]"
    assert not any("id" in call for call in whole_calls(nim2, "no-id"))
    assert {call["id"] for call in whole_calls(nim2, "same-id")} == {"call-1"}


FAST = {"pause_s": 0, "seconds": 0, "size": 1000}


@pytest.mark.parametrize("name", [name for name, kind in FAULTS.items() if kind.play])
def test_every_fault_of_the_table(
    nim1: EmulatorServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Each can be played with each of its parameters, on each route, and the server goes on."""
    kind = FAULTS[name]
    fast = {key: value for key, value in FAST.items() if key in kind.parameters.model_fields}
    for variant in kind.variants():
        for route, body in KINDS:
            if kind.only is not None and (kind.only == "stream") != bool(body.get("stream")):
                continue
            nim1.faults([{"fault": name, **fast, **variant}])
            with connect(nim1) as peer:
                peer.sendall(request(body, path=route))
                if name == "endless":
                    assert peer.recv(1 << 16)
                else:
                    assert read(peer).end != "open"
            assert nim1.requests[-1].fault == name
            nim1.clear()
    assert ask(nim1, CHAT).status == 200
    assert not caplog.records
