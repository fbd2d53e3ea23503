"""Clients of event loops that come and go, as with the library client of Llama Stack."""

import asyncio
import gc
import os
import threading
import warnings
from pathlib import Path

import httpx

from llama_stack_provider_nvidia.nim.transport.client_pool import ClientPool, TransportSettings
from nim_emulator import EmulatorServer


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
        pool = ClientPool(TransportSettings(f"{nim.url}/v1"))

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


def test_threads_may_forget_the_same_ended_loop() -> None:
    """Loops of several threads that have ended are forgotten by whoever comes next."""
    problems: list[BaseException] = []
    pool = ClientPool(TransportSettings("http://127.0.0.1:9/v1"))

    async def use() -> None:
        with pool.lease(None):
            await asyncio.sleep(0)

    def run(start: threading.Barrier) -> None:
        try:
            for _ in range(10):
                loop = asyncio.new_event_loop()
                start.wait(60)
                loop.run_until_complete(use())
                loop.close()
        except BaseException as error:
            problems.append(error)
            start.abort()

    start = threading.Barrier(4)
    threads = [threading.Thread(target=run, args=(start,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_the_sdk_is_handed_a_client_of_httpx() -> None:
    """Whichever it makes itself: so responses and errors are of one kind in all its versions."""

    async def client() -> object:
        with ClientPool(TransportSettings("http://127.0.0.1:9/v1")).lease(None) as lease:
            return lease.client._client

    assert isinstance(asyncio.run(client()), httpx.AsyncClient)
