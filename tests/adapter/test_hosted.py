"""NVIDIA's hosted catalogue, as the emulator plays it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from nim_emulator import EmulatorServer

from . import own_api
from .conftest import MODEL

KEY = "nvapi-right"
HELLO = "Hello."
SLOW = "meta/llama-slow-start"

REFUSALS: dict[str, tuple[type[errors.NIMError], int, str]] = {
    "meta/llama-listed-not-callable": (errors.ModelNotFoundError, 404, "this account cannot call"),
    "meta/llama-of-another-name": (errors.ModelNotFoundError, 404, "Check the model's name"),
    "meta/llama-end-of-life": (errors.ModelNotFoundError, 410, "withdrawn"),
    "meta/llama-degraded": (errors.ServerError, 503, "out of order at NVIDIA"),
    "meta/llama-no-credits": (errors.PermissionDeniedError, 402, "credits"),
    "meta/llama-rate-limited": (errors.RateLimitError, 429, "fewer requests"),
    "meta/llama-rate-limited-empty": (errors.RateLimitError, 429, "gave no reason"),
    "meta/llama-overloaded": (errors.ServerError, 503, "overloaded"),
    "meta/llama-gateway-timeout": (errors.NIMTimeoutError, 504, "may be starting"),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[EmulatorServer]:
    with EmulatorServer(dialect="hosted", api_key=KEY) as nim:
        yield nim


@pytest.fixture
def nim(shared: EmulatorServer) -> EmulatorServer:
    shared.clear()
    return shared


def made(nim: EmulatorServer, **config: Any) -> NVIDIAInferenceAdapter:
    return NVIDIAInferenceAdapter(
        NVIDIAConfig(**{"url": nim.url, "api_key": KEY, "max_retries": 0, **config})
    )


@pytest.fixture
async def adapter(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    adapter = made(nim)
    yield adapter
    await adapter.shutdown()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", REFUSALS)
async def test_each_refusal_is_one_clear_error(
    adapter: NVIDIAInferenceAdapter, model: str, streamed: bool
) -> None:
    kind, status, advice = REFUSALS[model]
    with pytest.raises(kind) as caught:
        await own_api.chat(adapter, model, HELLO, stream=streamed)
    error = caught.value
    assert (error.status_code, error.model) == (status, model)
    assert advice in str(error)
    assert error.request_id
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("key", "kind", "advice"),
    [
        (None, errors.AuthenticationError, "wants an API key"),
        ("nvapi-wrong", errors.PermissionDeniedError, "refuses this API key"),
    ],
    ids=["no key", "a wrong key"],
)
async def test_no_key_is_told_apart_from_a_wrong_one(
    nim: EmulatorServer, key: str | None, kind: type[errors.NIMError], advice: str
) -> None:
    adapter = made(nim, api_key=key)
    # The list of models needs no key, and so proves nothing.
    assert await adapter.list_models()
    with pytest.raises(kind, match=advice):
        await own_api.chat(adapter, MODEL, HELLO)
    await adapter.shutdown()


async def test_an_answer_that_is_not_ready_is_waited_for(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    answer = await own_api.chat(adapter, SLOW, HELLO)
    assert own_api.text_of(answer)
    statuses = [r.status for r in nim.requests if "chat" in r.path or "status" in r.path]
    assert statuses == [202, 202, 200]

    stream = await own_api.chat(adapter, SLOW, HELLO, stream=True)
    assert await own_api.text_of_stream(stream) == own_api.text_of(answer)


async def test_an_answer_that_never_gets_ready_is_an_error(nim: EmulatorServer) -> None:
    adapter = made(nim, timeout=1.5)
    nim.script(
        {"path": "/v2/nvcf/pexec/status/x", "status": 202, "headers": {"NVCF-REQID": "x"}}
        for _ in range(99)
    )
    nim.script([{"status": 202, "headers": {"NVCF-REQID": "x"}, "body": ""}])
    with pytest.raises(errors.NIMTimeoutError, match="not ready within"):
        await own_api.chat(adapter, MODEL, HELLO)
    await adapter.shutdown()


@pytest.mark.parametrize("request_id", ["", "../../secrets", "a b"])
async def test_a_202_that_names_nothing_is_an_error(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, request_id: str
) -> None:
    await adapter.endpoint.finding()
    nim.script([{"status": 202, "headers": {"NVCF-REQID": request_id}, "body": ""}])
    with pytest.raises(errors.ServerError, match="gave no id"):
        await own_api.chat(adapter, MODEL, HELLO)
    assert not [request for request in nim.requests if "status" in request.path]


async def test_a_list_of_texts_goes_as_one_string(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    await adapter.openai_chat_completion(
        model=MODEL, messages=[{"role": "user", "content": parts}], store=False
    )
    assert nim.requests[-1].body["messages"] == [{"role": "user", "content": "One.\nTwo."}]
    assert nim.requests[-1].body["stream"] is False
