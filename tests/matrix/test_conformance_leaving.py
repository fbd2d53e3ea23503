"""A caller who leaves while a whole answer is made."""

import time
from typing import Any

import openai
import pytest

from llama_stack_provider_nvidia.emulator import EmulatorServer
from tests.conformance.cases import HELLO

from .conftest import MODEL

pytestmark = pytest.mark.server


@pytest.mark.parametrize("completion", [False, True])
def test_x(client: openai.OpenAI, nim: EmulatorServer, completion: bool) -> None:
    path = "/v1/completions" if completion else "/v1/chat/completions"
    nim.script([{"path": path, "delay_s": 12, "body": {"choices": []}}])
    hasty = client.with_options(timeout=1.0)
    fields: Any = {"prompt": "hi"} if completion else {"messages": HELLO}
    ask: Any = hasty.completions.create if completion else hasty.chat.completions.create
    with pytest.raises(openai.APITimeoutError):
        ask(model=MODEL, **fields)
    deadline = time.monotonic() + 5
    while not nim.requests[-1].disconnected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert nim.requests[-1].disconnected
