"""The errors that a caller gets, and the end of the request of a caller who leaves."""

import json
import time
from typing import Any

import openai
import pytest

from nim_emulator import EmulatorServer

from . import release
from .conftest import KEY, LLM, MODEL
from .test_chat import HELLO, chat

pytestmark = pytest.mark.server

CHAT = "/v1/chat/completions"
REFUSAL = {"object": "error", "message": "that is not possible", "type": "BadRequestError"}


def said(error: openai.APIError) -> str:
    """All that the caller is told: releases put it under different names."""
    body = error.response.text if isinstance(error, openai.APIStatusError) else ""
    return f"{error} {body}"


def status_for(code: int) -> int:
    """The status that a caller sees for a NIM's, by what the release can tell."""
    if release.ONE_OBJECT:
        return {402: 403, 410: 404, 422: 400, 500: 500, 503: 503, 404: release.NOT_FOUND}.get(
            code, code
        )
    known = {400: 400, 401: 401, 403: 403, 404: release.NOT_FOUND, 422: 400}
    return known.get(code, 500)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 429, 500, 503])
def test_the_status_of_a_refusal(client: openai.OpenAI, nim: EmulatorServer, code: int) -> None:
    nim.script([{"path": CHAT, "status": code, "body": {**REFUSAL, "code": code}}])
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client)
    assert caught.value.status_code == status_for(code)
    hidden = status_for(code) >= 500
    assert hidden or "that is not possible" in said(caught.value)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 503])
def test_the_status_of_a_refused_stream(
    client: openai.OpenAI, nim: EmulatorServer, code: int
) -> None:
    nim.script([{"path": CHAT, "status": code, "body": {**REFUSAL, "code": code}}])
    if release.STREAMS_HAVE_A_STATUS:
        with pytest.raises(openai.APIStatusError) as caught:
            chat(client, stream=True)
        assert caught.value.status_code == status_for(code)
        return
    # Older servers have said 200 by then, and send the error as the one event of the stream.
    with pytest.raises(openai.APIError) as told, chat(client, stream=True) as stream:
        list(stream)
    assert str(status_for(code)) in str(told.value)


def test_an_error_in_the_middle_of_a_stream(client: openai.OpenAI, nim: EmulatorServer) -> None:
    part = {"choices": [{"index": 0, "delta": {"content": "Half"}, "finish_reason": None}]}
    for broken in (
        {"sse": [part], "close": "abrupt"},
        {"sse": [part]},
        {"sse": [part, {"error": {"message": "out of memory", "code": 500}}]},
    ):
        nim.script([{"path": CHAT, **broken}])
        seen: list[Any] = []
        with chat(client, stream=True) as stream, pytest.raises(openai.APIError):
            read(stream, seen)
        assert [chunk.choices[0].delta.content for chunk in seen] == ["Half"]


def read(stream: Any, seen: list[Any]) -> None:
    for chunk in stream:
        seen.append(chunk)  # noqa: PERF402 (what came before an error is wanted too)


def test_a_model_that_nobody_knows(client: openai.OpenAI, nim: EmulatorServer) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert caught.value.status_code in (400, 404)
    assert nim.requests == []


def test_a_model_that_the_nim_does_not_serve(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="nvidia/meta/llama-ghost-instruct", messages=HELLO)
    assert caught.value.status_code == release.NOT_FOUND
    assert "llama-ghost-instruct" in said(caught.value)


def test_a_nim_that_is_down(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=f"down/{LLM}", messages=HELLO)
    assert caught.value.status_code in ((502,) if release.ONE_OBJECT else (500, 502))
    hidden = caught.value.status_code == 500
    assert hidden or "No connection to the NIM" in said(caught.value)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("key", "status"), [(KEY, 200), ("nvapi-wrong", 401), (None, 401), ("two words", 400)]
)
def test_a_request_brings_its_own_key(
    client: openai.OpenAI, key: str | None, status: int, streaming: bool
) -> None:
    data = {} if key is None else {"nvidia_api_key": key}
    ask: Any = client.with_options(
        default_headers={release.PROVIDER_DATA_HEADER: json.dumps(data)}
    ).chat.completions.create
    fields = {"model": f"guarded/{LLM}", "messages": HELLO, "stream": streaming}
    if status == 200:
        answer = ask(**fields)
        assert list(answer) if streaming else answer.choices[0].message.content
        return
    with pytest.raises(openai.APIError) as caught:
        _ = list(ask(**fields))
    text = said(caught.value)
    assert str(getattr(caught.value, "status_code", status)) == str(status)
    assert "key" in text
    assert str(key) not in text


def test_a_caller_who_leaves_stops_the_generation(
    client: openai.OpenAI, nim: EmulatorServer
) -> None:
    counting = [{"role": "user", "content": "count to 5000"}]
    stream = chat(client, counting, max_tokens=8000, stream=True)
    for _ in range(5):
        next(iter(stream))
    stream.close()
    wait_for_disconnect(nim)


def test_a_caller_of_a_completion_who_leaves_stops_it(
    client: openai.OpenAI, nim: EmulatorServer
) -> None:
    stream = client.completions.create(
        model=MODEL, prompt="count to 5000", max_tokens=8000, stream=True
    )
    for _ in range(5):
        next(iter(stream))
    stream.close()
    wait_for_disconnect(nim)


def wait_for_disconnect(nim: EmulatorServer) -> None:
    deadline = time.monotonic() + 10
    while not nim.requests[-1].disconnected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert nim.requests[-1].disconnected
