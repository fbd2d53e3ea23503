"""An hour's requests within minutes: nothing is wrong, and nothing is left behind."""

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from . import records
from .conftest import SCALE, Rig, http_client, rig
from .mix import Mix
from .nim_process import NIMProcess
from .observed import growth, memory, resting, settled

pytestmark = pytest.mark.server

REQUESTS = int(3600 * SCALE)
AT_ONCE = 24
# What never answers is given up after this, in the place of the ten minutes of the defaults.
TIMEOUT_S = 3.0
# 0.7.3 stores every chat, later than it answers. Where chats come faster than its SQLite file takes
# them, what waits piles up in memory, and in the end the server hangs, whoever the provider is. At
# 30 a second nothing does.
PER_SECOND = 36
MEMORY_MB = 8.0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """With a server that gives up soon."""
    folder = tmp_path_factory.mktemp("hour")
    limits = {"timeout": TIMEOUT_S, "total_timeout": 3 * TIMEOUT_S, "max_retries": 1}
    with NIMProcess(folder) as nim:
        yield from rig(folder, nim, **limits)


@pytest.mark.timeout(400)
async def test_an_hour_of_traffic(hasty: Rig) -> None:
    samples: list[float] = []

    async def sample() -> None:
        while True:
            samples.append(memory(hasty.server.pid))
            await asyncio.sleep(0.5)

    async with http_client(hasty) as http, httpx.AsyncClient(base_url=hasty.nim.url) as nim:

        async def nudge() -> None:
            assert await mix.whole("n0") == ""

        mix = Mix(hasty, http, nim)
        before = await resting(hasty.look, nudge)
        started = time.monotonic()
        watching = asyncio.create_task(sample())
        await mix.run(REQUESTS, AT_ONCE, PER_SECOND)
        watching.cancel()
        took = time.monotonic() - started
        hasty.nim.ask("faults", method="DELETE")
        await nim.aclose()
        after = await settled(hasty.look, before, nudge)
    grown = round(growth(samples), 1)
    records.write(
        "hour",
        release=records.release(),
        requests=REQUESTS,
        at_once=AT_ONCE,
        seconds=round(took),
        kinds=dict(mix.sent),
        faults=sum(sum(counts.values()) for counts in mix.faulted.values()),
        faults_right=sum(counts["right"] for counts in mix.faulted.values()),
        faults_error=sum(counts["error"] for counts in mix.faulted.values()),
        wrong=len(mix.wrong),
        memory_samples=len(samples),
        memory_grown_mb=grown,
        memory_bound_mb=MEMORY_MB,
        before=before.as_json(),
        after=after.as_json(),
        nim_connections=hasty.nim.connections(),
    )
    # What pytest shows of a test that failed.
    print(samples, *mix.wrong, sep="\n")
    assert mix.wrong == []
    assert sum(mix.sent.values()) == REQUESTS
    assert after.more_than(before) == {}, after.task_names
    assert hasty.nim.connections() <= 1
    assert grown < MEMORY_MB
