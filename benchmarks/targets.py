"""Targets of the benchmark, as ratios within one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import stats
from benchmarks.cells import AIOHTTP, BUILTIN, DIRECT, HTTPX, OURS, Result
from benchmarks.stats import Summary

# By release and place. The server's own work is two thirds of the last.
_OF_A_CHAT = {("0.2.12", "process"): 0.55, ("0.7.3", "process"): 0.45, ("0.7.3", "server"): 0.78}
# Of 200 streams: times the built-in's speed, or the share of what the NIM sends where that is less.
_CROWD = 5.0
_OF_THE_NIM = 0.95


@dataclass(frozen=True)
class Verdict:
    """One target.

    Attributes:
        what: The figure, in words.
        release: Of Llama Stack.
        limit: The most (or with ``at_least`` the least) that will do.
        at_least: Whether more is better.
        value: What was measured.
    """

    what: str
    release: str
    limit: float
    at_least: bool
    value: Summary

    @property
    def met(self) -> bool:
        """Whether the median is on the right side of the limit."""
        return self.value.median >= self.limit if self.at_least else self.value.median <= self.limit

    @property
    def close(self) -> bool:
        """Whether some rounds lie on the other side, so that noise may have decided."""
        return self.value.low <= self.limit <= self.value.high and self.value.low < self.value.high


def verdicts(results: list[Result]) -> list[Verdict]:
    """All targets that these results say something about."""
    made = [verdict for result in results for verdict in _of_cell(result)]
    return made + list(_growth(results))


def _of_cell(result: Result) -> Iterator[Verdict]:
    cell, job = result.cell, result.cell.job
    alone = job.streams == 1 and job.times == 1 and job.kind == "text"
    if cell.part == "native-inprocess" and alone:
        what = "native stream in process, CPU per chunk against"
        yield from _cost(result, f"{what} the built-in", 0.035, BUILTIN)
        yield from _cost(result, f"{what} raw aiohttp lines", 3, AIOHTTP)
    if cell.part == "native-inprocess" and job.streams == 200:
        what = f"200 native streams of {job.chunks} in process, CPU per chunk against"
        yield from _cost(result, f"{what} the built-in", 0.1, BUILTIN)
        yield from _cost(result, f"{what} raw httpx lines", 0.6, HTTPX)
    if cell.part == "native-server" and cell.release == "0.2.12":
        if alone:
            what = f"one stream through the server at {job.rate} chunks/s"
            yield from _speed(result, f"{what}, tokens/s against the built-in", 15)
        elif job.times > 1:
            what = "short streams one after the other through the server"
            yield from _first(result, f"{what}, time to the first token against the built-in", 1.05)
        elif job.streams == 200:
            yield from _crowd(result)
    if cell.part == "openai-server" and cell.release == "0.7.3" and alone:
        what = "OpenAI-style through the server, CPU per token against the built-in"
        yield from _cost(result, what, 0.5, BUILTIN)
    if cell.part == "openai-server" and job.streams == 50:
        what = f"50 OpenAI-style streams through the server at {job.rate} chunks/s"
        yield from _cost(result, f"{what}, CPU per token against the built-in", 0.2, BUILTIN)
    if cell.part == "requests":
        yield from _requests(result)
    if cell.part == "embeddings":
        what = f"embeddings of {job.chunks} texts ({job.api}), CPU against the built-in"
        yield from _cost(result, what, 0.5, BUILTIN)


def _crowd(result: Result) -> Iterator[Verdict]:
    what = "200 streams through the server, tokens/s against the built-in"
    limit = _CROWD
    if {BUILTIN, DIRECT} <= result.samples.keys():
        ceiling = stats.paired_ratio(result.speed(DIRECT), result.speed(BUILTIN)).median
        limit = min(limit, _OF_THE_NIM * ceiling)
    yield from _speed(result, what, limit)


def _requests(result: Result) -> Iterator[Verdict]:
    cell, job = result.cell, result.cell.job
    where = "through the server" if cell.place == "server" else "in process"
    limit = _OF_A_CHAT.get((cell.release, cell.place))
    if limit is not None:
        what = f"chat requests one after the other {where}, CPU of each against the built-in"
        yield from _cost(result, what, limit, BUILTIN)
    if OURS in result.samples:
        connections = [float(sample.connections) for sample in result.samples[OURS]]
        what = f"{job.times} chat requests one after the other {where} ({job.api}), connections"
        yield Verdict(what, cell.release, 1, False, stats.summary(connections))


def _cost(result: Result, what: str, limit: float, other: str) -> Iterator[Verdict]:
    yield from _ratio(result, what, limit, other, lambda name: result.per_unit(name))


def _speed(result: Result, what: str, limit: float) -> Iterator[Verdict]:
    yield from _ratio(result, what, limit, BUILTIN, result.speed, at_least=True)


def _first(result: Result, what: str, limit: float) -> Iterator[Verdict]:
    yield from _ratio(result, what, limit, BUILTIN, lambda n: [s.first for s in result.samples[n]])


def _ratio(
    result: Result,
    what: str,
    limit: float,
    other: str,
    of: Callable[[str], list[float]],
    *,
    at_least: bool = False,
) -> Iterator[Verdict]:
    if OURS in result.samples and other in result.samples:
        value = stats.paired_ratio(of(OURS), of(other))
        yield Verdict(what, result.cell.release, limit, at_least, value)


def _growth(results: list[Result]) -> Iterator[Verdict]:
    """Whether a long stream costs as much per chunk as a short one, and keeps no memory."""
    of_api: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.cell.part == "linearity" and OURS in result.samples:
            of_api.setdefault((result.cell.job.api, result.cell.release), []).append(result)
    for (api, release), found in of_api.items():
        lines = sorted(found, key=lambda result: result.cell.job.chunks)
        if len(lines) < 3:
            continue
        sizes = [line.cell.job.chunks for line in lines]
        rounds = zip(*(line.per_unit(OURS) for line in lines), strict=False)
        # Of the shortest, the request itself is most of the cost.
        grown = [one[-1] / one[-2] for one in rounds]
        name = f"{api} stream of {sizes[-1]} chunks in process"
        what = f"{name}, CPU per chunk against {sizes[-2]} chunks"
        yield Verdict(what, release, 1.1, False, stats.summary(grown))
        short, long = (
            median(sample.peak_kb for sample in line.samples[OURS])
            for line in (lines[0], lines[-1])
        )
        what = f"{name}, memory beyond that of {sizes[0]} chunks in MiB"
        yield Verdict(what, release, 1, False, stats.summary([max(0.0, long - short) / 1024]))
