"""Whether NIMs are up and ready, asked quickly and not too often."""

import time
from collections.abc import AsyncIterator

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim.discovery.health import QUICK_SECONDS
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

READY = "/v1/health/ready"


@pytest.fixture
async def fresh(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    """An adapter that remembers nothing."""
    made = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url))
    yield made
    await made.shutdown()


async def test_a_nim_that_is_ready(fresh: NVIDIAInferenceAdapter, nim: EmulatorServer) -> None:
    health = await fresh.health()
    assert (health["status"], health["message"]) == ("OK", f"{nim.url}{READY} says ready")
    assert [(one["live"], one["ready"]) for one in health["endpoints"]] == [(True, True)]


async def test_a_nim_that_loads_its_model_is_live_and_not_ready(
    fresh: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script([{"path": READY, "status": 503, "body": {"message": "loading the model"}}])
    health = await fresh.health()
    assert health["status"] == "Error"
    assert "loading the model" in health["message"]
    assert [(one["live"], one["ready"]) for one in health["endpoints"]] == [(True, False)]


async def test_an_engine_without_that_route_is_asked_for_its_models(
    fresh: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script([{"path": READY, "status": 404, "body": "404 page not found"}])
    assert (await fresh.health())["message"] == f"{nim.url}/v1/models answers"


async def test_one_that_has_no_model_yet_is_not_ready(
    fresh: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script(
        [
            {"path": READY, "status": 404, "body": "404 page not found"},
            {"path": "/v1/models", "body": {"object": "list", "data": []}},
        ]
    )
    health = await fresh.health()
    assert (health["status"], health["message"]) == (
        "Error",
        f"{nim.url}/v1/models lists no model yet",
    )


async def test_a_list_that_nests_too_deeply_is_an_answer(
    fresh: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    nim.script(
        [
            {"path": READY, "status": 404, "body": "404 page not found"},
            {"path": "/v1/models", "body": "[" * 100_000},
        ]
    )
    assert (await fresh.health())["message"] == f"{nim.url}/v1/models answers"


async def test_it_is_asked_once_in_a_moment(
    fresh: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    for _ in range(20):
        await fresh.health()
    assert len(nim.requests) == 1


async def test_nothing_there_and_a_nim_that_hangs_are_told_within_a_second() -> None:
    nothing = NVIDIAConfig(url=f"http://127.0.0.1:{free_port()}")
    with EmulatorServer() as nim:
        nim.script([{"path": READY, "body": {}, "delay_s": 30}])
        for config in (nothing, NVIDIAConfig(url=nim.url)):
            adapter = NVIDIAInferenceAdapter(config)
            started = time.monotonic()
            health = await adapter.health()
            # Of its own time; what the machine takes comes on top.
            assert QUICK_SECONDS < 1
            assert time.monotonic() - started < 5
            assert health["status"] == "Error"
            assert [(one["live"], one["ready"]) for one in health["endpoints"]] == [(False, False)]
            await adapter.shutdown()


async def test_several_nims_are_told_apart() -> None:
    with EmulatorServer() as chat:
        adapter = NVIDIAInferenceAdapter(
            NVIDIAConfig(
                endpoints=[
                    {"name": "chat", "url": chat.url},
                    {"name": "embed", "url": f"http://127.0.0.1:{free_port()}"},
                ]
            )
        )
        health = await adapter.health()
        assert health["status"] == "Error"
        assert health["message"].startswith("embed: ")
        assert [(one["name"], one["ready"]) for one in health["endpoints"]] == [
            ("chat", True),
            ("embed", False),
        ]
        await adapter.shutdown()
