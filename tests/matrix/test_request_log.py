"""The server's own log shows the requests to a NIM when it is told to, and failures always."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import StackServer

from .conftest import LLM
from .servers import model, stack_server

pytestmark = pytest.mark.server

PROMPT = "a prompt of the test"
LEVELS = {"LLAMA_STACK_LOGGING": "all=info", "OGX_LOGGING": "all=info"}
CHAT = ("/v1/openai/v1/chat/completions", "/v1/chat/completions")


@pytest.fixture
def server(nim: EmulatorServer, tmp_path: Path) -> Iterator[StackServer]:
    providers = {
        "nvidia": {"url": nim.url, "api_key": "nvapi-very-secret"},
        "down": {"url": f"http://127.0.0.1:{free_port()}", "max_retries": 0},
    }
    models = [model(name, LLM) for name in providers]
    with stack_server(tmp_path, providers, models, env=LEVELS) as made:
        yield made


def lines(server: StackServer) -> str:
    """The log, with what the server's console has wrapped made whole."""
    return " ".join(server.log_path.read_text("utf-8", "replace").split())


def chat(server: StackServer, provider: str) -> None:
    messages = [{"role": "user", "content": PROMPT}]
    body = {"model": f"{provider}/{LLM}", "messages": messages, "stream": True}
    for path in CHAT:
        if httpx.post(f"{server.url}{path}", json=body, timeout=60).status_code != 404:
            return


def test_each_request_is_in_the_log(server: StackServer, nim: EmulatorServer) -> None:
    chat(server, "nvidia")
    chat(server, "down")
    for _ in range(50):
        if "NIMConnectionError" in lines(server):
            break
        time.sleep(0.1)
    seen = lines(server)
    assert f"streamed chat {LLM} at {nim.url}/v1 (nim2-vllm): answered after" in seen
    assert "failed after" in seen
    assert "request id chatcmpl-" in seen
    assert "nvapi-very-secret" not in seen
