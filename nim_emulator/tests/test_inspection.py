"""The request log and scripted replies, over HTTP and in process."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI, RateLimitError
from pydantic import ValidationError

from helpers import MODEL, Post, content, events
from nim_emulator import EmulatorServer, Recorder, Reply, fingerprint

CHUNK = {
    "id": "x",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "scripted"}, "finish_reason": None}],
}


def script(http: httpx.Client, nim: EmulatorServer, *replies: dict[str, Any]) -> None:
    answer = http.post(f"{nim.url}/emulator/script", json=list(replies))
    assert answer.json() == {"waiting": len(replies)}


def test_requests_are_recorded(nim: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    chat(nim, "Hi", max_tokens=3, headers={"x-mine": "1"})
    http.get(f"{nim.url}/v1/models?page=2")
    http.post(f"{nim.url}/v1/completions", content=b"\xffnot json")
    first, second, third = http.get(f"{nim.url}/emulator/requests").json()
    assert first["id"] < second["id"] < third["id"]
    assert (first["method"], first["path"], first["status"]) == (
        "POST",
        "/v1/chat/completions",
        200,
    )
    assert first["body"]["max_tokens"] == 3
    assert first["headers"]["x-mine"] == "1"
    assert (first["streamed"], first["disconnected"], first["tokens_sent"]) == (False, False, 3)
    assert (second["path"], second["body"], second["status"]) == ("/v1/models", None, 200)
    assert (third["body"], third["status"]) == ("\ufffdnot json", 400)
    assert [record.to_dict() for record in nim.requests] == [first, second, third]
    assert http.delete(f"{nim.url}/emulator/requests").status_code == 204
    assert nim.requests == []


def test_keys_are_never_recorded(nim: EmulatorServer, http: httpx.Client) -> None:
    headers = {"authorization": "Bearer nvapi-secret", "x-api-key": "other", "cookie": "a=b"}
    http.get(f"{nim.url}/v1/models", headers=headers)
    text = http.get(f"{nim.url}/emulator/requests").text
    for secret in ("nvapi-secret", "other", "a=b"):
        assert secret not in text
    recorded = nim.requests[0].headers
    assert recorded["authorization"] == fingerprint("Bearer nvapi-secret")
    assert recorded["authorization"].startswith("Bearer sha256:")
    assert recorded["x-api-key"] == fingerprint("other") != fingerprint("another")
    assert recorded["x-api-key"].startswith("sha256:")


def test_the_log_is_bounded() -> None:
    recorder = Recorder()
    for _ in range(1100):
        recorder.open("GET", "/", [], b"")
    ids = [record.id for record in recorder.requests()]
    assert ids == list(range(101, 1101))


def test_scripted_status(nim: EmulatorServer, http: httpx.Client, client: OpenAI) -> None:
    body = {"status": 429, "title": "Too Many Requests"}
    script(http, nim, {"status": 429, "body": body, "headers": {"Retry-After": "7"}})
    said: list[Any] = [{"role": "user", "content": "hi"}]
    with pytest.raises(RateLimitError) as caught:
        client.chat.completions.create(model=MODEL, messages=said)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.body == body
    assert nim.requests[-1].status == 429
    # Used once.
    assert client.chat.completions.create(model=MODEL, messages=said).choices


def test_scripts_choose_their_requests(nim: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    script(
        http,
        nim,
        {"path": "/v1/embeddings", "body": {"data": []}},
        {"match": "second", "body": "two"},
        {"body": "any"},
        {"path": "/v1/models", "status": 503},
    )
    assert chat(nim, "first").text == "any"
    assert "first" in content(chat(nim, "first"))
    answer = chat(nim, "the second one")
    assert (answer.text, answer.headers["content-type"]) == ("two", "text/plain")
    assert http.post(f"{nim.url}/v1/embeddings", json={}).json() == {"data": []}
    assert http.get(f"{nim.url}/v1/models").status_code == 503
    assert http.get(f"{nim.url}/v1/models").status_code == 200
    assert http.post(f"{nim.url}/v1/embeddings", json={}).status_code == 404


def test_scripts_can_be_dropped(nim: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    script(http, nim, {"status": 500})
    assert http.delete(f"{nim.url}/emulator/script").status_code == 204
    assert chat(nim).status_code == 200
    nim.script([Reply(status=500)])
    nim.clear()
    assert chat(nim).status_code == 200


def test_scripts_beat_keys_and_may_be_empty(http: httpx.Client) -> None:
    with EmulatorServer(api_key="k") as nim:
        nim.script([{"status": 202, "headers": {"NVCF-REQID": "1"}}])
        answer = http.post(f"{nim.url}/v1/chat/completions", json={})
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["nvcf-reqid"] == "1"


@pytest.mark.parametrize(
    "raw", [b"{", b"3", b'{"status": 200}', b'[{"status": 99}]', b'[{"nonsense": 1}]', b"\xff"]
)
def test_bad_scripts_are_refused(nim: EmulatorServer, http: httpx.Client, raw: bytes) -> None:
    answer = http.post(f"{nim.url}/emulator/script", content=raw)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_bad_scripts_in_process(nim: EmulatorServer, chat: Post) -> None:
    with pytest.raises(ValidationError):
        nim.script([{"status": 500}, {"close": "slowly"}])
    assert chat(nim).status_code == 200


def test_scripted_stream(nim: EmulatorServer, http: httpx.Client, client: OpenAI) -> None:
    sse = [{"raw": ": comment\n\n"}, CHUNK, "[DONE]"]
    script(http, nim, {"sse": sse, "chunk_delay_s": 0.02})
    said: list[Any] = [{"role": "user", "content": "hi"}]
    stream = client.chat.completions.create(model=MODEL, messages=said, stream=True)
    assert [chunk.choices[0].delta.content for chunk in stream] == ["scripted"]
    assert nim.requests[-1].streamed
    nim.script([{"sse": [{"error": {"message": "boom", "code": 500}}]}])
    stream = client.chat.completions.create(model=MODEL, messages=said, stream=True)
    with pytest.raises(APIError, match="boom"):
        next(iter(stream))


@pytest.mark.parametrize("reply", [{"sse": [CHUNK]}, {"body": "{"}, {"body": None}, {"sse": []}])
def test_abrupt_end(nim: EmulatorServer, chat: Post, reply: dict[str, Any]) -> None:
    nim.script([{**reply, "close": "abrupt"}])
    with pytest.raises(httpx.RemoteProtocolError):
        chat(nim)
    assert chat(nim).status_code == 200


def test_clean_end_without_done(nim: EmulatorServer, chat: Post) -> None:
    nim.script([{"sse": [CHUNK]}])
    text = chat(nim).text
    assert text.count("data: ") == 1
    assert text.endswith("\n\n")


def test_delay(nim: EmulatorServer, chat: Post) -> None:
    nim.script([{"delay_s": 0.15, "body": {}}])
    start = time.monotonic()
    assert chat(nim).json() == {}
    assert time.monotonic() - start >= 0.14


@pytest.mark.parametrize(
    "reply", [{"delay_s": 30, "body": {}}, {"sse": [CHUNK] * 9, "chunk_delay_s": 30}]
)
def test_going_away_from_a_scripted_reply(nim: EmulatorServer, reply: dict[str, Any]) -> None:
    nim.script([reply])
    with httpx.Client(timeout=0.2, trust_env=False) as http, pytest.raises(httpx.ReadTimeout):
        http.post(f"{nim.url}/v1/chat/completions", json={})
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if nim.requests and nim.requests[-1].disconnected:
            break
        time.sleep(0.01)
    assert nim.requests[-1].disconnected


def test_inspection_is_not_recorded(nim: EmulatorServer, http: httpx.Client, chat: Post) -> None:
    http.get(f"{nim.url}/emulator/requests")
    assert http.get(f"{nim.url}/emulator/nothing").status_code == 404
    assert nim.requests == []
    assert events(chat(nim, stream=True))
    assert len(nim.requests) == 1
