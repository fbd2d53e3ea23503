"""Tenants with keys of their own on one server: nothing of one reaches another.

``LOAD_REQUESTS`` is the number of requests that they send; ``make load-test`` sends 10,000.
"""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from nim_emulator.record import fingerprint

from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer
from tests.http_limits import NOT_KEPT

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
    if release.NAMED_KEYS:
        made.append(Caller("open", {"open_api_key": TENANTS[0]}, TENANTS[0]))
    return [*made, Caller("keyed", None, SERVER_KEY), Caller("open", None, None)]


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
    # The server closes a connection after five idle seconds, perhaps just as a request comes.
    limits = httpx.Limits(max_connections=AT_ONCE, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=shared_server.url, limits=limits) as http:
        sender = Sender(http, openai_path, LLM, EMBEDDER)
        exchanges = await hammer(sender, callers(), REQUESTS, AT_ONCE)
    assert Counter(one.problem for one in exchanges) == {"": REQUESTS}
    assert {one.way for one in exchanges} == set(WAYS)
    check_keys(exchanges, ledger)
    check_connections(ledger)


@pytest.fixture(scope="module")
def stranger() -> Iterator[EmulatorServer]:
    """A host that the configuration does not name: nothing may arrive there."""
    with EmulatorServer(models=[LLM, EMBEDDER]) as nim:
        yield nim


@pytest.fixture
async def http(shared_server: StackServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shared_server.url, timeout=30, limits=NOT_KEPT) as made:
        yield made


def no_keys_of(stranger: EmulatorServer) -> bool:
    return stranger.requests == [] and stranger.connections.opened == 0


@pytest.mark.parametrize("key", [None, TENANTS[0]])
async def test_provider_data_cannot_name_a_host(
    http: httpx.AsyncClient,
    ledger: Ledger,
    stranger: EmulatorServer,
    openai_path: str,
    key: str | None,
) -> None:
    ledger.clear_requests()
    names = ("url", "base_url", "endpoint", "nvidia_base_url", "nvidia_api_url", "nvidia_url")
    data = dict.fromkeys(names, stranger.url) | ({"nvidia_api_key": key} if key else {})
    caller = Caller("keyed", data, key or SERVER_KEY)
    sender = Sender(http, openai_path, LLM, EMBEDDER)
    exchanges = [
        await sender.send(way, caller, f"marker{number:06}x") for number, way in enumerate(WAYS)
    ]
    assert {one.problem for one in exchanges} == {""}
    check_keys(exchanges, ledger)
    assert no_keys_of(stranger)


@pytest.mark.parametrize("field", ["url", "base_url", "extra_headers", "extra_body", "api_base"])
async def test_a_body_cannot_name_a_host(
    http: httpx.AsyncClient,
    stranger: EmulatorServer,
    openai_path: str,
    field: str,
) -> None:
    """Whether the NIM refuses the field is another matter."""
    said = [{"role": "user", "content": "hello"}]
    value: object = {"Host": stranger.url} if field.startswith("extra") else stranger.url
    body = {"model": f"keyed/{LLM}", "messages": said, field: value}
    answer = await http.post(f"{openai_path}/chat/completions", json=body)
    assert answer.status_code in (200, 400)
    assert SERVER_KEY not in answer.text
    assert no_keys_of(stranger)


@pytest.mark.parametrize("prefix", ["", "keyed/"])
@pytest.mark.parametrize("path", ["/v1", "/v1/chat/completions", "/v1/../..", "/v1#"])
async def test_a_model_s_name_cannot_name_a_host(
    http: httpx.AsyncClient, stranger: EmulatorServer, openai_path: str, prefix: str, path: str
) -> None:
    name = f"{prefix}{stranger.url}{path}"
    said = [{"role": "user", "content": "hello"}]
    for route, fields in (
        ("chat/completions", {"messages": said}),
        ("completions", {"prompt": "hello"}),
        ("embeddings", {"input": "hello"}),
    ):
        answer = await http.post(f"{openai_path}/{route}", json={"model": name, **fields})
        assert answer.status_code in (400, 404), answer.text
        assert SERVER_KEY not in answer.text
    assert no_keys_of(stranger)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_no_key_elsewhere(
    http: httpx.AsyncClient,
    recorded_nim: EmulatorServer,
    stranger: EmulatorServer,
    openai_path: str,
    status: int,
) -> None:
    caller = Caller("keyed", None, SERVER_KEY)
    sender = Sender(http, openai_path, LLM, EMBEDDER)
    fault = {"fault": "redirect", "status": status, "to": f"{stranger.url}/v1/chat/completions"}
    for way in WAYS:
        recorded_nim.faults([fault])
        exchange = await sender.send(way, caller, "marker000000x")
        assert exchange.problem
        assert SERVER_KEY not in exchange.problem
    recorded_nim.clear()
    assert no_keys_of(stranger)


def test_the_client_of_the_release_brings_a_key(
    shared_server: StackServer, ledger: Ledger, openai_path: str
) -> None:
    """By the argument that it has for this, in place of a header written by hand."""
    ledger.clear_requests()
    with release.own_client(
        shared_server.url, provider_data={"nvidia_api_key": TENANTS[1]}
    ) as client:
        said = [{"role": "user", "content": "marker000000x"}]
        client.chat.completions.create(model=f"keyed/{LLM}", messages=said)
    assert marked(ledger) == {"marker000000x": [shown(TENANTS[1])]}
