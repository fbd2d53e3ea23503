"""Every fault of the emulator, met by this provider and by the one built into Llama Stack 0.2.12.

This provider must give the right answer or a clear error. What the other does is only recorded.
"""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import pytest
from nim_emulator.tls import TLS

from nim_emulator import FAULTS, EmulatorServer
from scripts.child_process import free_port

from . import asked, records
from .asked import BUILTIN, OURS
from .judged import CLEAR, GOOD, HANGS, RIGHT, of_answer, of_error

AT_ONCE = 16
BOTH = (OURS, BUILTIN)
# Three tries of a NIM that does not answer, and as much again.
HANG_S = 2 * 3 * asked.TIMEOUT_S + asked.TOTAL_S
# They speak of other answers than chats.
_FOREIGN = ("data", "rankings", "choices.*.text")

Case = tuple[dict[str, Any], str, bool]
Outcomes = dict[str, dict[str, Counter[str]]]


def orders(name: str, stream: bool) -> Iterator[dict[str, Any]]:
    """The fault with each of its choices, where it is for such a request."""
    kind = FAULTS[name]
    if kind.only is not None and (kind.only == "stream") != stream:
        return
    for variant in kind.variants():
        if not str(variant.get("field", "")).startswith(_FOREIGN):
            yield {"fault": name, **variant}


def cases(names: list[str]) -> list[Case]:
    return [
        (order, way, stream)
        for name in names
        for stream in (False, True)
        for order in orders(name, stream)
        for way in asked.WAYS
    ]


@pytest.fixture(scope="module")
def nim() -> Iterator[EmulatorServer]:
    with EmulatorServer() as made:
        yield made


@pytest.fixture
async def providers(nim: EmulatorServer) -> AsyncIterator[dict[str, Any]]:
    async with asked.provider(OURS, nim.url) as ours, asked.provider(BUILTIN, nim.url) as builtin:
        yield {OURS: ours, BUILTIN: builtin}


async def outcome(adapter: Any, prompt: str, case: Case) -> tuple[str, str]:
    """Ask once; gives the outcome, and what there is to say of it."""
    order, way, stream = case
    try:
        async with asyncio.timeout(HANG_S) as limit:
            seen = await asked.WAYS[way](adapter, prompt, stream)
    except Exception as error:
        if limit.expired():
            return HANGS, f"no end after {HANG_S} s"
        return of_error(error), f"{type(error).__name__}: {error}"[:160]
    return of_answer(order, seen), f"{seen}"[:160]


class Table:
    """Outcomes of each fault and provider, and an example of each that is no good."""

    def __init__(self) -> None:
        self.counts: Outcomes = defaultdict(lambda: defaultdict(Counter))
        self.examples: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))

    def add(self, provider: str, case: Case, found: tuple[str, str]) -> None:
        order, way, stream = case
        name = order["fault"]
        self.counts[name][provider][found[0]] += 1
        if found[0] not in GOOD:
            what = f"{order}, {way}, {'streamed' if stream else 'whole'}: {found[1]}"
            self.examples[name][provider].setdefault(found[0], what)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    records.write(
        "faults",
        release=records.release(),
        at_once=AT_ONCE,
        timeout_s=asked.TIMEOUT_S,
        total_timeout_s=asked.TOTAL_S,
        retries=asked.RETRIES,
        hang_s=HANG_S,
        faults={
            name: {
                provider: {"outcomes": dict(counts), "examples": made.examples[name][provider]}
                for provider, counts in made.counts[name].items()
            }
            for name in FAULTS
            if name in made.counts
        },
    )


SINGLE = [name for name, kind in FAULTS.items() if kind.play is not None and kind.kind != "port"]


def bad(table: Table, names: list[str]) -> dict[str, dict[str, str]]:
    return {n: table.examples[n][OURS] for n in names if table.examples[n][OURS]}


@pytest.mark.timeout(300)
async def test_faults_of_one_request(
    nim: EmulatorServer, providers: dict[str, Any], table: Table
) -> None:
    numbered = enumerate(itertools.product(cases(SINGLE), providers))

    async def work() -> None:
        for number, (case, provider) in numbered:
            marker = f"n{number:06}"
            nim.faults([{**case[0], "match": marker, "times": None}])
            found = await outcome(providers[provider], f"{marker}: count to 6", case)
            table.add(provider, case, found)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    nim.clear()
    assert bad(table, SINGLE) == {}


async def test_faults_of_the_port(nim: EmulatorServer, table: Table) -> None:
    for case, name in itertools.product(cases(["refuse", "restart"]), BOTH):
        nim.clear()
        # Without connections that are open already.
        async with asked.provider(name, nim.url) as adapter:
            nim.faults([{**case[0], "seconds": 0.3}])
            table.add(name, case, await outcome(adapter, "count to 6", case))
    nim.clear()
    assert bad(table, ["refuse", "restart"]) == {}


async def test_names_that_lead_nowhere(table: Table) -> None:
    for case, name in itertools.product(cases(["dns"]), BOTH):
        async with asked.provider(name, f"http://nim.invalid:{free_port()}") as adapter:
            found = await outcome(adapter, "count to 6", case)
        table.add(name, case, found)
        assert name == BUILTIN or found[0] == CLEAR, found


@pytest.mark.parametrize("kind", get_args(TLS))
async def test_certificates_that_are_not_to_be_trusted(table: Table, kind: TLS) -> None:
    with EmulatorServer(tls=kind) as nim:
        for way, stream, name in itertools.product(asked.WAYS, (False, True), BOTH):
            case = ({"fault": "tls", "certificate": kind}, way, stream)
            async with asked.provider(name, nim.url) as adapter:
                found = await outcome(adapter, "count to 6", case)
            # Nobody told them to trust this authority.
            assert found[0] != RIGHT
            table.add(name, case, found)
            assert name == BUILTIN or found[0] == CLEAR, found


def test_no_fault_is_left_out(table: Table) -> None:
    assert table.counts.keys() == FAULTS.keys()
    assert all(set(counts) == set(BOTH) for counts in table.counts.values())
