"""Clients of event loops that come and go, as with the library client of Llama Stack."""

import asyncio
import gc
import os
import warnings
from pathlib import Path

import httpx

from llama_stack_provider_nvidia.emulator import EmulatorServer
from llama_stack_provider_nvidia.nim.transport.client import ClientPool, Transport


def sockets() -> int:
    """Open sockets of this process (Linux)."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += os.readlink(link).startswith("socket:")
        except OSError:  # the folder itself was open
            continue
    return count


def test_loops_that_have_ended_leave_no_connections() -> None:
    with EmulatorServer() as nim:
        pool = ClientPool(Transport(f"{nim.url}/v1"))

        async def ask(*, close: bool = False) -> int:
            with pool.lease(None) as lease:
                answer = await lease.client.get("/models", cast_to=httpx.Response)
            assert answer.status_code == 200
            count = sockets()
            if close:
                await pool.aclose()
            return count

        # The connection of a loop that has ended can only be closed by Python, which warns of it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            first = asyncio.run(ask())
            for _ in range(5):
                asyncio.run(ask())
                gc.collect()
            last = asyncio.run(ask(close=True))
            gc.collect()
    assert last <= first + 2  # its own, and the one before
