"""Load generator for a server or a NIM; it does not parse while it measures."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks import payloads
from benchmarks.cells import Job, Sample

# With the space before it: answers have fields like `total_tokens`.
_MARK = b" " + payloads.TOKEN.encode()
_SECONDS = 240.0
# Callers do not all come in one moment, and the telemetry of 0.2.x fails if they do. A server takes
# longer for a request.
_APART_SECONDS = 0.02


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        url: Address of the server.
        path: Route of chats.
        body: Makes the request of a job.
    """

    url: str
    path: str
    body: Callable[[Job], dict[str, Any]]


@dataclass
class Caught:
    """One answer as it came: its bytes, and when the first token was there."""

    raw: bytes
    began: float
    first: float


async def run(target: Target, job: Job) -> tuple[float, list[Caught]]:
    """Do a job; gives the seconds it took and what came back.

    Streams each have a connection of their own; requests one after the other share one.

    Raises:
        OSError: The server hung up.
        TimeoutError: It did not finish in four minutes.
    """
    address = urlsplit(target.url)
    host, port = str(address.hostname), int(address.port or 80)
    keep = job.action == "chat"
    request = _request(target, job, keep=keep)
    async with asyncio.timeout(_SECONDS):
        if keep:
            return await _in_turn(host, port, request, job.times)
        started = time.perf_counter()
        caught = []
        for _ in range(job.times):
            apart = _APART_SECONDS if job.rate else 0.0
            streams = (_stream(host, port, request, n * apart) for n in range(job.streams))
            caught += await asyncio.gather(*streams)
        return time.perf_counter() - started, caught


def _request(target: Target, job: Job, *, keep: bool) -> bytes:
    body = json.dumps(target.body(job)).encode()
    head = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {urlsplit(target.url).netloc}",
        "Content-Type: application/json",
        "Accept: text/event-stream, application/json",
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def _stream(host: str, port: int, request: bytes, after: float) -> Caught:
    await asyncio.sleep(after)
    reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    began, first = time.perf_counter(), 0.0
    writer.write(request)
    pieces: list[bytes] = []
    ended = False
    while not ended and (received := await reader.read(2**18)):
        pieces.append(received)
        if not first and _MARK in received:
            first = time.perf_counter()
        # The replay server keeps its connections, whatever it is asked for.
        ended = received.endswith(b"0\r\n\r\n")
    writer.close()
    return Caught(b"".join(pieces), began, first)


async def _in_turn(host: str, port: int, request: bytes, times: int) -> tuple[float, list[Caught]]:
    reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    caught = []
    started = time.perf_counter()
    for _ in range(times):
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        caught.append(Caught(head + await reader.readexactly(length), began, 0.0))
    took = time.perf_counter() - started
    writer.close()
    return took, caught


def as_sample(job: Job, took: float, caught: list[Caught], cpu: float) -> Sample:
    """Count what came back, now that the clock has stopped.

    Raises:
        ValueError: An answer is an error, or ended early.
    """
    sample = Sample(took, cpu)
    for one in caught:
        head, _, body = one.raw.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise ValueError(f"{head[:60]!r} {body[:200]!r}")
        if job.action == "chat":
            sample.events += 1
            sample.tokens += body.count(_MARK)
            continue
        for event in _events(head, body):
            sample.events += 1
            sample.tokens += _tokens(event)
    moments = [one.first - one.began for one in caught if one.first]
    sample.first = statistics.median(moments) if moments else 0.0
    return sample


def _events(head: bytes, body: bytes) -> Iterator[dict[str, Any]]:
    if b"transfer-encoding: chunked" in head.lower():
        body = _unframed(body)
    for event in body.split(b"\n\n"):
        if event.startswith(b"data: {"):
            yield json.loads(event[6:])
        elif event.strip() and event != b"data: [DONE]":
            raise ValueError(f"no event: {event[:100]!r}")


def _unframed(body: bytes) -> bytes:
    pieces, position = [], 0
    while position < len(body):
        end = body.index(b"\r\n", position)
        length = int(body[position:end], 16)
        pieces.append(body[end + 2 : end + 2 + length])
        position = end + 2 + length + 2
        if not length:
            return b"".join(pieces)
    raise ValueError("the answer ended in the middle")


def _tokens(event: dict[str, Any]) -> int:
    if event.get("error"):
        raise ValueError(f"the stream reports {event['error']}"[:200])
    if "event" in event:
        delta = event["event"]["delta"]
        text = delta.get("text", delta.get("tool_call"))
        return text.count(payloads.TOKEN) if isinstance(text, str) else 0
    found = 0
    for choice in event.get("choices") or ():
        delta = choice["delta"]
        calls = delta.get("tool_calls") or ()
        texts = [delta.get("content"), *(call["function"].get("arguments") for call in calls)]
        found += sum((text or "").count(payloads.TOKEN) for text in texts)
    return found
