"""One emulator per dialect for the whole run, forgotten and unscripted before each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import hypothesis
import pytest
from openai import OpenAI

from helpers import MODEL, Post, Servers
from nim_emulator import EmulatorServer

# A loaded machine is slow now and then: time limits are pytest's, one for each test.
hypothesis.settings.register_profile(
    "emulator", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("emulator")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("OPENAI_", "NVIDIA_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def nim1(servers: Servers) -> EmulatorServer:
    return servers["nim1"]


@pytest.fixture
def nim2(servers: Servers) -> EmulatorServer:
    return servers["nim2"]


@pytest.fixture
def hosted(servers: Servers) -> EmulatorServer:
    return servers["hosted"]


@pytest.fixture
def dynamo(servers: Servers) -> EmulatorServer:
    return servers["dynamo"]


@pytest.fixture
def sglang(servers: Servers) -> EmulatorServer:
    return servers["nim2-sglang"]


@pytest.fixture(params=["nim1", "nim2"])
def nim(request: pytest.FixtureRequest, servers: Servers) -> EmulatorServer:
    """Each dialect in turn, for what all have in common."""
    return servers[request.param]


@pytest.fixture
def client(nim: EmulatorServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{nim.url}/v1", api_key="none", max_retries=0) as openai:
        yield openai


@pytest.fixture(scope="session")
def _http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as http:
        yield http


@pytest.fixture
def http(_http: httpx.Client) -> httpx.Client:
    return _http


@pytest.fixture
def chat(http: httpx.Client) -> Post:
    """Post a chat; a text stands for one user message."""

    def post(nim: EmulatorServer, said: Any = "Hello there", **fields: Any) -> httpx.Response:
        headers = {"authorization": "Bearer nvapi-test"} | fields.pop("headers", {})
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        body = {"model": MODEL, "messages": messages, **fields}
        return http.post(f"{nim.url}/v1/chat/completions", json=body, headers=headers)

    return post


@pytest.fixture
def complete(http: httpx.Client) -> Post:
    """Post a completion."""

    def post(
        nim: EmulatorServer, prompt: Any = "Once upon a time", **fields: Any
    ) -> httpx.Response:
        body = {"model": MODEL, "prompt": prompt, **fields}
        headers = {"authorization": "Bearer nvapi-test"}
        return http.post(f"{nim.url}/v1/completions", json=body, headers=headers)

    return post
