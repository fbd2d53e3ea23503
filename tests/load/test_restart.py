"""A NIM that ends under load and comes back, and clients that leave.

What is in flight fails and says so, nothing cut short looks complete, and the server needs no
restart.
"""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from . import records
from .answers import ENDS, Answer, Client
from .conftest import SCALE, Rig, http_client, rig
from .nim_process import NIMProcess

pytestmark = pytest.mark.server

WORKERS = max(int(40 * SCALE), 8)
LEAVERS = max(int(50 * SCALE), 10)
RATE = 150
COUNT = 200
TEXT = " ".join(str(number) for number in range(1, COUNT + 1))
LOADED_S = 3.0
DOWN_S = 3.0
AFTER_S = 3.0
# Three tries with 0.5 and 1 seconds between, and time for a server with much to do.
LIMIT_S = 5.0
# A try that is just waiting for its next second, and an answer among those of all the others, which
# start at once: 0.1 to 2.9 s on two cores.
BACK_S = 10.0
# All but those that a busy machine keeps: they have until the second limit.
STOP_S = 1.0
LAST_STOP_S = 5.0


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """In front of a NIM that takes its time, as a model does."""
    folder = tmp_path_factory.mktemp("paced")
    with NIMProcess(folder, tokens_per_second=RATE) as nim:
        yield from rig(folder, nim)


@dataclass
class Moments:
    """When what happened (monotonic), and what came of each request."""

    gone: float = 0.0
    back: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    probes: list[Answer] = field(default_factory=list)


def right(answer: Answer, text: str = TEXT) -> bool:
    return answer.looks_complete and answer.text == text and answer.finish in ENDS


async def keep_asking(client: Client, moments: Moments, *, stream: bool) -> None:
    while not moments.back or time.monotonic() < moments.back + AFTER_S:
        answer = await client.ask(f"count to {COUNT}", stream=stream, max_tokens=2000)
        moments.answers.append(answer)


async def probe(client: Client, moments: Moments) -> None:
    while not moments.back or time.monotonic() < moments.back + AFTER_S:
        moments.probes.append(await client.ask("count to 2", stream=False))
        await asyncio.sleep(0.05)


async def restart(paced: Rig, end: Callable[[], None]) -> Moments:
    moments = Moments()
    async with http_client(paced) as http:
        client = paced.client(http, native=False)
        asking = [keep_asking(client, moments, stream=n % 2 == 0) for n in range(WORKERS)]
        load = asyncio.gather(*asking, probe(client, moments))
        await asyncio.sleep(LOADED_S)
        moments.gone = time.monotonic()
        await asyncio.to_thread(end)
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(paced.nim.start)
        moments.back = time.monotonic()
        await load
    return moments


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_nim_that_restarts_under_load(paced: Rig, how: str) -> None:
    process = paced.server.pid
    moments = await restart(paced, paced.nim.kill if how == "killed" else paced.nim.stop)
    every = [*moments.answers, *moments.probes]
    texts = {id(answer): TEXT for answer in moments.answers}
    wrong = [a for a in every if a.looks_complete and not right(a, texts.get(id(a), "1 2"))]
    unclear = [
        a
        for a in every
        if not a.looks_complete and not (a.status in (200, 502, 504) and "NIM" in a.problem)
    ]
    before = [a for a in every if a.ended < moments.gone]
    flying = [a for a in every if a.began < moments.gone <= a.ended]
    down = [a for a in every if moments.gone <= a.began and a.ended < moments.back]
    after = [a for a in every if a.began >= moments.back]
    first = min(a.ended for a in moments.probes if a.looks_complete and a.ended > moments.back)
    # Graceful ends let a request go on, and a request may wait for its next try.
    slow = [a for a in down if a.ended - a.began > LIMIT_S]
    records.write(
        f"restart-{how}",
        release=records.release(),
        how=how,
        requests=len(every),
        in_flight=len(flying),
        in_flight_failed=sum(not a.looks_complete for a in flying),
        in_flight_right=sum(a.looks_complete for a in flying),
        while_down=len(down),
        while_down_right=sum(a.looks_complete for a in down),
        slowest_refusal_s=round(max((a.ended - a.began for a in down), default=0), 2),
        limit_s=LIMIT_S,
        after=len(after),
        after_failed=sum(not a.looks_complete for a in after),
        recovery_s=round(first - moments.back, 2),
        looked_complete=len(wrong),
        unclear=len(unclear),
    )
    assert wrong == []
    assert Counter(a.problem for a in unclear) == {}
    assert all(a.looks_complete for a in before)
    assert before
    assert any(not a.looks_complete for a in flying), "nothing was in flight"
    assert len(down) > WORKERS // 2
    assert slow == []
    assert all(a.looks_complete for a in after)
    assert first - moments.back < BACK_S
    assert paced.server.pid == process


async def leave(client: Client, marker: int) -> float:
    """Read the beginning of a stream and leave; gives the moment (Unix time)."""
    body = client.body(f"count to {5000 + marker}", stream=True, max_tokens=8000)
    async with client.http.stream("POST", client.path, json=body) as response:
        assert response.status_code == 200
        async for _ in response.aiter_raw():
            break
        await asyncio.sleep(marker % 10 / 10)
    return time.time()


@pytest.mark.timeout(60)
async def test_a_client_that_leaves_stops_the_nim(paced: Rig) -> None:
    paced.nim.ask("requests", method="DELETE")
    async with http_client(paced) as http:
        client = paced.client(http, native=False)
        left = await asyncio.gather(*(leave(client, number) for number in range(LEAVERS)))
    end = time.monotonic() + LAST_STOP_S
    while True:
        chats = [r for r in paced.nim.ask("requests") if r["path"] == "/v1/chat/completions"]
        if all(r["disconnected_at"] for r in chats) or time.monotonic() > end:
            break
        await asyncio.sleep(0.1)
    late = []
    for request in chats:
        number = int(request["body"]["messages"][0]["content"].split()[-1]) - 5000
        stopped = request["disconnected_at"]
        late.append(float("inf") if stopped is None else stopped - left[number])
    records.write(
        "leaving",
        release=records.release(),
        clients=len(left),
        still_running=late.count(float("inf")),
        slowest_stop_s=round(max(value for value in late if value != float("inf")), 3),
        limit_s=STOP_S,
    )
    assert len(late) == LEAVERS
    assert statistics.median(late) < STOP_S
    assert max(late) < LAST_STOP_S
