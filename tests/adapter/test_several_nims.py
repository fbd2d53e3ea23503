"""Several NIMs behind one provider: each request goes to the one that serves its model."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from nim_emulator.record import fingerprint

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.discovery import model_catalog
from llama_stack_provider_nvidia.nim.model_facts.model_ids import ModelEntry, kind_of
from llama_stack_provider_nvidia.nim.routing import find_target
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from . import own_api

LLAMA, MISTRAL = "meta/llama-3.1-8b-instruct", "mistralai/mistral-7b"
HELLO = "hello"


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[EmulatorServer, EmulatorServer]]:
    with EmulatorServer("nim1", [LLAMA]) as first, EmulatorServer("nim2", [MISTRAL]) as second:
        yield first, second


@pytest.fixture
def nims(both: tuple[EmulatorServer, EmulatorServer]) -> tuple[EmulatorServer, EmulatorServer]:
    for nim in both:
        nim.clear()
    return both


def posted(nim: EmulatorServer) -> list[object]:
    return [request.body["model"] for request in nim.requests if request.method == "POST"]


def adapter_for(*endpoints: dict[str, object], **keys: object) -> NVIDIAInferenceAdapter:
    return NVIDIAInferenceAdapter(NVIDIAConfig(endpoints=list(endpoints), max_retries=0, **keys))


async def test_each_model_s_requests_go_to_its_nim_in_its_dialect(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    first, second = nims
    adapter = adapter_for({"url": first.url}, {"url": second.url})
    await adapter.initialize()
    schema = {"type": "object"}
    for model in (MISTRAL, LLAMA, "Llama3.1-8B-Instruct", MISTRAL):
        await own_api.chat(adapter, model, HELLO, schema=schema)
        stream = await own_api.chat(adapter, model, HELLO, stream=True)
        assert [event async for event in stream]
    assert (posted(first), posted(second)) == ([LLAMA] * 4, [MISTRAL] * 4)
    assert "nvext" in first.requests[-2].body
    assert "response_format" in second.requests[-2].body
    answer = await adapter.openai_chat_completion(
        model=MISTRAL, messages=[{"role": "user", "content": "hi"}]
    )
    assert answer.model == MISTRAL
    listed = await adapter.list_models()
    assert [model.identifier for model in listed or ()] == [LLAMA, MISTRAL]
    await adapter.shutdown()


async def test_a_model_that_none_serves_is_an_error_that_says_who_serves_what(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    adapter = adapter_for({"name": "one", "url": nims[0].url}, {"name": "two", "url": nims[1].url})
    with pytest.raises(errors.ModelNotFoundError) as caught:
        await own_api.chat(adapter, "meta/nobody-has-this", HELLO)
    assert f"one: {LLAMA}; two: {MISTRAL}" in str(caught.value)
    assert posted(nims[0]) == posted(nims[1]) == []
    await adapter.shutdown()


async def test_a_nim_that_is_down_does_not_hold_up_the_others(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    adapter = adapter_for({"url": down}, {"url": nims[1].url})
    await adapter.initialize()
    await own_api.chat(adapter, MISTRAL, HELLO)
    with pytest.raises(errors.NIMConnectionError, match=down):  # it may well serve that
        await own_api.chat(adapter, LLAMA, HELLO)
    assert [model.identifier for model in await adapter.list_models() or ()] == [MISTRAL]
    assert await adapter.should_refresh_models() is True
    await adapter.shutdown()


async def test_requests_that_come_at_once_wait_for_the_same_lists(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    for nim in nims:
        body = {"object": "list", "data": [{"id": LLAMA if nim is nims[0] else MISTRAL}]}
        nim.script([{"path": "/v1/models", "body": body, "delay_s": 0.2}])
    adapter = adapter_for(
        {"url": nims[0].url, "dialect": "nim1"}, {"url": nims[1].url, "dialect": "nim2-vllm"}
    )
    await asyncio.gather(*(own_api.chat(adapter, MISTRAL, HELLO) for _ in range(5)))
    assert (posted(nims[0]), posted(nims[1])) == ([], [MISTRAL] * 5)
    for nim in nims:
        assert [request.method for request in nim.requests].count("GET") == 1
    await adapter.shutdown()


async def test_models_that_are_named_need_not_be_listed(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    first, second = nims
    second.script([{"path": "/v1/models", "status": 404, "body": "404 page not found"}])
    adapter = adapter_for(
        {"url": first.url, "models": ["meta/other"]}, {"url": second.url, "models": [MISTRAL]}
    )
    await own_api.chat(adapter, MISTRAL, HELLO)
    assert posted(second) == [MISTRAL]
    with pytest.raises(errors.ModelNotFoundError):  # served there, but not to be used
        await own_api.chat(adapter, LLAMA, HELLO)
    await adapter.shutdown()


async def test_a_model_that_has_moved_is_found_again(
    monkeypatch: pytest.MonkeyPatch, nims: tuple[EmulatorServer, EmulatorServer]
) -> None:
    monkeypatch.setattr(model_catalog, "_RETRY_SECONDS", 0.0)
    first, second = nims
    adapter = adapter_for({"url": first.url}, {"url": second.url})
    second.script([listing("meta/other")])
    await own_api.chat(adapter, LLAMA, HELLO)
    second.script([listing(LLAMA)])
    first.script(
        [
            {"path": "/v1/chat/completions", "status": 404, "body": {"message": "no such model"}},
            listing("meta/other"),
        ]
    )
    with pytest.raises(errors.ModelNotFoundError):
        await own_api.chat(adapter, LLAMA, HELLO)
    # As five minutes later: the second one is asked at the same time.
    monkeypatch.setattr(second_listing(adapter), "fresh_until", 0.0)
    async with asyncio.timeout(30):
        while not posted(second):
            with contextlib.suppress(errors.ModelNotFoundError):
                await own_api.chat(adapter, LLAMA, HELLO)
    assert posted(second) == [LLAMA]
    await adapter.shutdown()


def listing(*models: str) -> dict[str, Any]:
    return {"path": "/v1/models", "body": {"object": "list", "data": [{"id": i} for i in models]}}


def second_listing(adapter: NVIDIAInferenceAdapter) -> Any:
    return adapter.endpoints[1].catalogue._listing(None)


async def test_the_catalogue_gets_no_prompt_for_a_model_that_its_models_exclude(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    cloud: dict[str, object] = {"url": "https://integrate.api.nvidia.com", "api_key": "nvapi-x"}
    for restricted in (False, True):
        more = {"models": [MISTRAL]} if restricted else {}
        adapter = adapter_for({"url": nims[0].url}, {**cloud, **more})
        for endpoint in adapter.endpoints:  # as if asked just now
            known = endpoint.catalogue._listing(None)
            known.entries = [ModelEntry(LLAMA, kind_of(LLAMA))]
            known.fresh_until = time.monotonic() + 300
        if restricted:
            with pytest.raises(errors.ModelNotFoundError):
                await find_target(adapter.endpoints, "meta/nobody-has-this", None)
        else:  # it lists not all that it serves
            target = await find_target(adapter.endpoints, "meta/nobody-has-this", None)
            assert target.endpoint is adapter.endpoints[1]
        await adapter.shutdown()


async def test_a_dead_nim_is_not_asked_before_each_embedding() -> None:
    model = "nvidia/nv-embedqa-e5-v5"
    with EmulatorServer("nim2", [LLAMA]) as dead, EmulatorServer("nim2", [model]) as embedder:
        dead.script([{"path": "/v1/models", "status": 500, "body": "broken"}] * 9)
        adapter = adapter_for({"url": dead.url}, {"url": embedder.url})
        for _ in range(4):
            await adapter.openai_embeddings(model=f"{model}-query", input="a")
        asked = [request.path for request in dead.requests if request.path == "/v1/models"]
        assert len(asked) == 1
        assert [request.body["input_type"] for request in embedder.requests if request.body] == [
            "query"
        ] * 4
        await adapter.shutdown()


async def test_what_both_serve_goes_to_the_first(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    with EmulatorServer("nim2", [LLAMA]) as third:
        adapter = adapter_for({"url": nims[0].url}, {"url": third.url})
        for _ in range(3):
            await own_api.chat(adapter, LLAMA, HELLO)
        assert (posted(nims[0]), posted(third)) == ([LLAMA] * 3, [])
        await adapter.shutdown()


async def test_each_nim_gets_its_own_key_and_no_other(
    nims: tuple[EmulatorServer, EmulatorServer],
) -> None:
    first, second = nims
    adapter = adapter_for(
        {"url": first.url, "api_key": "nvapi-first"}, {"url": second.url}, api_key="nvapi-main"
    )
    await adapter.initialize()
    for model in (LLAMA, MISTRAL):
        await own_api.chat(adapter, model, HELLO)
    await adapter.health()
    expected = fingerprint("Bearer nvapi-first").rpartition(" ")[2]
    assert {request.key for request in first.requests} == {expected}
    assert {request.key for request in second.requests} == {None}
    await adapter.shutdown()


def test_the_provider_s_key_is_only_for_its_own_address() -> None:
    config = NVIDIAConfig(
        url="http://nim:8000",
        api_key="nvapi-main",
        endpoints=[
            {"url": "http://nim:8000/other", "name": "same host"},
            {"url": "http://nim:8001/v1"},
            {"url": "https://nim:8000"},
            {"url": "http://elsewhere:8000", "api_key": "nvapi-own"},
        ],
    )
    assert [address.key for address in config.endpoint_configs()] == [
        "nvapi-main",
        "nvapi-main",
        None,
        None,
        "nvapi-own",
    ]
