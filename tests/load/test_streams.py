"""Hundreds of streams at once: every token arrives once, in its own stream, in its place."""

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest

from llama_stack_provider_nvidia import stack

from . import records
from .answers import ENDS, Answer, Tally, compare
from .conftest import SCALE, Rig
from .observed import resting, settled

pytestmark = pytest.mark.server

STREAMS = max(int(500 * SCALE), 10)
TOKENS = 200
ROUNDS = 3
# Callers come one after the other; all are there long before the first stream ends.
APART_S = 0.004
PAUSE_S = 0.02
# What a round of streams after the first, which fills caches and arenas of the allocator, adds to
# memory: the least of them, since what is lost is lost in each round, and a fragmented arena grows
# once. Single rounds have measured -0.8 to 10.1 MiB.
MEMORY_MB = 8.0


def tokens(marker: str) -> list[str]:
    return [f" {marker}.{number:03}" for number in range(TOKENS)]


def chunk(text: str | None, reason: str | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    head = {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def script(marker: str) -> dict[str, Any]:
    sse = [*(chunk(token) for token in tokens(marker)), chunk(None, "stop"), "[DONE]"]
    return {"match": f'"{marker}"', "sse": sse, "chunk_delay_s": PAUSE_S}


async def all_at_once(loaded: Rig, http: httpx.AsyncClient, first: int) -> dict[str, Answer]:
    markers = [f"m{first + number:05}" for number in range(STREAMS)]
    loaded.nim.ask("script", [script(marker) for marker in markers])
    client = loaded.client(http)

    async def ask(number: int, marker: str) -> Answer:
        await asyncio.sleep(number * APART_S)
        return await client.ask(marker, stream=True)

    found = await asyncio.gather(*(ask(*item) for item in enumerate(markers)))
    return dict(zip(markers, found, strict=True))


@pytest.mark.timeout(300)
async def test_every_token_arrives_in_its_own_stream(loaded: Rig, http: httpx.AsyncClient) -> None:
    async def nudge() -> None:
        answer = await loaded.client(http).ask("hello", stream=True)
        assert answer.looks_complete, answer

    before = await resting(loaded.look, nudge)
    after = [before]
    tally = Tally()
    answers: dict[str, Answer] = {}
    for number in range(ROUNDS):
        answers |= await all_at_once(loaded, http, number * STREAMS)
        after.append(await settled(loaded.look, before, nudge))
    for marker, answer in answers.items():
        tally.add(compare(answer.text, tokens(marker)))
    broken = [a for a in answers.values() if not a.looks_complete or a.finish not in ENDS]
    at_once = sum(
        min(a.ended for a in answers.values()) > a.began for a in list(answers.values())[:STREAMS]
    )
    grown = round(min(b.memory_mb - a.memory_mb for a, b in pairwise(after[1:])), 1)
    records.write(
        f"streams-{'native' if stack.NATIVE else 'openai'}",
        release=records.release(),
        api="native" if stack.NATIVE else "OpenAI-style",
        streams=STREAMS,
        rounds=ROUNDS,
        tokens_each=TOKENS,
        at_once=at_once,
        carried=sum(len(answer.text.split()) for answer in answers.values()),
        lost=tally.lost,
        doubled=tally.doubled,
        mixed=tally.mixed,
        moved=tally.moved,
        broken=len(broken),
        events=sum(answer.events for answer in answers.values()),
        seconds=round(max(a.ended - a.began for a in answers.values()), 1),
        memory_mb=[held.memory_mb for held in after],
        memory_bound_mb=MEMORY_MB,
        before=before.as_json(),
        after=after[-1].as_json(),
        nim_connections=loaded.nim.connections(),
    )
    assert broken == []
    assert tally == Tally()
    assert at_once == STREAMS
    assert after[-1].more_than(before) == {}, after[-1].task_names
    assert loaded.nim.connections() <= 1
    assert grown < MEMORY_MB
