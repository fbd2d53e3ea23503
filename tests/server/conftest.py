"""A real Llama Stack server with our provider, in front of an emulated NIM, per dialect."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml
from llama_stack_client import LlamaStackClient

from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT, StackServer

MODEL = "meta/llama-3.1-8b-instruct"
GHOST = "meta/llama-ghost-instruct"


KEY = "nvapi-test"
NIMS = ["nim2", "nim1", "nim1-1.15", "vllm", "nim2-sglang", "hosted", "dynamo", "generic"]


@pytest.fixture(scope="session", params=NIMS)
def shared_nim(request: pytest.FixtureRequest) -> Iterator[EmulatorServer]:
    with EmulatorServer(dialect=request.param, api_key=KEY) as nim:
        yield nim


@pytest.fixture
def nim(shared_nim: EmulatorServer) -> EmulatorServer:
    """The NIM behind the server, with an empty list of requests."""
    shared_nim.clear()
    return shared_nim


@pytest.fixture(scope="session")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[dict[str, Any]], StackServer]]:
    """Start servers on the project's run.yaml with another provider configuration."""
    with ExitStack() as servers:

        def start(provider: dict[str, Any]) -> StackServer:
            config = yaml.safe_load((ROOT / "run.yaml").read_text())
            config["providers"]["inference"][0]["config"] = provider
            # A model that users registered and the NIM does not serve.
            config["models"].append(
                {"model_id": GHOST, "provider_id": "nvidia", "provider_model_id": GHOST}
            )
            path = tmp_path_factory.mktemp("server") / "run.yaml"
            path.write_text(yaml.safe_dump(config))
            return servers.enter_context(StackServer(path, log_path=path.with_name("log")))

        yield start


@pytest.fixture(scope="session")
def server(
    shared_nim: EmulatorServer, start_server: Callable[[dict[str, Any]], StackServer]
) -> StackServer:
    """The same configuration, whichever NIM answers."""
    return start_server({"url": shared_nim.url, "api_key": KEY})


@pytest.fixture
def client(server: StackServer, nim: EmulatorServer) -> Iterator[LlamaStackClient]:
    with LlamaStackClient(base_url=server.url, timeout=30, max_retries=0) as made:
        yield made
