"""The log has one record for each request to a NIM, with all that is known of it."""

import asyncio
import contextlib
import importlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors, telemetry
from llama_stack_provider_nvidia.nim.discovery import dialect_prober
from llama_stack_provider_nvidia.nim.telemetry.request_log import LOGGER
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from .conftest import MODEL
from .observed import Log, fields

CHAT = "/v1/chat/completions"
SECRET = "nvapi-very-secret"
PROMPT = "the prompt of a test"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
SAID = [{"role": "user", "content": PROMPT}]
SOON = {"retry-after": "0"}
CONSTRAINED = {"model": MODEL, "messages": SAID, "guided_regex": "(yes|no)"}

Ask = Callable[[NVIDIAInferenceAdapter], Awaitable[Any]]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    # Llama Stack sets the level of each logger that exists when it is imported.
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "llama_stack_provider_nvidia":
            caplog.set_level(logging.DEBUG, logger=name)
    return Log(caplog)


@contextlib.asynccontextmanager
async def adapter_for(nim: EmulatorServer, **keys: Any) -> AsyncIterator[NVIDIAInferenceAdapter]:
    made = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, **{"max_retries": 0, **keys}))
    await made.initialize()
    yield made
    await made.shutdown()


async def read(stream: Any) -> list[Any]:
    return [item async for item in stream]


async def read_of(asking: Awaitable[Any]) -> list[Any]:
    return await read(await asking)


