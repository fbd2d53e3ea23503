"""Streams: their frames, their pace, and what happens when the client goes away."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import OpenAI

from helpers import MODEL, Post, error, events
from nim_emulator import EmulatorServer

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def texts(chunks: list[dict[str, Any]], field: str) -> dict[int, str]:
    """Return the text of each choice."""
    found: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            part = choice["text"] if field == "text" else choice["delta"].get(field, "")
            found[choice["index"]] = found.get(choice["index"], "") + part
    return found


@QUICK
@given(
    prompt=st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable()),
    stop=st.lists(st.sampled_from(["e", "You", "a", ". ", "rote: ", "zzz", "wr"]), max_size=3),
    max_tokens=st.integers(1, 60),
    temperature=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 5),
)
def test_streamed_equals_unstreamed(
    nim: EmulatorServer, chat: Post, complete: Post, **fields: Any
) -> None:
    prompt = fields.pop("prompt")
    for post, field in ((chat, "content"), (complete, "text")):
        whole = post(nim, prompt, **fields).json()
        options = {"stream": True, "stream_options": {"include_usage": True}}
        *chunks, usage = events(post(nim, prompt, **options, **fields))
        choice = whole["choices"][0]
        text = choice["text"] if field == "text" else choice["message"]["content"]
        assert texts(chunks, field) == {0: text}
        last = chunks[-1]["choices"][0]
        assert last["finish_reason"] == choice["finish_reason"]
        assert last["stop_reason"] == choice["stop_reason"]
        assert usage["choices"] == []
        assert usage["usage"] == {key: whole["usage"][key] for key in usage["usage"]}
        assert not any(word in text for word in fields["stop"])


def test_frames_of_a_chat(nim: EmulatorServer, chat: Post) -> None:
    first, *rest, last = events(chat(nim, "count to 4", stream=True))
    nim2 = nim.settings.dialect == "nim2"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [chunk["choices"][0]["delta"] for chunk in rest]
    assert deltas == [{"content": text} for text in ("1", " 2", " 3", " 4")]
    end = last["choices"][0]
    assert (end["delta"], end["finish_reason"]) == ({}, "stop")
    chunks = [first, *rest, last]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert not any("usage" in chunk for chunk in chunks)
    assert ("system_fingerprint" in last) == nim2
    assert all(("token_ids" in chunk["choices"][0]) == nim2 for chunk in rest)


def test_a_cut_stream_ends_with_its_last_text_on_nim2(
    nim1: EmulatorServer, nim2: EmulatorServer, chat: Post
) -> None:
    for nim, delta in ((nim1, {}), (nim2, {"content": " 3"})):
        end = events(chat(nim, "count to 9", stream=True, max_tokens=3))[-1]["choices"][0]
        assert (end["delta"], end["finish_reason"]) == (delta, "length")
    end = events(chat(nim2, "count to 9", stream=True, stop=["4"]))[-1]["choices"][0]
    assert (end["delta"], end["stop_reason"]) == ({"content": " "}, "4")


def test_several_choices_take_turns(nim: EmulatorServer, chat: Post) -> None:
    whole = chat(nim, n=3, seed=1).json()["choices"]
    chunks = events(chat(nim, n=3, seed=1, stream=True))
    expected = {choice["index"]: choice["message"]["content"] for choice in whole}
    assert texts(chunks, "content") == expected
    assert [chunk["choices"][0]["index"] for chunk in chunks[:6]] == [0, 1, 2, 0, 1, 2]
    assert chunks[4]["choices"][0]["delta"]["content"]


def test_echo(nim2: EmulatorServer, complete: Post) -> None:
    chunks = events(complete(nim2, "Say this", echo=True, stream=True))
    assert chunks[0]["choices"][0]["text"] == "Say this"
    whole = complete(nim2, "Say this", echo=True).json()["choices"][0]["text"]
    assert texts(chunks, "text") == {0: whole}


def test_continuous_usage(nim: EmulatorServer, chat: Post) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = events(chat(nim, "count to 3", stream=True, stream_options=options))
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == [0, 1, 2, 3, 3, 3]


def test_thinking_comes_first(nim2: EmulatorServer, chat: Post) -> None:
    fields = {"reasoning_effort": "high"}
    said = chat(nim2, **fields).json()["choices"][0]["message"]
    chunks = events(chat(nim2, stream=True, **fields))
    assert texts(chunks, "reasoning") == {0: said["reasoning"]}
    assert texts(chunks, "content") == {0: said["content"]}
    kinds = ["reasoning" in chunk["choices"][0]["delta"] for chunk in chunks[1:-1]]
    assert kinds == sorted(kinds, reverse=True)


def test_openai_client_reads_streams(nim: EmulatorServer, client: OpenAI) -> None:
    said: list[Any] = [{"role": "user", "content": "count to 50"}]
    with client.chat.completions.create(model=MODEL, messages=said, stream=True) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == " ".join(map(str, range(1, 51)))


def test_text_that_looks_like_the_pattern(http: httpx.Client) -> None:
    name = '"content":"\0"'
    with EmulatorServer(models=[name]) as nim:
        body = {"model": name, "messages": [{"role": "user", "content": "count to 2"}]}
        answer = http.post(f"{nim.url}/v1/chat/completions", json={**body, "stream": True})
    chunks = events(answer)
    assert texts(chunks, "content") == {0: "1 2"}
    assert {chunk["model"] for chunk in chunks} == {name}


def test_rate(nim: EmulatorServer, chat: Post) -> None:
    start = time.monotonic()
    headers = {"x-emulator-tokens-per-second": "100"}
    assert len(events(chat(nim, "count to 30", stream=True, headers=headers))) == 32
    assert 0.27 < time.monotonic() - start < 3


@pytest.mark.parametrize("rate", ["fast", "0", "-1", "inf", "nan"])
def test_bad_rates_are_refused(nim: EmulatorServer, chat: Post, rate: str) -> None:
    answer = chat(nim, stream=True, headers={"x-emulator-tokens-per-second": rate})
    assert answer.status_code == 400
    assert "x-emulator-tokens-per-second" in error(answer)["message"]


def test_frames_per_write_and_server_rate(chat: Post) -> None:
    with EmulatorServer(frames_per_write=50) as nim:
        assert len(events(chat(nim, "count to 120", stream=True))) == 122
    with EmulatorServer(tokens_per_second=500) as nim:
        assert len(events(chat(nim, "count to 10", stream=True))) == 12


def test_speed(nim2: EmulatorServer, http: httpx.Client) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "count to 8000"}],
        "stream": True,
    }
    start = time.monotonic()
    assert len(http.post(f"{nim2.url}/v1/chat/completions", json=body).content) > 8000 * 100
    # Thousands per second on an idle machine; the limit leaves room for a busy one.
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("rate", [None, "200"])
def test_a_client_that_goes_away_stops_the_stream(nim: EmulatorServer, rate: str | None) -> None:
    headers = {} if rate is None else {"x-emulator-tokens-per-second": rate}
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "count to 8000"}],
        "stream": True,
        # Too much for the buffers of the sockets, however late the client leaves.
        "n": 16,
    }
    url = f"{nim.url}/v1/chat/completions"
    with (
        httpx.Client(trust_env=False) as http,
        http.stream("POST", url, json=body, headers=headers) as answer,
    ):
        lines = answer.iter_lines()
        for _ in range(100):  # the first 32 are the roles and their blank lines
            next(lines)
    deadline = time.monotonic() + 5
    while not nim.requests[-1].disconnected and time.monotonic() < deadline:
        time.sleep(0.01)
    record = nim.requests[-1]
    assert record.disconnected
    assert record.streamed
    sent = record.tokens_sent
    assert 0 < sent < 16 * 8000
    time.sleep(0.05)
    assert nim.requests[-1].tokens_sent == sent


def test_a_complete_stream_is_recorded(nim: EmulatorServer, chat: Post) -> None:
    chat(nim, "count to 25", stream=True)
    record = nim.requests[-1]
    assert (record.status, record.streamed, record.disconnected) == (200, True, False)
    assert record.tokens_sent == 25
