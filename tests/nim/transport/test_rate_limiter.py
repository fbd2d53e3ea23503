"""Turns: how many at a time, how many per minute, and whose is next."""

import asyncio
import random

import pytest

from llama_stack_provider_nvidia.nim.errors import RateLimitError
from llama_stack_provider_nvidia.nim.transport import rate_limiter
from llama_stack_provider_nvidia.nim.transport.rate_limiter import RateLimiter

SECONDS = 5.0


async def acquire(one: RateLimiter, key: str | None = None, seconds: float = SECONDS) -> None:
    await one.acquire(key, seconds, "http://nim/v1")


async def test_no_more_than_so_many_at_a_time() -> None:
    one, inside, most = RateLimiter(concurrent=3), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        await acquire(one)
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1
        one.release()

    await asyncio.gather(*(visit() for _ in range(50)))
    assert (most, inside) == (3, 0)
    assert await one.drained(0.1)


async def test_keys_take_turns() -> None:
    one, order = RateLimiter(concurrent=1), []
    await acquire(one)

    async def visit(key: str) -> None:
        await acquire(one, key)
        order.append(key)
        one.release()

    visits = [asyncio.create_task(visit(key)) for key in ["busy"] * 6 + ["calm", "other"]]
    await asyncio.sleep(0)
    one.release()
    await asyncio.gather(*visits)
    assert order == ["busy", "calm", "other"] + ["busy"] * 5


async def test_so_many_per_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limiter, "_MINUTE", 1.5)
    one, loop = RateLimiter(per_minute=3), asyncio.get_running_loop()
    began, times = loop.time(), []
    for _ in range(7):
        await acquire(one)
        times.append(loop.time() - began)
        one.release()
    assert times[2] < 1.5 <= times[3]
    assert times[5] < 3 <= times[6]


async def test_a_turn_that_does_not_come_is_an_error_that_names_the_settings() -> None:
    one = RateLimiter(concurrent=1)
    await acquire(one)
    with pytest.raises(RateLimitError, match="max_concurrent_requests") as caught:
        await acquire(one, seconds=0.01)
    assert caught.value.status_code == 429
    one.release()
    await acquire(one, seconds=0.01)  # its place in the line was given up
    one.release()


async def test_whoever_gives_up_holds_up_nobody() -> None:
    """Many leave at random moments, also in that of their turn; none is lost, nobody stuck."""
    one, served, chance = RateLimiter(concurrent=2), 0, random.Random(7)

    async def visit() -> None:
        nonlocal served
        await acquire(one, str(chance.randrange(4)))
        try:
            await asyncio.sleep(0)
            served += 1
        finally:
            one.release()

    tasks = [asyncio.create_task(visit()) for _ in range(300)]
    while any(not task.done() for task in tasks):
        await asyncio.sleep(0)
        chance.choice(tasks).cancel()
        chance.choice(tasks).cancel()
    assert 0 < served < 300
    assert await one.drained(0.1)
    await acquire(one, seconds=0.1)
    await acquire(one, seconds=0.1)
    assert not await one.drained(0.01)


def test_each_loop_has_its_own_turns() -> None:
    one = RateLimiter(concurrent=1)

    async def visit() -> None:
        await acquire(one, seconds=0.1)

    asyncio.run(visit())  # left with its loop
    asyncio.run(visit())


async def test_further_attempts_count_per_minute_and_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limiter, "_MINUTE", 1.5)
    one, order = RateLimiter(concurrent=1, per_minute=2), []
    await acquire(one)
    await one.acquire_attempt(SECONDS, "http://nim/v1")
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def attempt() -> None:
        await one.acquire_attempt(SECONDS, "http://nim/v1")
        order.append("attempt")
        one.release()

    async def request() -> None:
        await acquire(one)
        order.append("request")

    await asyncio.gather(request(), attempt())
    assert order == ["attempt", "request"]
    assert loop.time() - began > 0.2
    with pytest.raises(RateLimitError):
        await one.acquire_attempt(0.01, "http://nim/v1")
    one.release()
    assert await one.drained(0.1)


async def test_an_attempt_that_is_given_up_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limiter, "_MINUTE", 0.2)
    one = RateLimiter(per_minute=1)
    await acquire(one)
    waiting = asyncio.create_task(one.acquire_attempt(SECONDS, "http://nim/v1"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await acquire(one, seconds=2)
