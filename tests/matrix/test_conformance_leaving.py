"""A whole answer that nobody waits for any more.

No server cancels one when its client goes away, so that here the call itself is cancelled.
"""

import asyncio
from typing import Any

import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from nim_emulator import EmulatorServer

from .conftest import LLM
from .test_adapter import COUNT, call, leave_once_asked, until

CALLS: dict[str, dict[str, Any]] = {
    "openai_chat_completion": {"messages": COUNT},
    "openai_completion": {"prompt": "count to 5000"},
}
if stack.REASONING:
    CALLS["openai_chat_completions_with_reasoning"] = {"messages": COUNT}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("method", CALLS)
async def test_a_cancelled_call_lets_go_of_the_nim(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, method: str, again: bool
) -> None:
    fields = {"model": LLM, **CALLS[method]}
    await call(adapter, method, **fields, max_tokens=1)
    nim.clear()
    path = "/v1/completions" if "prompt" in fields else "/v1/chat/completions"
    nim.script([{"path": path, "delay_s": 20, "body": {"choices": []}}])
    if again:  # as servers from 0.5 on cancel: at every await
        await leave_once_asked(nim, call(adapter, method, **fields))
    else:
        task = asyncio.create_task(call(adapter, method, **fields))
        await until(lambda: nim.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: nim.requests[-1].disconnected)
