"""A response that somebody closes while its reader waits: the task that reads it ends, too."""

import asyncio
import time

import pytest

from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.nim.transport.body_reader import BodyReader
from nim_emulator import EmulatorServer

from .conftest import MODEL


@pytest.mark.parametrize("after_s", [0, 0.3], ids=["at once", "when much has piled up"])
async def test_a_response_that_was_closed_leaves_no_task(
    adapter: NVIDIAInferenceAdapter, nim: EmulatorServer, after_s: float
) -> None:
    said = [{"role": "user", "content": "count to 5000"}]
    body = {"model": MODEL, "messages": said, "max_tokens": 8000, "stream": True}
    response = await adapter.endpoint.send(await adapter.endpoint.plan(body), key=None)
    before = len(asyncio.all_tasks())
    reader = BodyReader(response)
    async for _ in reader:
        break
    await asyncio.sleep(after_s)
    # As the finalizer of a dropped stream does, before the stream's own end.
    await response.aclose()
    reader.stop()
    end = time.monotonic() + 3
    while len(asyncio.all_tasks()) > before and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) == before
