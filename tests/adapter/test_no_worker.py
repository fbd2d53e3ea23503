"""Dynamo without a worker for the model: one error, whichever of its answers it gives."""

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

NOT_FOUND = {"message": "Model not found", "type": "Not Found", "code": 404}
NOT_READY = {
    "message": f"Model `{MODEL}` is not ready to serve requests yet. The deployment may still be "
    "starting up or is not fully provisioned. Please retry shortly.",
    "type": "Service Unavailable",
    "code": 503,
}
UNAVAILABLE = {"message": "Service temporarily unavailable", "type": "x", "code": 503}
NONE: list[str] = []
OTHERS = ["nvidia/other"]


@pytest.fixture(scope="module")
def dynamo() -> Iterator[EmulatorServer]:
    with EmulatorServer(dialect="dynamo", models=[MODEL]) as nim:
        yield nim


@pytest.fixture
async def endpoint(dynamo: EmulatorServer) -> AsyncIterator[Endpoint]:
    dynamo.clear()
    made = Endpoint(
        TransportSettings(endpoint=f"{dynamo.url}/v1", retry=RetryPolicy(retries=0)), key=None
    )
    await made.finding()
    yield made
    await made.aclose()


def models(*ids: str) -> dict[str, Any]:
    return {"path": "/v1/models", "body": {"object": "list", "data": [{"id": i} for i in ids]}}


async def ask(endpoint: Endpoint, *, streamed: bool = False, chat: bool = True) -> Any:
    body: dict[str, Any] = {"model": MODEL, "stream": streamed}
    body |= {"messages": [{"role": "user", "content": "x"}]} if chat else {"prompt": "x"}
    if streamed:
        return await endpoint.stream(body, CHAT if chat else COMPLETION, key=None)
    return await endpoint.complete(body, CHAT if chat else COMPLETION, key=None)


@pytest.mark.parametrize(
    ("status", "body", "listed"),
    [
        pytest.param(503, UNAVAILABLE, NONE, id="killed just now"),
        pytest.param(503, NOT_READY, NONE, id="killed a second ago"),
        pytest.param(404, "", NONE, id="ten seconds ago"),
        pytest.param(404, "", OTHERS, id="of an embedder"),
        pytest.param(404, NOT_FOUND, OTHERS, id="others are there"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("chat", [True, False], ids=["chat", "completion"])
async def test_no_worker_serves_the_model(
    endpoint: Endpoint,
    dynamo: EmulatorServer,
    status: int,
    body: Any,
    listed: list[str],
    streamed: bool,
    chat: bool,
) -> None:
    await endpoint.catalogue.models()
    path = "/v1/chat/completions" if chat else "/v1/completions"
    dynamo.script([{"path": path, "status": status, "body": body}, models(*listed)])
    with pytest.raises(errors.ServerError, match="No worker serves the model") as raised:
        await ask(endpoint, streamed=streamed, chat=chat)
    error = raised.value
    assert (error.code, error.status_code) == ("no_worker", 503)
    assert (error.model, error.endpoint) == (MODEL, endpoint.url)
    assert "name" not in error.message


@pytest.mark.parametrize(
    ("status", "body", "reply", "code"),
    [
        pytest.param(404, "", models(MODEL), "model_not_found", id="still listed"),
        pytest.param(503, NOT_READY, models(MODEL), "nim_not_ready", id="starting"),
        pytest.param(
            404, "", {"path": "/v1/models", "status": 500, "body": ""}, "model_not_found", id="mute"
        ),
        pytest.param(404, NOT_FOUND, models(*OTHERS), "model_not_found", id="never listed"),
    ],
)
async def test_other_refusals_stay_what_they_are(
    endpoint: Endpoint, dynamo: EmulatorServer, status: int, body: Any, reply: Any, code: str
) -> None:
    dynamo.script([{"path": "/v1/chat/completions", "status": status, "body": body}, reply])
    with pytest.raises(errors.NIMError) as raised:
        await ask(endpoint)
    assert raised.value.code == code


async def test_a_worker_that_is_back_serves(endpoint: Endpoint, dynamo: EmulatorServer) -> None:
    dynamo.script([{"path": "/v1/chat/completions", "status": 404, "body": ""}, models()])
    with pytest.raises(errors.ServerError):
        await ask(endpoint)
    assert (await ask(endpoint)).choices


async def test_a_front_end_without_workers_is_found_out() -> None:
    with EmulatorServer(dialect="dynamo", models=[]) as nim:
        made = Endpoint(TransportSettings(endpoint=f"{nim.url}/v1"), key=None)
        try:
            with pytest.raises(errors.ServerError) as raised:
                await ask(made)
            assert raised.value.code == "no_worker"
            assert not (await made.health()).ready
        finally:
            await made.aclose()
