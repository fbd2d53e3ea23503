"""A model that SGLang does not serve: it would answer with the one that it has."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.endpoint import Endpoint
from llama_stack_provider_nvidia.nim.responses.struct_codec import CHAT, COMPLETION
from llama_stack_provider_nvidia.nim.transport.client_pool import TransportSettings
from llama_stack_provider_nvidia.nim.transport.retry import RetryPolicy
from nim_emulator import EmulatorServer

from .conftest import MODEL

ADAPTER = "team/support@v1"


@pytest.fixture(scope="module")
def sglang() -> Iterator[EmulatorServer]:
    with EmulatorServer("nim2-sglang", [MODEL], adapters={ADAPTER: MODEL}) as nim:
        yield nim


@pytest.fixture
async def endpoint(sglang: EmulatorServer) -> AsyncIterator[Endpoint]:
    sglang.clear()
    made = Endpoint(
        TransportSettings(endpoint=f"{sglang.url}/v1", retry=RetryPolicy(retries=0)), key=None
    )
    yield made
    await made.aclose()


async def ask(endpoint: Endpoint, model: str, *, streamed: bool, chat: bool) -> Any:
    body: dict[str, Any] = {"model": model, "stream": streamed}
    body |= {"messages": [{"role": "user", "content": "x"}]} if chat else {"prompt": "x"}
    if streamed:
        chunks = await endpoint.stream(body, CHAT if chat else COMPLETION, key=None)
        return [chunk async for chunk in chunks]
    return await endpoint.complete(body, CHAT if chat else COMPLETION, key=None)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("chat", [True, False], ids=["chat", "completion"])
async def test_it_is_refused(
    endpoint: Endpoint, sglang: EmulatorServer, streamed: bool, chat: bool
) -> None:
    with pytest.raises(errors.ModelNotFoundError, match="answer with another model") as raised:
        await ask(endpoint, "no/such-model", streamed=streamed, chat=chat)
    assert (raised.value.code, raised.value.status_code) == ("model_not_served", 404)
    assert (raised.value.model, raised.value.endpoint) == ("no/such-model", endpoint.url)
    assert "completions" not in " ".join(request.path for request in sglang.requests)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_listed_models_are_asked_for_once(
    endpoint: Endpoint, sglang: EmulatorServer, streamed: bool
) -> None:
    await endpoint.catalogue.models()
    await endpoint.finding()
    sglang.clear()
    for model in (MODEL, ADAPTER, MODEL):
        assert await ask(endpoint, model, streamed=streamed, chat=True)
    assert [request.path for request in sglang.requests] == ["/v1/chat/completions"] * 3


async def test_a_model_that_was_loaded_meanwhile(
    endpoint: Endpoint, sglang: EmulatorServer
) -> None:
    await endpoint.finding()
    await endpoint.catalogue.models()
    listed = {"object": "list", "data": [{"id": "new/model"}]}
    sglang.script([{"path": "/v1/models", "body": listed}])
    assert await ask(endpoint, "new/model", streamed=False, chat=True)


async def test_a_list_that_cannot_be_had_stops_nobody(
    endpoint: Endpoint, sglang: EmulatorServer
) -> None:
    await endpoint.finding()
    sglang.script([{"path": "/v1/models", "status": 500, "body": "x"}])
    assert await ask(endpoint, "no/such-model", streamed=False, chat=True)
