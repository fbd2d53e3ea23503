"""Spans and metrics of OpenTelemetry, as an SDK in this process records them."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags

from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer, RecordedRequest

from .conftest import MODEL
from .observed import Telemetry, telemetry_of_this_process
from .test_request_log import (
    CHAT,
    CHATS,
    COMPLETIONS,
    EMBEDDER,
    POSSIBLE,
    PROMPT,
    RERANKER,
    SAID,
    SECRET,
    SOON,
    Ask,
    adapter_for,
    begin,
    endless,
    openai,
    openai_stream,
)
from .test_request_log import retriever as retriever

DURATION = "gen_ai.client.operation.duration"
FIRST = "gen_ai.client.operation.time_to_first_chunk"
SAMPLED = TraceFlags.SAMPLED
TOKENS = "gen_ai.client.token.usage"


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with telemetry_of_this_process() as made:
        yield made


def asked(nim: EmulatorServer) -> RecordedRequest:
    (found,) = (request for request in nim.requests if request.path == CHAT)
    return found


@pytest.mark.parametrize("ask", [*CHATS, *COMPLETIONS])
async def test_a_request_is_one_span(nim: EmulatorServer, telemetry: Telemetry, ask: Ask) -> None:
    async with adapter_for(nim) as adapter:
        await ask(adapter)
    span = telemetry.only()
    operation = "text_completion" if ask in COMPLETIONS else "chat"
    is_stream = ask.__name__.endswith("stream")
    assert span.name == f"{operation} {MODEL}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope.name == "llama_stack_provider_nvidia"
    seen = dict(span.attributes)
    host, port = nim.url.removeprefix("http://").split(":")
    assert seen["gen_ai.operation.name"] == operation
    assert seen["gen_ai.provider.name"] == "nvidia"
    assert seen["gen_ai.request.model"] == seen["gen_ai.response.model"] == MODEL
    assert (seen["server.address"], seen["server.port"]) == (host, int(port))
    assert seen["gen_ai.response.id"] == seen["nvidia.nim.request_id"]
    assert seen["gen_ai.response.finish_reasons"] == (
        ("length",) if ask in COMPLETIONS else ("stop",)
    )
    assert seen["http.response.status_code"] == 200
    assert seen["nvidia.nim.dialect"] == "nim2-vllm"
    assert ("gen_ai.request.stream" in seen) is is_stream
    assert ("gen_ai.response.time_to_first_chunk" in seen) is is_stream
    assert "error.type" not in seen
    if not is_stream or ask is openai_stream:
        assert seen["gen_ai.usage.input_tokens"] > 0
        assert seen["gen_ai.usage.output_tokens"] > 0


async def test_the_parameters_of_a_request(nim: EmulatorServer, telemetry: Telemetry) -> None:
    wanted = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 5,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "seed": 7,
        "n": 2,
    }
    async with adapter_for(nim) as adapter:
        await adapter.openai_chat_completion(model=MODEL, messages=SAID, stop=[PROMPT], **wanted)
    seen = telemetry.only().attributes
    wanted["choice.count"] = wanted.pop("n")
    assert {name: seen[f"gen_ai.request.{name}"] for name in wanted} == wanted
    assert "gen_ai.request.stop_sequences" not in seen


async def test_what_nim1_takes_in_nvext(telemetry: Telemetry) -> None:
    with EmulatorServer("nim1") as nim:
        async with adapter_for(nim) as adapter:
            body = {"model": MODEL, "messages": SAID, "top_k": 5, "stream": True}
            response = await adapter.endpoint.send(await adapter.endpoint.plan(body), key=None)
            await response.aclose()
        assert asked(nim).body["nvext"] == {"top_k": 5}
    assert telemetry.only().attributes["gen_ai.request.top_k"] == 5


async def test_the_nim_is_told_the_trace(nim: EmulatorServer, telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("test")
    with tracer.start_as_current_span("server"):
        async with adapter_for(nim) as adapter:
            await openai_stream(adapter)
    span, server = telemetry.spans
    assert span.parent.span_id == server.context.span_id
    sent = asked(nim).headers["traceparent"]
    version, trace_id, span_id, flags = sent.split("-")
    assert version == "00"
    assert int(trace_id, 16) == span.context.trace_id
    assert int(span_id, 16) == span.context.span_id
    assert int(flags, 16) & SAMPLED


async def test_other_instrumentation_finds_the_span_while_it_is_sent(
    nim: EmulatorServer, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    current: list[Any] = []

    def note(_: logging.LogRecord) -> bool:
        current.append(trace.get_current_span().get_span_context())
        return True

    async with adapter_for(nim) as adapter:
        caplog.set_level(logging.INFO, logger="httpx")  # which logs each request when it is sent
        caplog.handler.addFilter(note)
        await openai(adapter)
        caplog.handler.removeFilter(note)
        assert not trace.get_current_span().get_span_context().is_valid
    assert telemetry.only().context in current


async def test_each_of_many_has_its_own_parent(nim: EmulatorServer, telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("test")
    async with adapter_for(nim) as adapter:

        async def one(number: int) -> None:
            with tracer.start_as_current_span(f"server {number}"):
                await openai_stream(adapter)
                assert trace.get_current_span().name == f"server {number}"

        await asyncio.gather(*(one(number) for number in range(8)))
    parents = {span.context.span_id for span in telemetry.spans if span.parent is None}
    children = [span.parent.span_id for span in telemetry.spans if span.parent is not None]
    assert len(children) == 8
    assert set(children) == parents


async def test_what_is_not_sampled_is_not_recorded(
    nim: EmulatorServer, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    async with adapter_for(nim) as adapter:
        await openai(adapter)
    assert telemetry.spans == ()
    assert not int(asked(nim).headers["traceparent"].split("-")[3], 16) & SAMPLED


async def test_nothing_is_sent_where_nobody_traces(nim: EmulatorServer) -> None:
    async with adapter_for(nim) as adapter:
        await openai(adapter)
    assert "traceparent" not in asked(nim).headers


@pytest.mark.parametrize("ask", CHATS)
async def test_a_refusal_is_an_error(nim: EmulatorServer, telemetry: Telemetry, ask: Ask) -> None:
    async with adapter_for(nim, max_retries=1) as adapter:
        nim.script([{"path": CHAT, "status": 429, "headers": SOON}] * 2)
        with pytest.raises(errors.RateLimitError):
            await ask(adapter)
    span = telemetry.only()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "RateLimitError"
    assert span.attributes["http.response.status_code"] == 429
    assert span.attributes["http.request.resend_count"] == 1
    (point,) = telemetry.points(DURATION)
    assert point.attributes["error.type"] == "RateLimitError"
    assert telemetry.points(TOKENS) == telemetry.points(FIRST) == []


async def test_a_stream_that_breaks(nim: EmulatorServer, telemetry: Telemetry) -> None:
    async with adapter_for(nim) as adapter:
        nim.faults(["cut:how=reset"])
        with pytest.raises(errors.NIMConnectionError):
            await openai_stream(adapter)
    span = telemetry.only()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "NIMConnectionError"
    assert "gen_ai.response.time_to_first_chunk" in span.attributes


async def test_a_reader_that_goes_away_is_no_error(
    nim: EmulatorServer, telemetry: Telemetry
) -> None:
    async with adapter_for(nim) as adapter:
        endless(nim)
        stream = await begin(adapter)
        await anext(stream)
        assert telemetry.spans == ()
        await stream.aclose()
    span = telemetry.only()
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["error.type"] == "cancelled"


async def test_what_is_measured(nim: EmulatorServer, telemetry: Telemetry) -> None:
    async with adapter_for(nim) as adapter:
        for ask in (openai, openai_stream, openai_stream):
            await ask(adapter)
    host, port = nim.url.removeprefix("http://").split(":")
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "nvidia",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "server.address": host,
        "server.port": int(port),
    }
    (duration,) = telemetry.points(DURATION)
    assert duration.count == 3
    assert duration.sum > 0
    assert duration.attributes == common
    assert (duration.explicit_bounds[0], duration.explicit_bounds[-1]) == (0.01, 81.92)
    (first,) = telemetry.points(FIRST)
    assert first.count == 2
    assert first.attributes == common
    assert first.explicit_bounds == duration.explicit_bounds
    tokens = {point.attributes["gen_ai.token.type"]: point for point in telemetry.points(TOKENS)}
    assert set(tokens) == {"input", "output"}
    for point in tokens.values():
        assert point.count == 3
        assert point.sum > 0
        assert point.explicit_bounds == (*(4**power for power in range(14)),)


async def test_embeddings_and_reranking(retriever: EmulatorServer, telemetry: Telemetry) -> None:
    async with adapter_for(retriever) as adapter:
        await adapter.openai_embeddings(model=EMBEDDER, input=[PROMPT])
        await adapter.rerank(model=RERANKER, query=PROMPT, items=[PROMPT, "another"])
    embeddings, *_, rerank = telemetry.spans
    assert embeddings.name == f"embeddings {EMBEDDER}"
    assert embeddings.attributes["gen_ai.operation.name"] == "embeddings"
    assert embeddings.attributes["gen_ai.request.encoding_formats"] == ("float",)
    assert embeddings.attributes["gen_ai.usage.input_tokens"] > 0
    assert "gen_ai.usage.output_tokens" not in embeddings.attributes
    assert rerank.name == f"rerank {RERANKER}"
    assert rerank.attributes["gen_ai.operation.name"] == "rerank"
    operations = {point.attributes["gen_ai.operation.name"] for point in telemetry.points(DURATION)}
    assert operations == {"embeddings", "rerank"}


async def test_no_key_and_no_prompt_is_in_any_span(
    nim: EmulatorServer, telemetry: Telemetry
) -> None:
    refusal: dict[str, Any] = {"status": 400, "body": {"message": f"{PROMPT} of {SECRET}"}}
    async with adapter_for(nim, api_key=SECRET) as adapter:
        for ask in POSSIBLE:
            nim.script([refusal])
            with pytest.raises(errors.NIMError):
                await ask(adapter)
            await ask(adapter)
    assert len(telemetry.spans) == 2 * len(POSSIBLE)
    for span in telemetry.spans:
        assert SECRET not in span.to_json()
        assert PROMPT not in span.to_json()


async def test_a_recorder_that_fails_harms_no_request(
    nim: EmulatorServer,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(TracerProvider):
        def on_end(self, span: object) -> None:
            raise OSError("the disk is full")

    failing = TracerProvider()
    failing._active_span_processor.on_end = Failing().on_end
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", failing)
    async with adapter_for(nim) as adapter:
        assert (await openai(adapter)).choices
    assert "the disk is full" in caplog.text
    assert telemetry.points(DURATION)[0].count == 1
