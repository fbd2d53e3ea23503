"""Runner of the plan: all contestants of a cell are up at once and take turns."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from benchmarks import cells, children, payloads, servers, system
from benchmarks.cells import Cell, Job, Result, Sample
from benchmarks.children import Replay, WorkerError
from scripts.child_process import ServerError

_UNABLE = (WorkerError, ServerError, ValueError, OSError, TimeoutError)


class Doer(Protocol):
    """A program that does jobs: a worker, a server, or the NIM itself."""

    def do(self, job: Job) -> Sample:
        """Do a job and measure it."""


@dataclass
class Lineup:
    """Those that take part in some cells, and those that could not come up, with the reason."""

    doers: dict[str, Doer] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


class Runner:
    """Runs cells.

    Args:
        pythons: The Python of each release's environment; a release without one is left out.
        replay: The NIM.
        folder: For logs and configurations.
        note: Shows a line of progress.
    """

    def __init__(
        self,
        pythons: Mapping[str, Path],
        replay: Replay,
        folder: Path,
        note: Callable[[str], object],
    ) -> None:
        self._pythons = pythons
        self._replay = replay
        self._folder = folder
        self._note = note
        self.spins: list[float] = []

    def run(self, plan: Iterable[Cell]) -> list[Result]:
        """Run cells; those next to each other with the same release and API share processes."""
        results = []
        for (release, place, api), group in itertools.groupby(
            plan, key=lambda cell: (cell.release, cell.place, cell.job.api)
        ):
            members = list(group)
            names = tuple(dict.fromkeys(name for cell in members for name in cell.contestants))
            if release not in self._pythons:
                lacking = dict.fromkeys(names, "no Python for this release")
                results += [Result(cell, failures=dict(lacking)) for cell in members]
                continue
            self._note(f"{release} {place} {api}")
            with self._lineup(release, place, api, names) as lineup:
                results += [self._cell(cell, lineup) for cell in members]
        return results

    @contextlib.contextmanager
    def _lineup(
        self, release: str, place: str, api: str, names: tuple[str, ...]
    ) -> Iterator[Lineup]:
        lineup = Lineup()
        with contextlib.ExitStack() as stack:
            for name in names:
                try:
                    lineup.doers[name] = self._start(stack, release, place, api, name)
                except _UNABLE as error:
                    lineup.absent[name] = _told(error)
            yield lineup

    def _start(
        self, stack: contextlib.ExitStack, release: str, place: str, api: str, name: str
    ) -> Doer:
        python, url = self._pythons[release], self._replay.url
        if name == cells.DIRECT:
            return servers.Served(servers.direct(url), None)
        if place == "server" and name in (cells.OURS, cells.BUILTIN):
            server = servers.served(name, release, api, python, url, self._folder)
            return stack.enter_context(server)
        log = self._folder / f"worker-{release}-{api}-{name}.log"
        return stack.enter_context(children.worker(python, name, url, api, log))

    def _cell(self, cell: Cell, lineup: Lineup) -> Result:
        began = time.monotonic()
        result = Result(cell)
        result.failures |= {n: lineup.absent[n] for n in cell.contestants if n in lineup.absent}
        able = [name for name in cell.contestants if name in lineup.doers]
        for name in list(able):
            try:
                warm_up = replace(cell, job=_warm_up(cell.job))
                check(warm_up, lineup.doers[name].do(warm_up.job))
            except _UNABLE as error:
                result.failures[name] = _told(error)
                able.remove(name)
        for number in range(cell.rounds):
            self.spins.append(system.spin())
            # Another one begins each round.
            for name in able[number % len(able) :] + able[: number % len(able)] if able else ():
                if name not in result.failures:
                    self._measure(cell, name, lineup.doers[name], result)
        job = cell.job
        self._note(
            f"  {cell.part}: {job.kind} {job.streams} x {job.chunks}, {job.action} x {job.times}: "
            f"{time.monotonic() - began:.1f} s"
        )
        return result

    def _measure(self, cell: Cell, name: str, doer: Doer, result: Result) -> None:
        self._replay.reset()
        try:
            sample = doer.do(cell.job)
            if isinstance(doer, servers.Served):
                check(cell, sample)
        except _UNABLE as error:
            result.failures[name] = _told(error)
            return
        sample.connections = self._replay.stats()["connections"]
        result.samples.setdefault(name, []).append(sample)


def _warm_up(job: Job) -> Job:
    """The same thing, small, with the tokens counted."""
    chunks = min(job.chunks, 400 if job.streams == 1 else 50)
    return replace(job, times=1, verify=True, rate=0, chunks=chunks, streams=min(job.streams, 16))


def check(cell: Cell, sample: Sample) -> None:
    """See that a sample with counted tokens has all that were sent.

    Raises:
        ValueError: Some are missing.
    """
    job = cell.job
    wanted = payloads.tokens(job.kind, job.chunks) * job.streams * job.times
    if job.action == "embed":
        wanted = job.chunks * job.times * 2048
    if sample.tokens != wanted:
        raise ValueError(f"{sample.tokens} tokens of {wanted} arrived")


def _told(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
