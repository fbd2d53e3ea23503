"""One configuration, whichever NIM answers."""

import asyncio
import logging
import re
import time
from functools import partial
from typing import Any

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.discovery import dialect_prober
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from . import own_api
from .conftest import MODEL

HELLO = "hello"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("emulated", "dialect", "carried"),
    [("nim1", "nim1", "nvext"), ("nim2", "nim2-vllm", "response_format")],
)
async def test_a_schema_is_carried_without_a_word_on_the_dialect(
    emulated: str, dialect: str, carried: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with EmulatorServer(dialect=emulated) as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        for _ in range(3):
            answer = await own_api.chat(adapter, MODEL, HELLO, schema=SCHEMA)
            assert own_api.text_of(answer).startswith("{")
        assert carried in nim.requests[-1].body
        assert (await adapter.endpoint.finding()).dialect == dialect
        asked = [request.path for request in nim.requests if request.method == "GET"]
        assert asked == ["/v1/models", "/v1/version"]
        await adapter.shutdown()
    assert f"speaks {dialect}" in caplog.text


async def test_the_configuration_overrides() -> None:
    with EmulatorServer(dialect="nim2") as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, dialect="generic"))
        await adapter.initialize()
        with pytest.raises(errors.InvalidRequestError, match="generic has no grammar"):
            await chat(adapter, guided_grammar="root ::= x")
        assert nim.requests == []
        await adapter.shutdown()


async def test_a_nim_that_comes_up_later_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dialect_prober, "_RETRY_SECONDS", 0.0)
    port = free_port()
    config = NVIDIAConfig(url=f"http://127.0.0.1:{port}", max_retries=0)
    adapter = NVIDIAInferenceAdapter(config)
    started = time.monotonic()
    await adapter.initialize()
    assert time.monotonic() - started < dialect_prober._RETRY_SECONDS + 5
    assert "does not say yet what it is" in caplog.text
    with pytest.raises(errors.NIMConnectionError):
        await own_api.chat(adapter, MODEL, HELLO)
    for emulated in ("nim1", "nim2"):  # and it may come back as another generation
        with EmulatorServer(dialect=emulated, port=port):
            await own_api.chat(adapter, MODEL, HELLO)
            assert str((await adapter.endpoint.finding()).dialect).startswith(emulated)
        with pytest.raises(errors.NIMConnectionError):
            await own_api.chat(adapter, MODEL, HELLO)
    await adapter.shutdown()


async def test_an_endpoint_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer() as nim:
        nim.script([{"path": "/v1/models", "body": {}, "delay_s": 30}])
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        started = time.monotonic()
        finding = await adapter.endpoint.finding()
        assert time.monotonic() - started < 5
        assert finding.dialect == "generic"
        # Others are not held up meanwhile, nor is the next request.
        assert (await adapter.endpoint.finding()) is finding
        await adapter.shutdown()


QUESTIONS = ("/v1/models", "/v1/version", "/openapi.json", "/health")
CHAT = "/v1/chat/completions"
SAID = [{"role": "user", "content": "hello"}]
REGEX = {"guided_regex": "(yes|no)"}
UNKNOWN_FIELD = "[{'type': 'extra_forbidden', 'msg': 'Extra inputs are not permitted'}]"


def refusals(answer: int | str) -> list[dict[str, Any]]:
    """The answer of a gateway to each question, in place of the NIM's: a status, or a page."""
    reply = {"body": answer} if isinstance(answer, str) else {"status": answer, "body": {}}
    headers = {"content-type": "text/html"} if isinstance(answer, str) else {}
    return [{"path": path, "headers": headers, **reply} for path in QUESTIONS]


def asked(nim: EmulatorServer) -> list[str]:
    return [request.path for request in nim.requests if request.method == "GET"]


async def chat(adapter: NVIDIAInferenceAdapter, **fields: Any) -> str:
    answer = await adapter.openai_chat_completion(model=MODEL, messages=SAID, **fields)
    return str(answer.choices[0].message.content)


async def chat_stream(adapter: NVIDIAInferenceAdapter, **fields: Any) -> str:
    stream = await adapter.openai_chat_completion(model=MODEL, messages=SAID, stream=True, **fields)
    deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
    return "".join(delta.content or "" for delta in deltas)


async def completion(adapter: NVIDIAInferenceAdapter, **fields: Any) -> str:
    answer = await adapter.openai_completion(model=MODEL, prompt="hello", **fields)
    return str(answer.choices[0].text)


async def completion_stream(adapter: NVIDIAInferenceAdapter, **fields: Any) -> str:
    stream = await adapter.openai_completion(model=MODEL, prompt="hello", stream=True, **fields)
    return "".join([choice.text async for chunk in stream for choice in chunk.choices])


async def own_schema(adapter: NVIDIAInferenceAdapter) -> str:
    """Text under a schema, in the API that the release has."""
    return own_api.text_of(await own_api.chat(adapter, MODEL, HELLO, schema=SCHEMA))


