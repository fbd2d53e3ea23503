"""Types of the benchmark: cells, contestants and results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

OURS, BUILTIN, SDK, HTTPX, AIOHTTP = "ours", "builtin", "sdk", "httpx", "aiohttp"
DIRECT = "direct"

TITLES = {
    OURS: "this provider",
    BUILTIN: "built-in remote::nvidia",
    SDK: "openai SDK alone",
    HTTPX: "raw httpx lines",
    AIOHTTP: "raw aiohttp lines",
    DIRECT: "no server between",
}


@dataclass(frozen=True)
class Job:
    """One thing to do and to measure.

    Attributes:
        action: ``stream``, ``chat`` (whole answers, one after the other) or ``embed``.
        api: ``native`` or ``openai``.
        kind: What a stream consists of: see ``payloads.KINDS``.
        chunks: Chunks of each stream, or texts of a request for embeddings.
        streams: How many streams at the same time.
        times: How often that, one after the other.
        rate: Chunks a second of each stream; 0 means as fast as the socket takes them.
        verify: Count the tokens that arrived as well, which takes time.
    """

    action: str
    api: str
    kind: str = "text"
    chunks: int = 1000
    streams: int = 1
    times: int = 1
    rate: int = 0
    verify: bool = False

    @property
    def units(self) -> int:
        """The unit of costs: chunks of streams, else requests."""
        return self.chunks * self.streams * self.times if self.action == "stream" else self.times


@dataclass(frozen=True)
class Cell:
    """A job in one release of the stack, with those who take part side by side.

    Attributes:
        part: The part of the benchmark that it belongs to.
        release: Of Llama Stack.
        place: ``process`` (the provider alone) or ``server`` (through ``llama stack run``).
        job: What each of them does.
        contestants: Who takes part.
        rounds: How often, in turns.
    """

    part: str
    release: str
    place: str
    job: Job
    contestants: tuple[str, ...]
    rounds: int


@dataclass
class Sample:
    """One measurement.

    Attributes:
        wall: Seconds from the first request to the last byte.
        cpu: Seconds of CPU time of the process that holds the provider, user and system.
        events: What its reader got to see, after any joining of chunks.
        tokens: Tokens that arrived, where they were counted.
        first: Seconds to the first token, of the middle stream; 0 where it was not looked at.
        peak_kb: Growth of the process's memory while it ran, at its highest, in KiB.
        connections: TCP connections to the NIM that were opened for it.
    """

    wall: float
    cpu: float
    events: int = 0
    tokens: int = 0
    first: float = 0.0
    peak_kb: int = 0
    connections: int = 0


@dataclass
class Result:
    """The results of a cell.

    Attributes:
        cell: What was measured.
        samples: By contestant, in the order of the rounds.
        failures: By contestant that could not do the job: what it said.
    """

    cell: Cell
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data, which ``from_json`` takes back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        """Read what ``as_json`` wrote."""
        cell = {**data["cell"], "job": Job(**data["cell"]["job"])}
        cell["contestants"] = tuple(cell["contestants"])
        samples = {
            name: [Sample(**sample) for sample in taken] for name, taken in data["samples"].items()
        }
        return cls(Cell(**cell), samples, dict(data["failures"]))

    def per_unit(self, contestant: str, of: str = "cpu") -> list[float]:
        """Microseconds per chunk, or per request, in each round."""
        units = self.cell.job.units
        return [getattr(s, of) / units * 1e6 for s in self.samples.get(contestant, [])]

    def speed(self, contestant: str) -> list[float]:
        """Chunks (each a token), or requests, a second in each round."""
        return [self.cell.job.units / s.wall for s in self.samples.get(contestant, [])]
