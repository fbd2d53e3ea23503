"""Bounded concurrency for a batch of requests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def bounded_map(
    function: Callable[[Item], Awaitable[Result]], items: Sequence[Item], limit: int
) -> list[Result]:
    """Await ``function`` of each item, at most ``limit`` at a time.

    Returns:
        The results in the order of the items.

    Raises:
        Exception: The first failure; what was still under way is cancelled.
    """
    semaphore = asyncio.Semaphore(limit)

    async def one(item: Item) -> Result:
        async with semaphore:
            return await function(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
