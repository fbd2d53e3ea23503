"""One configuration, whichever NIM answers."""

import logging
import time

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config import NVIDIAConfig
from llama_stack_provider_nvidia.emulator import EmulatorServer
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.discovery import probe
from scripts.stack_server import free_port

from .conftest import MODEL

HELLO = [stack.UserMessage(content="hello")]
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
        wanted = {"type": "json_schema", "json_schema": SCHEMA}
        for _ in range(3):
            answer = await adapter.chat_completion(MODEL, HELLO, response_format=wanted)
            assert answer.completion_message.content.startswith("{")
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
        params = stack.SamplingParams(strategy=stack.TopKSamplingStrategy(top_k=3))
        with pytest.raises(errors.InvalidRequestError, match="dialect generic has no top_k"):
            await adapter.chat_completion(MODEL, HELLO, params)
        assert nim.requests == []
        await adapter.shutdown()


async def test_a_nim_that_comes_up_later_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(probe, "_RETRY_SECONDS", 0.0)
    port = free_port()
    config = NVIDIAConfig(url=f"http://127.0.0.1:{port}", max_retries=0)
    adapter = NVIDIAInferenceAdapter(config)
    started = time.monotonic()
    await adapter.initialize()
    assert time.monotonic() - started < probe._RETRY_SECONDS + 5
    assert "does not say yet what it is" in caplog.text
    with pytest.raises(errors.NIMConnectionError):
        await adapter.chat_completion(MODEL, HELLO)
    for emulated in ("nim1", "nim2"):  # and it may come back as another generation
        with EmulatorServer(dialect=emulated, port=port):
            await adapter.chat_completion(MODEL, HELLO)
            assert str((await adapter.endpoint.finding()).dialect).startswith(emulated)
        with pytest.raises(errors.NIMConnectionError):
            await adapter.chat_completion(MODEL, HELLO)
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
