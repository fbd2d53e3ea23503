"""The traffic of an hour: every kind of request, clients that leave, mistakes, and faults."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from nim_emulator import FAULTS
from tests.matrix import release

from .answers import ENDS, Answer, Client
from .conftest import Rig
from .nim_process import EMBEDDER, RERANKER

Way = Callable[["Mix", str], Awaitable[str]]
COUNT = 30
TEXT = " ".join(str(number) for number in range(1, COUNT + 1))
# Those of the port are for all who are there: see test_restart.
SINGLE_FAULTS = [
    name for name, kind in FAULTS.items() if kind.play is not None and kind.kind != "port"
]
# What they say is an answer, though another than was asked for.
_OTHER_TEXT = {"no-content": "", "tool-calls": ""}
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass
class Mix:
    """Sends each kind of request in turn, and keeps what went wrong.

    Attributes:
        loaded: The server and the NIM.
        http: Connections to the server.
        nim: Connections to the NIM, for ordering faults.
        sent: Number of requests of each kind.
        wrong: What was not as it must be.
        faulted: Of each fault, how often the answer was right and how often an error said why.
    """

    loaded: Rig
    http: httpx.AsyncClient
    nim: httpx.AsyncClient
    sent: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    faulted: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        """For OpenAI-style chats, which every release has."""
        return self.loaded.client(self.http, native=False)

    async def run(self, total: int, at_once: int, per_second: float) -> None:
        """Send so many requests, so many at a time and a second at most."""
        plan = enumerate(itertools.islice(itertools.cycle(PLAN), total))
        started = time.monotonic()
        await asyncio.gather(*(self._work(plan, started, per_second) for _ in range(at_once)))

    async def _work(self, plan: Any, started: float, per_second: float) -> None:
        for number, name in plan:
            await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
            try:
                problem = await WAYS[name](self, f"n{number:06}")
            except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
                problem = repr(error)
            self.sent[name] += 1
            if problem:
                self.wrong.append(f"{name} {number}: {problem}")

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send a request of another kind than chat."""
        return await self.http.post(path, json=body)

    async def whole(self, marker: str) -> str:
        """A chat."""
        return _wrong(await self.client.ask(f"{marker}: count to {COUNT}", stream=False))

    async def streamed(self, marker: str) -> str:
        """A streamed chat."""
        return _wrong(await self.client.ask(f"{marker}: count to {COUNT}", stream=True))

    async def tools(self, marker: str) -> str:
        """A chat that must call a tool."""
        prompt = f"{marker}: what is the weather in Paris?"
        more = {"tools": [_TOOL], "tool_choice": "required"}
        body = self.client.body(prompt, stream=False, **more)
        answer = await self.post(self.client.path, body)
        (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
        json.loads(call["function"]["arguments"])
        return "" if call["function"]["name"] == "get_weather" else str(call)

    async def schema(self, marker: str) -> str:
        """A chat with an answer of a given form."""
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": _SCHEMA}}
        answer = await self.client.ask(f"{marker}: who?", stream=True, response_format=form)
        made = json.loads(answer.text)
        return "" if made.keys() == {"name", "age"} else answer.text

    async def embedding(self, marker: str) -> str:
        """Eight texts to embed."""
        texts = [f"{marker} {number}" for number in range(8)]
        body = {"model": f"nim/{EMBEDDER}", "input": texts}
        data = (await self.post(f"{self.loaded.openai_path}/embeddings", body)).json()["data"]
        return "" if [len(one["embedding"]) for one in data] == [1024] * 8 else str(len(data))

    async def rerank(self, marker: str) -> str:
        """Three texts to put in order."""
        items = ["the sea is deep", f"{marker} has two moons", "moons are round"]
        query = f"how many moons does {marker} have"
        body = {"model": f"nim/{RERANKER}", "query": query, "items": items}
        answer = (await self.post("/v1alpha/inference/rerank", body)).json()
        return "" if answer["data"][0]["index"] == 1 else str(answer)

    async def leaving(self, marker: str) -> str:
        """A client that leaves in the middle of a stream."""
        body = self.client.body(f"{marker}: count to 3000", stream=True, max_tokens=6000)
        async with self.http.stream("POST", self.client.path, json=body) as response:
            async for _ in response.aiter_raw():
                break
        return "" if response.status_code == 200 else str(response.status_code)

    async def mistake(self, marker: str) -> str:
        """A request that cannot be carried out: each of three sorts in turn."""
        wrong: list[dict[str, Any]] = [
            {"model": "nim/no-such-model"},
            {"temperature": -1},
            {"max_tokens": 10**9},
        ]
        more = wrong[int(marker[1:]) % len(wrong)]
        body = self.client.body(marker, stream=False) | more
        answer = await self.post(self.client.path, body)
        return "" if 400 <= answer.status_code < 500 else f"{more} {answer.text}"

    async def fault(self, marker: str) -> str:
        """A chat, whole or streamed, that meets a fault: each fault in turn."""
        number = sum(sum(counts.values()) for counts in self.faulted.values())
        name = SINGLE_FAULTS[number % len(SINGLE_FAULTS)]
        only = FAULTS[name].only
        stream = only == "stream" or (only is None and number // len(SINGLE_FAULTS) % 2 == 1)
        counts = self.faulted.setdefault(name, Counter())
        counts["under way"] += 1
        order = [{"fault": name, "match": marker, "times": None}]
        (await self.nim.post("/emulator/faults", json=order)).raise_for_status()
        answer = await self.client.ask(f"{marker}: count to {COUNT}", stream=stream)
        counts["under way"] -= 1
        if answer.looks_complete:
            counts["right"] += 1
            text = _OTHER_TEXT.get(name, TEXT)
            return "" if answer.text == text else f"{name} looks complete: {answer.text!r}"
        counts["error"] += 1
        hidden = not answer.status or "Internal" in answer.problem or not answer.problem
        return f"{name}: no clear error: {answer}" if hidden else ""


def _wrong(answer: Answer) -> str:
    right = answer.looks_complete and answer.text == TEXT and answer.finish in ENDS
    return "" if right else str(answer)


WAYS: dict[str, Way] = {
    "chat": Mix.whole,
    "streamed chat": Mix.streamed,
    "tool call": Mix.tools,
    "JSON schema": Mix.schema,
    "embeddings": Mix.embedding,
    "client that leaves": Mix.leaving,
    "bad request": Mix.mistake,
    "fault": Mix.fault,
}
if release.RANKS:
    WAYS["rerank"] = Mix.rerank


def _plan() -> Sequence[str]:
    """Forty requests: how often each kind comes."""
    often = {"chat": 7, "streamed chat": 12, "tool call": 4, "JSON schema": 4, "embeddings": 4}
    often |= {"rerank": 2, "client that leaves": 2, "bad request": 2, "fault": 3}
    made: list[tuple[float, str]] = []
    for name, times in often.items():
        if name in WAYS:
            made += [((number + 0.5) / times, name) for number in range(times)]
    return [name for _, name in sorted(made)]


PLAN = _plan()
