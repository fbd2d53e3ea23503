"""One server of the installed release in front of one emulated NIM, each a process of its own.

``make load-test`` runs these; ``LOAD_SCALE=0.05`` makes them small, to work on them.
"""

import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from llama_stack_provider_nvidia import stack
from scripts.stack_server import StackServer
from tests.http_limits import NOT_KEPT
from tests.matrix import release
from tests.matrix.servers import model, stack_server

from . import observed
from .answers import Client
from .nim_process import EMBEDDER, LLM, RERANKER, NIMProcess
from .observed import Held

# Each request would be a line of the log that pytest keeps.
logging.getLogger("httpx").setLevel(logging.WARNING)
# The built-in provider that it is about is that of 0.2.12: `make reliability` names it.
collect_ignore = ["test_compared.py"]
SCALE = float(os.environ.get("LOAD_SCALE", "1"))
SECONDS = 120


@dataclass
class Rig:
    """A server, the NIM behind it, and what the server tells of itself.

    Attributes:
        server: The server.
        nim: The NIM.
        openai_path: Where its OpenAI-style routes are.
        look: Looks into the server.
    """

    server: StackServer
    nim: NIMProcess
    openai_path: str
    look: Callable[[], Held]

    def client(self, http: httpx.AsyncClient, *, native: bool = stack.NATIVE) -> Client:
        """A client that chats."""
        path = "/v1/inference/chat-completion" if native else f"{self.openai_path}/chat/completions"
        return Client(http, path, f"nim/{LLM}", native=native)


def rig(folder: Path, nim: NIMProcess, **config: Any) -> Iterator[Rig]:
    """Run a server in front of a NIM."""
    environ = observed.variables(folder)
    models = [model("nim", LLM), model("nim", EMBEDDER, "embedding", embedding_dimension=1024)]
    if "rerank" in stack.KINDS:
        models.append(model("nim", RERANKER, "rerank"))
    providers = {"nim": {"url": nim.url, **config}}
    with stack_server(folder, providers, models, keeps_chats=False, env=environ) as server:
        path = release.openai_path(server.url)
        yield Rig(server, nim, path, lambda: observed.held(server, environ))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """With a NIM that sends as fast as it can."""
    folder = tmp_path_factory.mktemp("loaded")
    with NIMProcess(folder) as nim:
        yield from rig(folder, nim)


@pytest.fixture
async def http(loaded: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(loaded) as made:
        yield made


def http_client(loaded: Rig) -> httpx.AsyncClient:
    """A client of the server."""
    return httpx.AsyncClient(
        base_url=loaded.server.url, limits=NOT_KEPT, timeout=SECONDS, trust_env=False
    )


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for something; gives the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, what
        time.sleep(0.02)
    return time.monotonic() - started
