"""A NIM that quotes the key it was sent, wherever a NIM can write: nothing of it gets out."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors

from ..matrix.causes import FixedServer
from .observed import Telemetry
from .test_request_log import EMBEDDER, MODEL, POSSIBLE, RERANKER, Ask
from .test_telemetry import telemetry as telemetry

HEX = "4f1c9e07a3b2d5e8"
KEY = f"gateway-{HEX}"
# Shorter runs of digits occur in ids and numbers by chance.
_RUN = 6


def response(
    body: object = "",
    *,
    status: str = "HTTP/1.1 200 OK",
    header: str = "X-Nothing: none",
    stream: bool = False,
) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "application/json"
    if stream:
        text, kind = f"data: {text}\n\ndata: [DONE]\n\n", "text/event-stream"
    head = f"{status}\r\n{header}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Connection: close\r\n\r\n{text}".encode()


def answer(quote: str, *, stream: bool, **fields: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "delta" if stream else "message": said, "finish_reason": quote}
    return {"choices": [choice], "model": quote, "id": quote, **fields}


Place = Callable[[str, bool], bytes]
PLACES: dict[str, Place] = {
    "a garbage status line": lambda quote, _: response(status=f"HTTP/1.1 OK {quote}"),
    "a reason phrase": lambda quote, _: response("{}", status=f"HTTP/1.1 400 {quote}"),
    "a garbage header line": lambda quote, _: response(header=f"no header: \x01{quote}"),
    "a header": lambda quote, _: response(
        {"message": "no"}, status="HTTP/1.1 422 No", header=f"X-Request-Id: {quote}"
    ),
    "a report": lambda quote, _: response(
        {"error": {"message": quote, "code": quote, "param": quote, "type": quote}},
        status="HTTP/1.1 400 No",
    ),
    "an id, a model's name and a finish reason": lambda quote, stream: response(
        answer(quote, stream=stream), stream=stream
    ),
    "what is no response": lambda quote, stream: response({"say": quote}, stream=stream),
    "what is no JSON": lambda quote, stream: response(f"<{quote}", stream=stream),
    "a report in place of a response": lambda quote, stream: response(
        {"error": {"message": quote, "code": 400}}, stream=stream
    ),
    "a redirect": lambda quote, _: response(
        status="HTTP/1.1 307 Go", header=f"Location: http://127.0.0.1:9/{quote}"
    ),
}
FORMS: dict[str, str] = {
    "whole": KEY,
    "upper case": KEY.upper(),
    "a part": KEY[2:-2],
    "before the cut at 80": "x" * 66 + KEY,
    "before the cut at 128": "x" * 114 + KEY,
    "before the cut at 500": "x" * 486 + KEY,
}


async def completion(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.openai_completion(model=MODEL, prompt="hello")


async def embeddings(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.openai_embeddings(model=EMBEDDER, input="hello")


async def rerank(adapter: NVIDIAInferenceAdapter) -> Any:
    return await adapter.rerank(RERANKER, "hello", ["world"])


@pytest.fixture
def every_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    # Some servers raise the level of the SDK's own module.
    named = ("openai", "openai._base_client", "httpx", "httpcore", "llama_stack_provider_nvidia")
    for name in ("", *named):
        caplog.set_level(logging.DEBUG, logger=name or None)
    return caplog


def quoted(text: str) -> list[str]:
    runs = {HEX[n : n + _RUN] for n in range(len(HEX) - _RUN + 1)}
    return sorted(run for run in runs if run in text.lower())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", PLACES)
async def test_a_quoted_key_gets_nowhere(
    place: str, form: str, every_log: pytest.LogCaptureFixture, telemetry: Telemetry
) -> None:
    for ask in (*POSSIBLE, completion, embeddings, rerank):
        await check(ask, PLACES[place], FORMS[form])
    written = "".join(f"{record.getMessage()} {vars(record)}" for record in every_log.records)
    assert "llama_stack_provider_nvidia.requests" in written
    assert "openai._base_client" in written
    assert quoted(written) == []
    spans = "".join(f"{span.name} {span.attributes} {span.events}" for span in telemetry.spans)
    assert "gen_ai.operation.name" in spans
    assert quoted(spans) == []


async def check(ask: Ask, place: Place, quote: str) -> None:
    with FixedServer(place(quote, ask.__name__.endswith("stream"))) as nim:
        config = NVIDIAConfig(url=nim.url, api_key=KEY, dialect="nim2-vllm", max_retries=0)
        adapter = NVIDIAInferenceAdapter(config)
        try:
            await ask(adapter)
        except errors.NIMError as error:
            shown = f"{error!s} {error!r} {error.args} {error.body} {vars(error)}"
            assert quoted(shown) == []
        finally:
            await adapter.shutdown()
