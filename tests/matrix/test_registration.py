"""Models that come to a server in other ways than by its run.yaml, and NIMs that are not there."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import StackServer

from . import release
from .servers import model, stack_server

pytestmark = pytest.mark.server

LLM = "meta/llama-3.1-8b-instruct"
LATE = "mistralai/mistral-7b-instruct"
GHOST = "meta/llama-ghost-instruct"
ADAPTER = "team-support"
TALKATIVE = {"LLAMA_STACK_LOGGING": "all=warning", "OGX_LOGGING": "all=warning"}
HELLO: list[Any] = [{"role": "user", "content": "Say hello to the world."}]
# The server asks for models every five minutes: here, every second. OGX has a setting for it.
EVERY_SECOND = """
import importlib, importlib.util
for core in ("llama_stack.core", "llama_stack.distribution"):
    try:
        found = importlib.util.find_spec(f"{core}.stack")
    except ModuleNotFoundError:
        continue
    if found:
        importlib.import_module(f"{core}.stack").REGISTRY_REFRESH_INTERVAL_SECONDS = 1
"""


@pytest.fixture(scope="module")
def adapted_nim() -> Iterator[EmulatorServer]:
    with EmulatorServer(models=[LLM], adapters={ADAPTER: LLM}) as nim:
        yield nim


@pytest.fixture(scope="module")
def late_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server_without_late_nim(
    adapted_nim: EmulatorServer, late_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackServer]:
    """Starts although run.yaml names a model that nobody serves and a NIM that is down."""
    folder = tmp_path_factory.mktemp("registration")
    folder.joinpath("sitecustomize.py").write_text(EVERY_SECOND)
    providers = {
        "nvidia": {"url": adapted_nim.url, "max_retries": 0},
        "chosen": {"url": adapted_nim.url, "allowed_models": [LLM]},
        "late": {"url": f"http://127.0.0.1:{late_port}", "max_retries": 0},
    }
    models = [model("nvidia", LLM), model("nvidia", GHOST), model("late", LATE)]
    with stack_server(
        folder,
        providers,
        models,
        settings={"registry_refresh_interval_seconds": 1},
        env={"PYTHONPATH": str(folder), **TALKATIVE},
    ) as server:
        yield server


@pytest.fixture
def caller(server_without_late_nim: StackServer) -> Iterator[openai.OpenAI]:
    url = server_without_late_nim.url
    # A release that draws tracebacks leaves connections alone for so long that they are closed.
    with openai.OpenAI(
        base_url=f"{url}{release.openai_path(url)}", api_key="none", timeout=30, max_retries=2
    ) as made:
        yield made


def listed(caller: openai.OpenAI) -> set[str]:
    return {entry.id for entry in caller.models.list()}


def register(server: StackServer, name: str, **fields: Any) -> httpx.Response:
    """Register a model as clients do, under a name of its own."""
    body = {"model_id": f"my-{name}", "provider_id": "nvidia", "provider_model_id": name, **fields}
    return httpx.post(f"{server.url}/v1/models", json=body, timeout=30)


def named(provider: str, name: str) -> str:
    """The name that callers use for a model that was registered so."""
    return f"{provider}/{name}" if release.ONE_OBJECT else f"my-{name}"


def test_the_server_starts_and_answers(caller: openai.OpenAI) -> None:
    answer = caller.chat.completions.create(model=f"nvidia/{LLM}", messages=HELLO)
    assert "hello to the world" in str(answer.choices[0].message.content)


def test_a_wrong_model_of_run_yaml_is_reported(server_without_late_nim: StackServer) -> None:
    log = " ".join(server_without_late_nim.log_path.read_text().split())
    assert f"Model {GHOST} is registered, but cannot be used now" in log


if release.REGISTERS:

    def test_a_model_that_the_nim_does_not_have_is_refused(
        server_without_late_nim: StackServer, caller: openai.OpenAI
    ) -> None:
        answer = register(server_without_late_nim, "meta/nobody-has-this")
        assert answer.status_code == release.NOT_FOUND
        assert "does not serve 'meta/nobody-has-this'" in answer.text
        assert LLM in answer.text
        assert not any("nobody" in name for name in listed(caller))

    def test_an_adapter_can_be_registered(
        server_without_late_nim: StackServer, caller: openai.OpenAI
    ) -> None:
        """Where it is not found by itself: releases from 0.3 on take no model twice."""
        answer = register(server_without_late_nim, ADAPTER, provider_id="chosen")
        assert answer.status_code == 200, answer.text
        assert answer.json()["metadata"]["base_model"] == LLM
        said = caller.chat.completions.create(model=named("chosen", ADAPTER), messages=HELLO)
        assert f"This is {ADAPTER}." in str(said.choices[0].message.content)

    def test_a_model_of_a_nim_that_is_down_can_be_registered(
        server_without_late_nim: StackServer,
    ) -> None:
        answer = register(server_without_late_nim, "meta/unheard-of", provider_id="late")
        assert answer.status_code == 200, answer.text

else:

    def test_clients_cannot_register_models(server_without_late_nim: StackServer) -> None:
        assert register(server_without_late_nim, ADAPTER).status_code == 405


if release.LISTS_MODELS:

    def test_adapters_are_listed_and_answer(caller: openai.OpenAI) -> None:
        assert f"nvidia/{ADAPTER}" in listed(caller)
        said = caller.chat.completions.create(model=f"nvidia/{ADAPTER}", messages=HELLO)
        assert f"This is {ADAPTER}." in str(said.choices[0].message.content)


def test_a_nim_that_comes_up_late(
    caller: openai.OpenAI, late_port: int, server_without_late_nim: StackServer
) -> None:
    """Its models are used at once, and those that run.yaml does not name are listed later."""
    ask = caller.chat.completions.create
    with pytest.raises(openai.APIStatusError):
        ask(model=f"late/{LATE}", messages=HELLO)
    assert "late/meta/unnamed" not in listed(caller)
    with EmulatorServer(models=[LATE, "meta/unnamed"], port=late_port):
        assert ask(model=f"late/{LATE}", messages=HELLO).choices[0].message.content
        deadline = time.monotonic() + 20
        while release.LISTS_MODELS and "late/meta/unnamed" not in listed(caller):
            assert time.monotonic() < deadline, listed(caller)
            time.sleep(0.2)
