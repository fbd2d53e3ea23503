"""Answers from a capture, and files that are no usable capture."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nim_emulator import Capture, CaptureError, EmulatorServer
from nim_emulator.capture_file import MAX_CALLS, MAX_FILE_BYTES, parse_capture

HEADER = {"format": "nim-capture", "version": 1}
CHAT = "/v1/chat/completions"


def lines(*calls: dict[str, Any], end: bool = True) -> bytes:
    every = [HEADER, *calls, *([{"end": "complete", "calls": len(calls)}] if end else [])]
    return b"".join(json.dumps(line).encode() + b"\n" for line in every)


def post(request: Any, **fields: Any) -> dict[str, Any]:
    made = {"method": "POST", "path": CHAT, "request": request, "status": 200, "body": "{}"}
    return {**made, **fields}


@pytest.fixture
def replay(tmp_path: Path) -> Any:
    """Write a capture and return a server, not started, that answers from it."""

    def make(*calls: dict[str, Any], timing: bool = False) -> EmulatorServer:
        (tmp_path / "nim.capture").write_bytes(lines(*calls))
        return EmulatorServer(replay=tmp_path / "nim.capture", replay_timing=timing)

    return make


def test_a_request_gets_what_was_recorded(replay: Any) -> None:
    headers = {"Content-Type": "application/json", "Server": "uvicorn", "X-Id": "7"}
    first = post({"model": "m", "n": 1}, status=418, headers=headers, body='{"a": 1}')
    get = {"method": "GET", "path": "/v1/models", "status": 200, "body": {"base64": "gP8="}}
    with replay(first, get) as nim, httpx.Client(base_url=nim.url, trust_env=False) as client:
        answer = client.post(CHAT, json={"n": 1, "model": "m"})
        assert (answer.status_code, answer.content) == (418, b'{"a": 1}')
        assert answer.headers.get_list("server") == ["uvicorn"]
        assert answer.headers["x-id"] == "7"
        assert client.get("/v1/models").content == b"\x80\xff"
        assert [r["status"] for r in client.get("/emulator/requests").json()] == [418, 200]


def test_what_was_recorded_several_times_comes_in_turn(replay: Any) -> None:
    calls = [post({"a": 1}, body=text) for text in "xyz"]
    with replay(*calls) as nim, httpx.Client(base_url=nim.url, trust_env=False) as client:
        assert [client.post(CHAT, json={"a": 1}).text for _ in range(5)] == [
            "x",
            "y",
            "z",
            "z",
            "z",
        ]


def test_what_is_not_recorded_is_said(replay: Any) -> None:
    near = post({"model": "m", "n": 1, "top_k": 2}, call="the near one")
    far = post({"model": "other", "x": 1, "y": 2})
    with replay(far, near) as nim, httpx.Client(base_url=nim.url, trust_env=False) as client:
        answer = client.post(CHAT, json={"model": "m", "n": 1, "top_k": 3})
        assert answer.status_code == 400
        assert answer.headers["x-nim-emulator"] == "not-in-capture"
        assert answer.json()["error"]["message"].endswith(
            "The nearest is line 3 (the near one), which differs in: top_k."
        )
        answer = client.get("/v1/nothing")
        assert answer.status_code == 404
        assert f"It has: POST {CHAT}." in answer.text


def test_a_stream_comes_in_its_chunks_and_its_time(replay: Any) -> None:
    chunks = [[0.1, "data: \u00e9"], [0.2, {"base64": base64.b64encode(b"\xc3").decode()}]]
    chunks.append([0.9, {"base64": base64.b64encode(b"\xa9\n\n").decode()}])
    call = post({"a": 1}, body="", chunks=chunks, headers={"content-type": "text/event-stream"})
    with replay(call, timing=True) as nim, httpx.Client(trust_env=False) as client:
        began = time.monotonic()
        with client.stream("POST", nim.url + CHAT, json={"a": 1}) as answer:
            parts = list(answer.iter_raw())
        assert time.monotonic() - began >= 0.8
        assert b"".join(parts).decode() == "data: éé\n\n"
        assert parts[0] == "data: é".encode()
        assert nim.requests[-1].streamed


@pytest.mark.parametrize("status", [200, None])
def test_a_connection_that_broke_breaks_again(replay: Any, status: int | None) -> None:
    call = post({"a": 1}, status=status, error="ReadError", chunks=[[0, "data: 1\n\n"]])
    with (
        replay(call) as nim,
        httpx.Client(trust_env=False) as client,
        pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)),
    ):
        client.post(nim.url + CHAT, json={"a": 1})


@pytest.mark.parametrize("reason", [{"withheld": "it quotes a key"}, {"cut": 99_999}])
def test_a_body_that_is_not_there_is_said(replay: Any, reason: dict[str, Any]) -> None:
    with replay(post({"a": 1}, **reason)) as nim, httpx.Client(trust_env=False) as client:
        answer = client.post(nim.url + CHAT, json={"a": 1})
        assert answer.status_code == 501
        assert "The body of line 2 is not here" in answer.text


BAD = {
    "empty": (b"", "line 1: not the header"),
    "something else": (b'{"a": 1}\n', "line 1: not the header"),
    "a later version": (b'{"format": "nim-capture", "version": 9}\n', "it has version 9"),
    "no JSON": (lines() + b"{\n\n", "line 3: not JSON"),
    "no object": (lines(end=False) + b"[1]\n", "line 2: not a JSON object"),
    "NaN": (lines(end=False) + b'{"method": NaN}\n\n', "NaN is no JSON"),
    "too deep": (lines(end=False) + b"[" * 100_000 + b"\n\n", "line 2: not JSON: too deep"),
    "after the end": (lines() + lines(), "line 3: it comes after the end"),
    "no method": (lines({"path": "/"}), "line 2: method"),
    "a method of its own": (lines(post(1, method="A\r\nB")), "line 2: method"),
    "no path": (lines(post(1, path="http://x/")), "line 2: path"),
    "a status of its own": (lines(post(1, status=99)), "line 2: status"),
    "a header's name": (lines(post(1, headers={"a b": "c"})), "is not a header's name"),
    "a header's value": (lines(post(1, headers={"a": "b\r\nc: d"})), "cannot be sent"),
    "too many headers": (lines(post(1, headers={str(n): "" for n in range(999)})), "headers"),
    "no base64": (lines(post(1, body={"base64": "!"})), "line 2: body"),
    "half a character": (lines(post(1, body="\ud800")), "line 2: body"),
    "a time before": (lines(post(1, chunks=[[-1, ""]])), "line 2: chunks.0.0"),
    "no end of time": (lines(post(1, chunks=[[1e300, ""]])), "line 2: chunks.0.0"),
    "no gzip": (b"\x1f\x8bxxxxxxxxxxxx", "cannot be decompressed"),
    "too large": (b" " * (MAX_FILE_BYTES + 1), "more than"),
    "a bomb": (gzip.compress(b" " * (MAX_FILE_BYTES * 4)), "more than"),
    "too many calls": (lines(*[post(1)] * (MAX_CALLS + 1)), "more than 10000 calls"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_refused_by_line(name: str) -> None:
    data, said = BAD[name]
    with pytest.raises(CaptureError) as raised:
        parse_capture(data)
    assert said in str(raised.value)


def test_a_file_that_breaks_off_is_read_up_to_there() -> None:
    data = lines(post(1), post(2), end=False)
    assert [call.request for call in parse_capture(data[:-9]).calls] == [1]
    packed = gzip.compress(data)
    assert len(parse_capture(packed[:-8]).calls) == 2


def check(data: bytes) -> None:
    """Any error but one of a capture fails the test."""
    with contextlib.suppress(CaptureError):
        assert isinstance(parse_capture(data), Capture)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for before in (b"", lines(end=False), b"\x1f\x8b\x08\x00", gzip.compress(lines())):
        check(before + data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_FIELDS = st.sampled_from(["status", "headers", "body", "chunks", "seconds", "path", "request"])


@given(st.dictionaries(_FIELDS, _JSON), st.dictionaries(st.text(max_size=10), _JSON))
def test_a_call_with_any_values_is_read_or_refused(
    known: dict[str, Any], unknown: dict[str, Any]
) -> None:
    check(lines({**post({"a": 1}), **unknown, **known}))
