"""Plan of the benchmark: its parts, jobs and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cells import AIOHTTP, BUILTIN, DIRECT, HTTPX, OURS, SDK, Cell, Job

IN_PROCESS = (OURS, BUILTIN, SDK, HTTPX, AIOHTTP)
AT_SERVER = (*IN_PROCESS, DIRECT)

# Chunks a second of the engine in the runs that have one: 2,000 is a fast one.
ENGINE_RATE = 2000
# The same of each stream where an engine serves many.
CROWD_RATE = 100


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        releases: Of Llama Stack, per API.
        rounds: Measurements of each contestant in its own process.
        server_rounds: The same through a server.
        chunks: Chunks of all the streams of a job in a process together.
        paced: Chunks of the one stream at the engine's rate.
        crowd: How many streams through a server at a time, and chunks of each.
        group: The same of a smaller crowd, whose pace a server keeps up with.
        short: How many short streams one after the other, for the time to the first token.
        requests: Chats one after the other.
        streams: How many at the same time, in a process.
        texts: Texts of one request for embeddings.
        lengths: Chunks of the streams that show how cost grows.
    """

    releases: dict[str, tuple[str, ...]]
    rounds: int
    server_rounds: int
    chunks: int
    paced: int
    crowd: tuple[int, int]
    group: tuple[int, int]
    short: int
    requests: int
    streams: tuple[int, ...] = (1, 16, 200)
    texts: int = 256
    lengths: tuple[int, ...] = (100, 1000, 10_000)


FULL = Size(
    {"native": ("0.2.12", "0.2.24"), "openai": ("0.2.24", "0.7.3")},
    rounds=5,
    server_rounds=3,
    chunks=4000,
    paced=1000,
    crowd=(200, 1000),
    group=(50, 300),
    short=15,
    requests=1000,
)
QUICK = Size(
    {"native": ("0.2.12",), "openai": ("0.7.3",)},
    rounds=3,
    server_rounds=2,
    chunks=1600,
    paced=400,
    crowd=(40, 40),
    group=(50, 40),
    short=5,
    requests=100,
    streams=(1, 16),
)


def streams_in_process(api: str, size: Size) -> Iterator[Cell]:
    """Streams as fast as the socket takes them, the provider alone."""
    jobs = [
        # Of shorter streams the requests would be measured.
        Job("stream", api, "text", max(50, size.chunks // streams), streams)
        for streams in size.streams
    ]
    jobs += [Job("stream", api, kind, size.chunks // 2) for kind in ("logprobs", "tools")]
    jobs.append(Job("stream", api, "logprobs", size.chunks // 32, 16))
    for release in size.releases[api]:
        for job in jobs:
            yield Cell(f"{api}-inprocess", release, "process", job, IN_PROCESS, size.rounds)


def streams_at_server(api: str, size: Size) -> Iterator[Cell]:
    """Streams through a real server: at an engine's rate, then more and faster."""
    streams, length = size.crowd
    crowd = Job("stream", api, "text", length, streams, rate=CROWD_RATE)
    members, each = size.group
    group = Job("stream", api, "text", each, members, rate=CROWD_RATE)
    jobs = [
        Job("stream", api, "text", size.paced, rate=ENGINE_RATE),
        Job("stream", api, "text", 20, times=size.short, rate=CROWD_RATE),
        Job("stream", api, "text", size.paced // 4, 16),
        crowd,
        Job("stream", api, "logprobs", size.paced // 4, rate=ENGINE_RATE),
        Job("stream", api, "tools", size.paced // 4, rate=ENGINE_RATE),
    ]
    for release in size.releases[api]:
        for job in jobs:
            if job is not crowd:
                yield Cell(f"{api}-server", release, "server", job, AT_SERVER, size.server_rounds)
            elif release == size.releases[api][0 if api == "native" else -1]:
                # The built-in takes a minute for it.
                names = (OURS, BUILTIN, DIRECT)
                yield Cell(f"{api}-server", release, "server", job, names, 2)
    if api == "openai":
        names = (OURS, BUILTIN, HTTPX, AIOHTTP, DIRECT)
        release = size.releases[api][-1]
        yield Cell("openai-server", release, "server", group, names, size.server_rounds)


def requests(size: Size) -> Iterator[Cell]:
    """Whole answers, one after the other."""
    rounds = max(2, size.server_rounds - 1)
    for api in ("native", "openai"):
        job = Job("chat", api, chunks=10, times=size.requests)
        release = size.releases[api][0 if api == "native" else -1]
        yield Cell("requests", release, "process", job, IN_PROCESS, rounds)
        # Servers take ten times as long for a request.
        served = Job("chat", api, chunks=10, times=size.requests // 4)
        yield Cell("requests", release, "server", served, (OURS, BUILTIN, DIRECT), rounds)


def embeddings(size: Size) -> Iterator[Cell]:
    """Vectors of many texts in one request."""
    for api in ("native", "openai"):
        for release in size.releases[api]:
            job = Job("embed", api, chunks=size.texts)
            yield Cell("embeddings", release, "process", job, IN_PROCESS, size.rounds)


def linearity(size: Size) -> Iterator[Cell]:
    """Short and long streams, in all as many chunks of each length."""
    total = max(size.lengths)
    for api in ("native", "openai"):
        release = size.releases[api][0 if api == "native" else -1]
        for length in size.lengths:
            job = Job("stream", api, "text", length, times=max(1, total // length // 2))
            contestants = (OURS, HTTPX)
            yield Cell("linearity", release, "process", job, contestants, size.rounds)


PARTS = {
    "native-inprocess": lambda size: streams_in_process("native", size),
    "openai-inprocess": lambda size: streams_in_process("openai", size),
    "native-server": lambda size: streams_at_server("native", size),
    "openai-server": lambda size: streams_at_server("openai", size),
    "requests": requests,
    "embeddings": embeddings,
    "linearity": linearity,
}


def plan(size: Size, only: tuple[str, ...] = ()) -> list[Cell]:
    """The cells of the parts wanted, or of all, those that share processes next to each other.

    The crowd comes last: after it the store of finished chats can leave a server hanging.
    """
    made = [cell for part in only or PARTS for cell in PARTS[part](size)]
    crowd = size.crowd[0]
    return sorted(
        made,
        key=lambda cell: (
            cell.release,
            cell.place,
            cell.job.api,
            cell.place == "server" and cell.job.streams == crowd,
        ),
    )
