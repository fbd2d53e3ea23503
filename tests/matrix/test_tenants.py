"""Tenants with keys of their own on one server: nothing of one reaches another.

``LOAD_REQUESTS`` is the number of requests that they send; ``make load-test`` sends 10,000.
"""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator

import httpx
import pytest

from llama_stack_provider_nvidia.emulator import EmulatorServer
from llama_stack_provider_nvidia.emulator.record import fingerprint
from scripts.stack_server import StackServer

from . import release
from .servers import model, stack_server
from .traffic import MARKER, WAYS, Caller, Exchange, Ledger, Sender, hammer

pytestmark = pytest.mark.server

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
SERVER_KEY = "nvapi-of-the-server"
TENANTS = ["nvapi-of-the-first-tenant", "nvapi-of-the-second-tenant"]
# Each request would be a line of the log that pytest keeps.
logging.getLogger("httpx").setLevel(logging.WARNING)
REQUESTS = int(os.environ.get("LOAD_REQUESTS", "500"))
AT_ONCE = 24


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="module")
def recorded_nim(ledger: Ledger) -> Iterator[EmulatorServer]:
    nim = EmulatorServer(models=[LLM, EMBEDDER])
    nim.recorder = ledger
    with nim:
        yield nim


@pytest.fixture(scope="module")
def shared_server(
    recorded_nim: EmulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackServer]:
    """``keyed`` has a key of its own, ``open`` has none."""
    providers = {
        "keyed": {"url": recorded_nim.url, "api_key": SERVER_KEY},
        "open": {"url": recorded_nim.url},
    }
    models = [model(name, LLM) for name in providers]
    models += [model(name, EMBEDDER, "embedding", embedding_dimension=1024) for name in providers]
    folder = tmp_path_factory.mktemp("tenants")
    with stack_server(folder, providers, models, keeps_chats=False) as server:
        yield server


@pytest.fixture(scope="module")
def openai_path(shared_server: StackServer) -> str:
    return release.openai_path(shared_server.url)


def callers() -> list[Caller]:
    made = [
        Caller(provider, {"nvidia_api_key": key}, key)
        for provider in ("keyed", "open")
        for key in TENANTS
    ]
    made += [Caller("keyed", None, SERVER_KEY), Caller("open", None, None)]
    return made


def shown(key: str | None) -> str | None:
    """How the emulator shows a key."""
    return None if key is None else fingerprint(f"Bearer {key}").rpartition(" ")[2]


def marked(ledger: Ledger) -> dict[str, list[str | None]]:
    """The keys that came with each marker."""
    keys: dict[str, list[str | None]] = defaultdict(list)
    for record in ledger.all:
        for marker in set(MARKER.findall(str(record.body))):
            keys[marker].append(record.key)
    return dict(keys)


def check_keys(exchanges: list[Exchange], ledger: Ledger) -> None:
    expected = {one.marker: [shown(one.caller.key)] for one in exchanges}
    arrived = marked(ledger)
    assert {m: k for m, k in arrived.items() if k != expected.get(m)} == {}
    assert arrived.keys() == expected.keys()


def check_connections(ledger: Ledger) -> None:
    keys = defaultdict(set)
    for record in ledger.all:
        keys[ledger.connection(record)].add(record.key)
    assert {where: found for where, found in keys.items() if len(found) > 1} == {}


@pytest.mark.timeout(600)
async def test_every_request_comes_with_its_own_key(
    shared_server: StackServer, ledger: Ledger, openai_path: str
) -> None:
    ledger.clear_requests()
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=shared_server.url, limits=limits) as http:
        sender = Sender(http, openai_path, LLM, EMBEDDER)
        exchanges = await hammer(sender, callers(), REQUESTS, AT_ONCE)
    assert Counter(one.problem for one in exchanges) == {"": REQUESTS}
    assert {one.way for one in exchanges} == set(WAYS)
    check_keys(exchanges, ledger)
    check_connections(ledger)
