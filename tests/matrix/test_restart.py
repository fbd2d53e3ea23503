"""A server that starts again with the registry that it has left behind."""

from pathlib import Path

import httpx
import openai
import pytest

from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import StackServer

from . import release
from .conftest import LLM
from .servers import model, stack_server

pytestmark = pytest.mark.server


def chat(server: StackServer) -> str:
    for path in release.OPENAI_PATHS:
        http = httpx.Client(trust_env=False, timeout=60)
        url = f"{server.url}{path}"
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
            try:
                said = [{"role": "user", "content": "hi"}]
                made = client.chat.completions.create(model=f"nvidia/{LLM}", messages=said)
            except openai.NotFoundError:
                continue
            return made.choices[0].message.content
    raise AssertionError("the server has no OpenAI-style routes")


def test_a_server_starts_again_whatever_the_nim_says_of_its_model(tmp_path: Path) -> None:
    port = free_port()
    providers = {"nvidia": {"url": f"http://127.0.0.1:{port}", "max_retries": 0}}
    store = {"SQLITE_STORE_DIR": str(tmp_path / "store")}

    def start() -> StackServer:
        return stack_server(tmp_path, providers, [model("nvidia", LLM)], env=store)

    with start():
        pass  # without a NIM
    for context in (8192, 16384):
        with EmulatorServer(port=port, context=context), start() as server:
            assert chat(server)