async def own_schema_stream(adapter: NVIDIAInferenceAdapter) -> str:
    stream = await own_api.chat(adapter, MODEL, HELLO, schema=SCHEMA, stream=True)
    return await own_api.text_of_stream(stream)


ROUTES = [
    pytest.param(partial(ask, **REGEX), "yes|no", id=ask.__name__)
    for ask in (chat, chat_stream, completion, completion_stream)
] + [pytest.param(ask, r"\{.*\}", id=ask.__name__) for ask in (own_schema, own_schema_stream)]
GATEWAY = [503, 502, 429, 401, 403, 404, 500, "<html>Sign in</html>"]


@pytest.mark.parametrize("answer", GATEWAY)
@pytest.mark.parametrize(("ask", "pattern"), ROUTES)
async def test_a_gateway_s_refusal_does_not_replace_what_is_known(
    answer: int | str, ask: Any, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect_prober, "_REMEMBER_SECONDS", 0.0)
    monkeypatch.setattr(dialect_prober, "_RETRY_SECONDS", 0.0)
    with EmulatorServer(dialect="nim1") as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        known = await adapter.endpoint.finding()
        nim.script(refusals(answer))
        assert re.fullmatch(pattern, await ask(adapter), re.DOTALL)
        assert "nvext" in nim.requests[-1].body
        assert "/openapi.json" in asked(nim)
        assert (await adapter.endpoint.finding()) == known
        await adapter.shutdown()


@pytest.mark.parametrize("answer", GATEWAY)
async def test_a_gateway_s_refusal_is_asked_again_in_seconds(
    answer: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect_prober, "_RETRY_SECONDS", 1.0)
    with EmulatorServer(dialect="nim1") as nim:
        nim.script(refusals(answer))
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        first = await adapter.endpoint.finding()
        assert (first.dialect, first.is_certain) == ("generic", False)
        await asyncio.sleep(1.1)
        assert await chat(adapter, **REGEX) in ("yes", "no")
        assert (await adapter.endpoint.finding()).dialect == "nim1"
        await adapter.shutdown()


async def test_a_gateway_that_never_answers_is_asked_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialect_prober, "_RETRY_SECONDS", 0.05)
    with EmulatorServer(dialect="nim2") as nim:
        nim.script(refusals(401) * 20)
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        started = time.monotonic()
        while time.monotonic() - started < 1.0:
            assert (await adapter.endpoint.finding()).dialect == "generic"
            await asyncio.sleep(0.01)
        # After 0.05, 0.1, 0.2 s, and then every 0.4 s.
        assert 3 <= asked(nim).count("/v1/models") <= 5
        await adapter.shutdown()


def answers(text: str) -> list[dict[str, Any]]:
    """The same text to a chat, whole and streamed."""
    choice = {"index": 0, "finish_reason": "stop"}
    said = {"role": "assistant", "content": text}
    whole = {"choices": [{**choice, "message": said}]}
    return [{"path": CHAT, "body": whole}]


SCHEMA_FIELDS = {"guided_json": {"type": "object", "required": ["name"]}}
GRAMMAR_FIELDS = {"guided_grammar": 'start: "yes"'}


@pytest.mark.parametrize("answer", GATEWAY)
@pytest.mark.parametrize(
    ("fields", "text", "code"),
    [
        (REGEX, "yes", None),
        (REGEX, "perhaps", "constraint_not_met"),
        (SCHEMA_FIELDS, '{"name": "x"}', None),
        (SCHEMA_FIELDS, '{"city": "x"}', "constraint_not_met"),
        (GRAMMAR_FIELDS, "no", "nim_changed"),
        ({}, "perhaps", None),
        ({"response_format": {"type": "text"}}, "perhaps", None),
    ],
)
async def test_a_nim_that_cannot_be_asked_is_not_trusted_to_obey(
    answer: int | str,
    fields: dict[str, Any],
    text: str,
    code: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialect_prober, "_CONFIRM_SECONDS", 0.0)
    with EmulatorServer(dialect="nim1") as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        nim.script([*refusals(answer), *answers(text)])
        if code is None:
            assert await chat(adapter, **fields) == text
        else:
            with pytest.raises(errors.ServerError) as caught:
                await chat(adapter, **fields)
            assert caught.value.code == code
        await adapter.shutdown()


async def test_a_stream_of_a_nim_that_cannot_be_asked_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialect_prober, "_CONFIRM_SECONDS", 0.0)
    choice = {"index": 0, "delta": {"content": "perhaps"}, "finish_reason": "stop"}
    with EmulatorServer(dialect="nim1") as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        nim.script([*refusals(503), {"path": CHAT, "sse": [{"choices": [choice]}, "[DONE]"]}])
        with pytest.raises(errors.ServerError, match="did not enforce the regex"):
            await chat_stream(adapter, **REGEX)
        await adapter.shutdown()


