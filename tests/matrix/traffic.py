"""Requests of several tenants at once, and a record of what of them arrives at a NIM."""

import asyncio
import base64
import bisect
import itertools
import json
import re
import struct
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from nim_emulator.record import RecordedRequest, Recorder
from nim_emulator.retrieval.vectors import features, vector

from . import release

MARKER = re.compile(r"marker\d{6}x")
_SECONDS = 60


class Ledger(Recorder):
    """Keeps all requests, where the emulator's own keeps the last thousand."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[RecordedRequest] = []
        self.opened_at: dict[int, list[float]] = defaultdict(list)

    def open(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> RecordedRequest:
        record = super().open(method, path, headers, body)
        self.all.append(record)
        return record

    def connected(self, connection: object, port: int) -> None:
        self.opened_at[port].append(time.time())
        super().connected(connection, port)

    def clear_requests(self) -> None:
        super().clear_requests()
        self.all.clear()

    def connection(self, record: RecordedRequest) -> tuple[int, int]:
        """Tell which connection a request came on: a port, and how often it was in use before."""
        assert record.client_port is not None
        before = bisect.bisect_right(self.opened_at[record.client_port], record.received_at)
        return record.client_port, before


@dataclass(frozen=True)
class Caller:
    """Somebody who sends requests.

    Attributes:
        provider: Id of the provider whose models are asked for.
        data: What the provider data of each request holds; None for requests without.
        key: The key that must arrive at the NIM, None for none.
    """

    provider: str
    data: Mapping[str, str] | None
    key: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request."""
        return {} if self.data is None else {release.PROVIDER_DATA_HEADER: json.dumps(self.data)}


@dataclass(frozen=True)
class Exchange:
    """One request and what came of it.

    Attributes:
        marker: The word that no other request has.
        caller: Who sent it.
        way: How it was sent.
        problem: What is wrong with the answer, empty when nothing is.
    """

    marker: str
    caller: Caller
    way: str
    problem: str


Way = Callable[["Sender", Caller, str], Awaitable[str]]


class Sender:
    """Sends requests in every way that the installed release has, and checks their answers."""

    def __init__(self, http: httpx.AsyncClient, openai_path: str, llm: str, embedder: str) -> None:
        """Initialize without sending anything.

        Args:
            http: A client of the server; its connections are used for all callers in turn.
            openai_path: Where the OpenAI-style routes are.
            llm: The NIM's id of the model that chats.
            embedder: The NIM's id of the model that embeds.
        """
        self._http = http
        self._openai = openai_path
        self._llm = llm
        self._embedder = embedder

    async def send(self, way: str, caller: Caller, marker: str) -> Exchange:
        """Send a request and check that the answer is its own."""
        try:
            problem = await WAYS[way](self, caller, marker)
        except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
            problem = repr(error)
        return Exchange(marker, caller, way, problem)

    async def chat(self, caller: Caller, marker: str) -> str:
        answer = await self._post(
            caller, f"{self._openai}/chat/completions", self._chat_of(caller, marker)
        )
        return _wrong(answer.text, marker)

    async def streamed_chat(self, caller: Caller, marker: str) -> str:
        body = self._chat_of(caller, marker) | {"stream": True}
        answer = await self._post(caller, f"{self._openai}/chat/completions", body)
        deltas = [event["choices"][0]["delta"] for event in _events(answer) if event["choices"]]
        return _wrong("".join(delta.get("content") or "" for delta in deltas), marker)

    async def completion(self, caller: Caller, marker: str) -> str:
        body = {"model": f"{caller.provider}/{self._llm}", "prompt": marker, "max_tokens": 40}
        return _wrong((await self._post(caller, f"{self._openai}/completions", body)).text, marker)

    async def embedding(self, caller: Caller, marker: str) -> str:
        body = {"model": f"{caller.provider}/{self._embedder}", "input": marker}
        body["encoding_format"] = "base64"
        answer = await self._post(caller, f"{self._openai}/embeddings", body)
        packed = base64.b64decode(answer.json()["data"][0]["embedding"])
        return self._wrong_vector(struct.unpack(f"<{len(packed) // 4}f", packed), marker)

    async def native_chat(self, caller: Caller, marker: str) -> str:
        answer = await self._post(
            caller, "/v1/inference/chat-completion", self._native_chat_of(caller, marker)
        )
        return _wrong(answer.json()["completion_message"]["content"], marker)

    async def streamed_native_chat(self, caller: Caller, marker: str) -> str:
        body = self._native_chat_of(caller, marker) | {"stream": True}
        answer = await self._post(caller, "/v1/inference/chat-completion", body)
        deltas = [event["event"]["delta"] for event in _events(answer)]
        return _wrong("".join(delta.get("text", "") for delta in deltas), marker)

    async def native_embedding(self, caller: Caller, marker: str) -> str:
        body = {"model_id": f"{caller.provider}/{self._embedder}", "contents": [marker]}
        answer = await self._post(caller, "/v1/inference/embeddings", body)
        return self._wrong_vector(answer.json()["embeddings"][0], marker)

    async def _post(self, caller: Caller, path: str, body: Mapping[str, Any]) -> httpx.Response:
        answer = await self._http.post(path, json=body, headers=caller.headers, timeout=_SECONDS)
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}: {answer.text}")
        return answer

    def _chat_of(self, caller: Caller, marker: str) -> dict[str, Any]:
        said = {"role": "user", "content": f"{marker} is what I say"}
        return {"model": f"{caller.provider}/{self._llm}", "messages": [said]}

    def _native_chat_of(self, caller: Caller, marker: str) -> dict[str, Any]:
        said = {"role": "user", "content": f"{marker} is what I say"}
        return {"model_id": f"{caller.provider}/{self._llm}", "messages": [said]}

    def _wrong_vector(self, values: Sequence[float], marker: str) -> str:
        expected = vector(self._embedder, features(marker), len(values))
        far = max(abs(one - other) for one, other in zip(values, expected, strict=True))
        return "" if far < 1e-5 else f"the vector is not that of {marker}"


_EVERYWHERE: dict[str, Way] = {
    "chat": Sender.chat,
    "streamed chat": Sender.streamed_chat,
    "completion": Sender.completion,
    "embedding": Sender.embedding,
}
_NATIVE: dict[str, Way] = {
    "native chat": Sender.native_chat,
    "streamed native chat": Sender.streamed_native_chat,
    "native embedding": Sender.native_embedding,
}
WAYS = _EVERYWHERE if release.ONE_OBJECT else {**_EVERYWHERE, **_NATIVE}


async def hammer(
    sender: Sender, callers: Sequence[Caller], total: int, at_once: int
) -> list[Exchange]:
    """Send many requests, every way for every caller in turn.

    Args:
        sender: Sends them.
        callers: Who takes part.
        total: Number of requests.
        at_once: Number of requests under way at the same time.
    """
    plan = itertools.islice(itertools.cycle(itertools.product(WAYS, callers)), total)
    numbered = enumerate(plan)
    done: list[Exchange] = []

    async def work() -> None:
        for number, (way, caller) in numbered:
            done.append(await sender.send(way, caller, f"marker{number:06}x"))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return done


def _wrong(text: str, marker: str) -> str:
    found = set(MARKER.findall(text))
    return "" if found == {marker} else f"the answer holds {sorted(found)}: {text[:200]}"


def _events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = (line.removeprefix("data:").strip() for line in answer.text.splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]
