import asyncio

import pytest

from llama_stack_provider_nvidia.nim.transport.batch import bounded_map


class Work:
    """Counts how many calls are under way, and holds them until they are let go."""

    def __init__(self):
        self.under_way = self.most = 0
        self.began: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self.gate = asyncio.Event()

    async def __call__(self, item: int) -> int:
        self.began.append(item)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            await asyncio.sleep(0.001 * (10 - item % 10))  # later ones end first
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        finally:
            self.under_way -= 1
        self.ended.append(item)
        return item * 10


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the code under test knows no events)
            await asyncio.sleep(0)


async def test_results_come_in_the_order_of_the_items():
    work = Work()
    work.gate.set()
    assert await bounded_map(work, range(10), 10) == [item * 10 for item in range(10)]
    assert work.ended != sorted(work.ended)


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (3, 3), (100, 20)])
async def test_no_more_than_the_limit_are_under_way(limit, most):
    work = Work()
    running = asyncio.create_task(bounded_map(work, list(range(20)), limit))
    await until(lambda: work.under_way == most)
    work.gate.set()
    assert len(await running) == 20
    assert work.most == most


async def test_limit_is_used_up_again_as_soon_as_one_ends():
    gates = [asyncio.Event() for _ in range(4)]
    began = []

    async def wait(item):
        began.append(item)
        await gates[item].wait()

    running = asyncio.create_task(bounded_map(wait, range(4), 2))
    await until(lambda: began == [0, 1])
    gates[1].set()
    await until(lambda: began == [0, 1, 2])
    for gate in gates:
        gate.set()
    await running


async def test_nothing_to_do_is_done_at_once():
    assert await bounded_map(Work(), [], 3) == []


async def test_first_failure_is_raised_and_the_others_are_cancelled():
    work = Work()

    async def fail_at_three(item):
        if item == 3:
            await until(lambda: work.under_way == 3)
            raise ValueError("three")
        return await work(item)

    with pytest.raises(ValueError, match="three"):
        await bounded_map(fail_at_three, range(10), 4)
    assert work.cancelled[:3] == [0, 1, 2]
    assert work.under_way == 0
    assert work.cancelled == work.began
    assert set(work.began) <= {0, 1, 2, 4}  # of those that waited, one at most began


async def test_failure_while_others_fail_too_is_the_first_one():
    has_failed = asyncio.Event()

    async def fail(item):
        if item != 2:
            await has_failed.wait()
        has_failed.set()
        raise ValueError(item)

    with pytest.raises(ValueError, match="2"):
        await bounded_map(fail, range(3), 3)


async def test_cancelling_the_whole_cancels_all_and_leaves_nothing_behind():
    work = Work()
    running = asyncio.create_task(bounded_map(work, range(6), 2))
    await until(lambda: work.under_way == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.cancelled == [0, 1]
    assert work.began == [0, 1]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_timeout_around_the_whole_is_kept():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bounded_map(Work(), range(3), 2)