async def test_a_guess_refuses_nothing() -> None:
    """Fields that it takes are sent; for others the NIM is asked again, within the same request."""
    with EmulatorServer(dialect="nim2") as nim:
        nim.script(refusals(503))
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        assert not (await adapter.endpoint.finding()).is_certain
        assert await chat(adapter, top_k=3, min_p=0.1)
        assert nim.requests[-1].body["top_k"] == 3
        assert await chat(adapter, **REGEX) in ("yes", "no")
        assert nim.requests[-1].body["structured_outputs"] == {"regex": "(yes|no)"}
        await adapter.shutdown()


async def test_what_a_guess_cannot_carry_is_to_be_sent_again() -> None:
    with EmulatorServer(dialect="nim2") as nim:
        nim.script(refusals(503) * 3)
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
        with pytest.raises(errors.ServerError, match=r"structured_outputs\.regex") as caught:
            await chat(adapter, **REGEX)
        assert (caught.value.code, caught.value.status_code) == ("nim_not_ready", 503)
        assert [request.path for request in nim.requests if request.method == "POST"] == []
        await adapter.shutdown()


@pytest.mark.parametrize(("ask", "pattern"), ROUTES)
async def test_a_constraint_that_a_new_generation_ignores_is_an_error(
    ask: Any, pattern: str
) -> None:
    """NIM 2.x ignores ``nvext``, and answers with 200; the old connections are just gone."""
    port = free_port()
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=f"http://127.0.0.1:{port}"))
    with EmulatorServer(dialect="nim1", port=port) as nim:
        assert re.fullmatch(pattern, await ask(adapter), re.DOTALL)
        assert asked(nim) == ["/v1/models", "/v1/version"]
    with EmulatorServer(dialect="nim2", port=port) as nim:
        with pytest.raises(errors.ServerError, match="nim2-vllm in the place of nim1") as caught:
            await ask(adapter)
        assert caught.value.status_code == 503
        assert re.fullmatch(pattern, await ask(adapter), re.DOTALL)
        sent = nim.requests[-1].body
        assert sent.get("structured_outputs") == {"regex": "(yes|no)"} or "response_format" in sent
        assert asked(nim) == ["/v1/models", "/v1/version"]
    await adapter.shutdown()


async def test_an_old_generation_s_refusal_of_a_field_is_noticed() -> None:
    port = free_port()
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=f"http://127.0.0.1:{port}"))
    with EmulatorServer(dialect="nim2", port=port):
        assert await chat(adapter, **REGEX) in ("yes", "no")
    with EmulatorServer(dialect="nim1", port=port) as nim:
        with pytest.raises(errors.InvalidRequestError, match="Extra inputs"):
            await chat(adapter, **REGEX)
        assert await chat(adapter, **REGEX) in ("yes", "no")
        assert nim.requests[-1].body["nvext"] == {"guided_regex": "(yes|no)"}
    await adapter.shutdown()


async def test_a_nim_that_restarts_as_it_was_is_asked_and_trusted() -> None:
    port = free_port()
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=f"http://127.0.0.1:{port}"))
    for _ in range(2):
        with EmulatorServer(dialect="nim1", port=port) as nim:
            assert await chat(adapter) != ""
            for _ in range(3):
                assert await chat(adapter, **REGEX) in ("yes", "no")
            assert len(asked(nim)) == 2
    await adapter.shutdown()


async def test_another_server_header_is_noticed(nim: EmulatorServer) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
    body = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
    for version in ("1", "1", "2", "2"):
        nim.script([{"path": CHAT, "body": body, "headers": {"x-nim-version": version}}])
        await chat(adapter)
    assert asked(nim) == ["/v1/models", "/v1/version"] * 2
    posts = [request.path for request in nim.requests]
    assert posts.index("/v1/models", 1) == len(posts) - 3  # before the fourth
    await adapter.shutdown()


async def test_what_only_seems_not_to_fit_costs_few_questions(nim: EmulatorServer) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
    nim.script([{"path": CHAT, "status": 400, "body": {"message": UNKNOWN_FIELD}}] * 20)
    for _ in range(20):
        with pytest.raises(errors.InvalidRequestError):
            await chat(adapter)
    assert asked(nim).count("/v1/models") <= 3
    await adapter.shutdown()


async def test_the_configured_dialect_is_never_asked_for() -> None:
    port = free_port()
    config = NVIDIAConfig(url=f"http://127.0.0.1:{port}", dialect="nim1")
    adapter = NVIDIAInferenceAdapter(config)
    for _ in range(2):
        with EmulatorServer(dialect="nim1", port=port) as nim:
            assert await chat(adapter, **REGEX) in ("yes", "no")
            assert asked(nim) == []
    await adapter.shutdown()
