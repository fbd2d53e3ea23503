"""Turns: how many at a time, how many per minute, and whose is next."""

import asyncio
import random

import pytest

from llama_stack_provider_nvidia.nim.errors import RateLimitError
from llama_stack_provider_nvidia.nim.transport import gate
from llama_stack_provider_nvidia.nim.transport.gate import Gate

SECONDS = 5.0


async def enter(one: Gate, key: str | None = None, seconds: float = SECONDS) -> None:
    await one.enter(key, seconds, "http://nim/v1")


async def test_no_more_than_so_many_at_a_time() -> None:
    one, inside, most = Gate(concurrent=3), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        await enter(one)
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1
        one.leave()

    await asyncio.gather(*(visit() for _ in range(50)))
    assert (most, inside) == (3, 0)
    assert await one.drained(0.1)


async def test_keys_take_turns() -> None:
    one, order = Gate(concurrent=1), []
    await enter(one)

    async def visit(key: str) -> None:
        await enter(one, key)
        order.append(key)
        one.leave()

    visits = [asyncio.create_task(visit(key)) for key in ["busy"] * 6 + ["calm", "other"]]
    await asyncio.sleep(0)
    one.leave()
    await asyncio.gather(*visits)
    assert order == ["busy", "calm", "other"] + ["busy"] * 5


async def test_so_many_per_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_MINUTE", 0.2)
    one, loop = Gate(per_minute=3), asyncio.get_running_loop()
    began, times = loop.time(), []
    for _ in range(7):
        await enter(one)
        times.append(loop.time() - began)
        one.leave()
    assert times[2] < 0.2 <= times[3]
    assert times[5] < 0.4 <= times[6]


async def test_a_turn_that_does_not_come_is_an_error_that_names_the_settings() -> None:
    one = Gate(concurrent=1)
    await enter(one)
    with pytest.raises(RateLimitError, match="max_concurrent_requests") as caught:
        await enter(one, seconds=0.01)
    assert caught.value.status_code == 429
    one.leave()
    await enter(one, seconds=0.01)  # its place in the line was given up
    one.leave()


async def test_whoever_gives_up_holds_up_nobody() -> None:
    """Many leave at random moments, also in that of their turn; none is lost, nobody stuck."""
    one, served, chance = Gate(concurrent=2), 0, random.Random(7)

    async def visit() -> None:
        nonlocal served
        await enter(one, str(chance.randrange(4)))
        try:
            await asyncio.sleep(0)
            served += 1
        finally:
            one.leave()

    tasks = [asyncio.create_task(visit()) for _ in range(300)]
    while any(not task.done() for task in tasks):
        await asyncio.sleep(0)
        chance.choice(tasks).cancel()
        chance.choice(tasks).cancel()
    assert 0 < served < 300
    assert await one.drained(0.1)
    await enter(one, seconds=0.1)
    await enter(one, seconds=0.1)
    assert not await one.drained(0.01)


def test_each_loop_has_its_own_turns() -> None:
    one = Gate(concurrent=1)

    async def visit() -> None:
        await enter(one, seconds=0.1)

    asyncio.run(visit())  # left with its loop
    asyncio.run(visit())