async def native(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.chat_completion(MODEL, [stack.UserMessage(content=PROMPT)])


async def native_stream(adapter: NVIDIAInferenceAdapter) -> Any:
    messages = [stack.UserMessage(content=PROMPT)]
    return await read(await adapter.chat_completion(MODEL, messages, stream=True))


async def openai(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.openai_chat_completion(model=MODEL, messages=SAID)


async def openai_stream(adapter: NVIDIAInferenceAdapter) -> Any:
    counted = {"stream_options": {"include_usage": True}}
    request = {"model": MODEL, "messages": SAID, "stream": True, **counted}
    return await read(await adapter.openai_chat_completion(**request))


async def native_completion(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.completion(MODEL, PROMPT)


async def native_completion_stream(adapter: NVIDIAInferenceAdapter) -> Any:
    return await read(await adapter.completion(MODEL, PROMPT, stream=True))


CHATS: list[Ask] = [native, native_stream, openai, openai_stream]
COMPLETIONS: list[Ask] = [native_completion, native_completion_stream]
# Those that the release has.
POSSIBLE = [
    ask for ask in (*CHATS, *COMPLETIONS) if stack.NATIVE or not ask.__name__.startswith("native")
]


@pytest.mark.parametrize("ask", [*CHATS, *COMPLETIONS])
async def test_a_request_is_one_record(nim: EmulatorServer, log: Log, ask: Ask) -> None:
    async with adapter_for(nim) as adapter:
        await ask(adapter)
    seen = log.only()
    assert seen["operation"] == ("completion" if ask in COMPLETIONS else "chat")
    assert seen["model"] == MODEL
    assert seen["endpoint"] == f"{nim.url}/v1"
    assert seen["dialect"] == "nim2-vllm"
    assert (seen["outcome"], seen["status"], seen["error"], seen["tries"]) == ("ok", 200, None, 1)
    assert seen["finish_reason"] == ("length" if ask in COMPLETIONS else "stop")
    assert seen["request_id"].startswith(("chatcmpl-", "cmpl-"))
    assert seen["duration_s"] > 0
    assert seen["stream"] is ask.__name__.endswith("stream")
    if seen["stream"]:
        assert 0 < seen["first_token_s"] <= seen["duration_s"]
    else:
        assert seen["first_token_s"] is None
    if not seen["stream"] or ask is openai_stream:
        assert seen["prompt_tokens"] > 0
        assert seen["completion_tokens"] > 0
    assert seen["level"] == "INFO"
    assert f"{MODEL} at {nim.url}/v1 (nim2-vllm): answered after" in seen["text"]
    assert seen["request_id"] in seen["text"]
    assert "[" not in seen["text"]


async def test_several_answers_have_several_reasons(nim: EmulatorServer, log: Log) -> None:
    def choice(index: int, reason: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": "a"}
        return {"index": index, "message": message, "finish_reason": reason}

    nim.script([{"path": CHAT, "body": {"choices": [choice(0, "stop"), choice(1, "length")]}}])
    async with adapter_for(nim) as adapter:
        await adapter.openai_chat_completion(model=MODEL, messages=SAID, n=2)
    seen = log.only()
    assert seen["finish_reason"] == "stop,length"
    assert (seen["prompt_tokens"], seen["completion_tokens"]) == (None, None)
    assert seen["request_id"] is None


@pytest.mark.parametrize("ask", CHATS)
async def test_attempts_are_counted(nim: EmulatorServer, log: Log, ask: Ask) -> None:
    async with adapter_for(nim, max_retries=2) as adapter:
        nim.script([{"path": CHAT, "status": 503, "headers": SOON}] * 2)
        await ask(adapter)
    seen = log.only()
    assert (seen["tries"], seen["status"], seen["outcome"]) == (3, 200, "ok")
    assert "3 attempts" in seen["text"]


@pytest.mark.parametrize("ask", CHATS)
async def test_a_refusal_is_a_warning(nim: EmulatorServer, log: Log, ask: Ask) -> None:
    refusal = {"path": CHAT, "status": 429, "body": {"message": PROMPT}}
    async with adapter_for(nim, max_retries=1) as adapter:
        nim.script([{**refusal, "headers": {**SOON, "nvcf-reqid": "id-of-nvcf"}}] * 2)
        with pytest.raises(errors.RateLimitError):
            await ask(adapter)
    seen = log.only()
    assert (seen["level"], seen["outcome"], seen["error"]) == (
        "WARNING",
        "failed",
        "RateLimitError",
    )
    assert (seen["status"], seen["tries"], seen["request_id"]) == (429, 2, "id-of-nvcf")
    assert seen["error_code"] == "rate_limit_exceeded"
    assert seen["text"].endswith(
        "RateLimitError, code rate_limit_exceeded, status 429, 2 attempts, request id id-of-nvcf"
    )


@pytest.mark.parametrize("ask", CHATS)
async def test_a_nim_that_is_down(log: Log, ask: Ask) -> None:
    adapter = NVIDIAInferenceAdapter(
        NVIDIAConfig(url=f"http://127.0.0.1:{free_port()}", max_retries=0)
    )
    with pytest.raises(errors.NIMConnectionError):
        await ask(adapter)
    await adapter.shutdown()
    seen = log.only()
    assert (seen["outcome"], seen["error"]) == ("failed", "NIMConnectionError")
    assert (seen["status"], seen["request_id"]) == (None, None)


@pytest.mark.parametrize("ask", [native_stream, openai_stream])
async def test_a_stream_that_breaks(nim: EmulatorServer, log: Log, ask: Ask) -> None:
    async with adapter_for(nim) as adapter:
        nim.faults(["cut:how=reset"])
        with pytest.raises(errors.NIMConnectionError):
            await ask(adapter)
    seen = log.only()
    assert (seen["outcome"], seen["error"]) == ("failed", "NIMConnectionError")
    assert (seen["status"], seen["finish_reason"]) == (200, None)
    assert seen["first_token_s"] is not None


@pytest.mark.parametrize("ask", CHATS)
async def test_an_error_in_the_place_of_an_answer(nim: EmulatorServer, log: Log, ask: Ask) -> None:
    report = {"error": {"message": PROMPT, "code": 400}}
    async with adapter_for(nim) as adapter:
        is_stream = ask.__name__.endswith("stream")
        nim.script([{"path": CHAT, **({"sse": [report]} if is_stream else {"body": report})}])
        with pytest.raises(errors.InvalidRequestError):
            await ask(adapter)
    seen = log.only()
    assert (seen["outcome"], seen["error"]) == ("failed", "InvalidRequestError")
    assert seen["status"] == 200


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_breaks_its_constraint_has_failed(
    nim: EmulatorServer, log: Log, streamed: bool
) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "integer"}}}
    part = {"content": "no number"}
    choice = {"index": 0, "finish_reason": "stop"}
    whole = {"choices": [{**choice, "message": {"role": "assistant", **part}}]}
    chunk = {"choices": [{**choice, "delta": part}]}
    async with adapter_for(nim, structured_output="validate") as adapter:
        nim.script(
            [{"path": CHAT, **({"sse": [chunk, "[DONE]"]} if streamed else {"body": whole})}]
        )
        request = {"model": MODEL, "messages": SAID, "response_format": wanted}
        asking = adapter.openai_chat_completion(**request, stream=streamed)
        with pytest.raises(errors.ServerError):
            await (read_of(asking) if streamed else asking)
    seen = log.only()
    assert (seen["outcome"], seen["error"], seen["finish_reason"]) == (
        "failed",
        "ServerError",
        "stop",
    )


def endless(nim: EmulatorServer) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
    nim.script([{"path": CHAT, "sse": [chunk] * 500, "chunk_delay_s": 0.05}])


async def until(happened: Callable[[], Any]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not happened in time")


async def ended(log: Log) -> dict[str, Any]:
    await until(lambda: log.records)
    return log.only()


async def begin(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.openai_chat_completion(model=MODEL, messages=SAID, stream=True)


async def test_a_reader_that_goes_away(nim: EmulatorServer, log: Log) -> None:
    async with adapter_for(nim) as adapter:
        endless(nim)
        stream = await begin(adapter)
        await anext(stream)
        assert log.records == []
        await stream.aclose()
        seen = log.only()
    assert (seen["outcome"], seen["error"], seen["level"]) == ("left", None, "INFO")
    assert seen["first_token_s"] is not None
    assert "left by the caller after" in seen["text"]


async def test_a_stream_that_is_dropped_before_its_first_item(
    nim: EmulatorServer, log: Log
) -> None:
    async with adapter_for(nim) as adapter:
        endless(nim)
        stream = await begin(adapter)
        del stream
        seen = await ended(log)
    assert (seen["outcome"], seen["first_token_s"]) == ("left", None)


async def test_a_caller_that_does_not_wait_for_the_answer(nim: EmulatorServer, log: Log) -> None:
    async with adapter_for(nim) as adapter:
        nim.script([{"path": CHAT, "body": {}, "delay_s": 30}])
        waiting = asyncio.create_task(openai(adapter))
        await until(lambda: any(request.path == CHAT for request in nim.requests))
        waiting.cancel()
        seen = await ended(log)
    assert (seen["outcome"], seen["status"]) == ("left", None)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_does_not_wait_until_the_nim_is_known(
    nim: EmulatorServer, log: Log, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect_prober, "_CONFIRM_SECONDS", 0.0)
    async with adapter_for(nim) as adapter:
        nim.script([{"path": "/v1/models", "body": {}, "delay_s": 30}])
        asking = adapter.openai_chat_completion(**CONSTRAINED, stream=stream)
        waiting = asyncio.create_task(asking)
        await until(lambda: nim.requests[-1].path == "/v1/models")
        waiting.cancel()
        seen = await ended(log)
    assert (seen["outcome"], seen["status"]) == ("left", 200)


async def test_a_reader_that_has_seen_the_end_has_not_left(nim: EmulatorServer, log: Log) -> None:
    async with adapter_for(nim) as adapter:
        stream = await begin(adapter)
        async for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
        await stream.aclose()
    assert log.only()["outcome"] == "ok"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_of_another_nim_is_a_failure(log: Log, stream: bool) -> None:
    port = free_port()
    with EmulatorServer("nim1", port=port) as nim:
        adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
        await adapter.initialize()
    with EmulatorServer("nim2", port=port):
        with pytest.raises(errors.ServerError, match="in the place of nim1"):
            await adapter.openai_chat_completion(**CONSTRAINED, stream=stream)
        seen = log.only()
        await adapter.shutdown()
    assert (seen["outcome"], seen["error_code"], seen["status"]) == ("failed", "nim_changed", 200)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_cannot_be_trusted_is_a_failure(
    log: Log, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect_prober, "_CONFIRM_SECONDS", 0.0)
    grammar = {"model": MODEL, "messages": SAID, "guided_grammar": 'start: "yes"'}
    with EmulatorServer("nim1") as nim:
        async with adapter_for(nim) as adapter:
            nim.script(
                [
                    {"path": path, "status": 503, "body": {}}
                    for path in ("/v1/models", "/v1/version", "/openapi.json", "/health")
                ]
            )
            with pytest.raises(errors.ServerError, match="did not say whether"):
                await adapter.openai_chat_completion(**grammar, stream=stream)
            seen = log.only()
    assert (seen["outcome"], seen["error_code"], seen["status"]) == ("failed", "nim_changed", 200)


async def test_what_is_refused_unsent_is_no_request(nim: EmulatorServer, log: Log) -> None:
    async with adapter_for(nim) as adapter:
        with pytest.raises(errors.InvalidRequestError):
            await adapter.openai_chat_completion(model="", messages=SAID)
    assert log.records == []


@pytest.mark.parametrize(("dialect", "in_headers"), [("hosted", True), ("dynamo", False)])
async def test_the_id_in_the_headers_goes_before_the_answer_s(
    log: Log, dialect: str, in_headers: bool
) -> None:
    with EmulatorServer(dialect=dialect) as nim:
        async with adapter_for(nim, api_key=SECRET) as adapter:
            model = (await adapter.endpoint.catalogue.models())[0].id
            await adapter.openai_chat_completion(model=model, messages=SAID)
    seen = log.only()
    assert seen["dialect"] == dialect
    assert seen["request_id"].startswith("chatcmpl-") is not in_headers


async def test_an_answer_that_was_not_ready_keeps_its_first_id(log: Log) -> None:
    with EmulatorServer(dialect="hosted", models=["meta/llama-slow-start"]) as nim:
        async with adapter_for(nim, api_key=SECRET) as adapter:
            await adapter.openai_chat_completion(model="meta/llama-slow-start", messages=SAID)
        polled = [one.path for one in nim.requests if "/pexec/status/" in one.path]
    seen = log.only()
    assert polled[0].endswith(f"/{seen['request_id']}")
    assert (seen["status"], seen["outcome"]) == (200, "ok")


@pytest.fixture(scope="module")
def retriever() -> Any:
    with EmulatorServer("retriever", [EMBEDDER, RERANKER]) as nim:
        yield nim


async def test_each_portion_of_embeddings_is_a_record(retriever: EmulatorServer, log: Log) -> None:
    async with adapter_for(retriever, embedding_batch_size=2) as adapter:
        await adapter.openai_embeddings(model=EMBEDDER, input=[PROMPT] * 3)
    both = [fields(record) for record in log.records]
    assert [one["operation"] for one in both] == ["embeddings"] * 2
    assert all(one["prompt_tokens"] > 0 for one in both)
    assert all(one["completion_tokens"] is None for one in both)
    assert {one["outcome"] for one in both} == {"ok"}


async def test_reranking_is_a_record(retriever: EmulatorServer, log: Log) -> None:
    async with adapter_for(retriever) as adapter:
        await adapter.rerank(model=RERANKER, query=PROMPT, items=[PROMPT, "another"])
    seen = log.only()
    assert (seen["operation"], seen["model"], seen["outcome"]) == ("rerank", RERANKER, "ok")


async def test_no_key_and_no_prompt_is_in_any_record(
    nim: EmulatorServer, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="llama_stack_provider_nvidia")
    refusal = {"status": 400, "body": {"message": f"{PROMPT} of {SECRET}"}}
    async with adapter_for(nim, api_key=SECRET) as adapter:
        for ask in POSSIBLE:
            nim.script([refusal])
            with pytest.raises(errors.NIMError):
                await ask(adapter)
            await ask(adapter)
    assert len(log.records) == 2 * len(POSSIBLE)
    for record in caplog.records:
        if record.name.startswith("llama_stack_provider_nvidia"):
            written = f"{record.getMessage()} {vars(record)}"
            assert SECRET not in written
            assert PROMPT not in written


async def test_a_logger_that_is_switched_off_is_silent(
    nim: EmulatorServer, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    async with adapter_for(nim) as adapter:
        caplog.set_level(logging.WARNING, logger=LOGGER)
        await openai(adapter)
        assert log.records == []
        caplog.set_level(logging.CRITICAL, logger=LOGGER)
        nim.script([{"path": CHAT, "status": 400}])
        with pytest.raises(errors.InvalidRequestError):
            await openai(adapter)
    assert log.records == []


async def test_without_opentelemetry_there_is_the_log(
    nim: EmulatorServer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for name in ("metrics", "tracing"):
            patch.delitem(sys.modules, f"{telemetry.__name__}.{name}")
            patch.delattr(telemetry, name)
        for name in [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]:
            patch.setitem(sys.modules, name, None)
        importlib.reload(telemetry)
        assert not telemetry.TELEMETRY
        async with adapter_for(nim) as adapter:
            await openai(adapter)
    importlib.reload(telemetry)
    assert telemetry.TELEMETRY
    assert log.only()["outcome"] == "ok"
