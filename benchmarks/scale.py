"""Measure several server processes on one machine: `make scale-test`.

    python -m benchmarks.scale           measure, and write the table into docs/deployment.md
    python -m benchmarks.scale --quick   measure less, and write nothing

Servers of the installed release share a private PostgreSQL and stand behind nginx, with the files
of deploy/. The NIM is the benchmark's replay server. Each setup gets the same streams: first at the
pace of a model, which tells the CPU of a token, then as fast as they go.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import children, load, servers, system
from benchmarks.cells import Job
from scripts import deploy_tools, marked
from scripts.child_process import Child, ServerError, free_port, taken
from scripts.private_postgres import PrivatePostgres
from scripts.stack_server import ROOT, StackServer

RUN = ROOT / "deploy" / "kubernetes" / "base" / "run.yaml"
NGINX = ROOT / "deploy" / "nginx" / "llama-stack.conf"
PAGE = ROOT / "docs" / "deployment.md"
BEGIN, END = "<!-- scale-test: begin -->", "<!-- scale-test: end -->"
PARTS = ("servers", "nginx", "postgres")
RATE = 50
"""Tokens per second of a stream at the pace of a model."""
_PAUSE, _IDLE = 0.5, 0.05
"""Idle are programs that use less than this share of a core for so many seconds."""

_QUIET = {
    "LLAMA_STACK_LOGGING": "all=critical",
    "LLAMA_STACK_LOG_FORMAT": "json",
    "OGX_LOGGING": "all=critical",
    "OGX_LOG_FORMAT": "json",
}

# A worker that has not imported the server's command after 5 seconds is ended and started again:
# without bytecode, none ever serves on a busy machine. The first server writes the bytecode.
_COMPILED = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(ROOT / "var" / "pycache"),
}


@dataclass(frozen=True)
class Setup:
    """One line of the table.

    Attributes:
        processes: Server processes behind nginx.
        workers: Workers of each, as ``server.workers`` sets them.
    """

    processes: int
    workers: int = 1

    @property
    def title(self) -> str:
        """The setup in words."""
        if self.workers > 1:
            return f"1 with `workers: {self.workers}`"
        return str(self.processes)


SETUPS = (Setup(1), Setup(2), Setup(4), Setup(1, workers=2))


@dataclass(frozen=True)
class Measured:
    """The figures of one run.

    Attributes:
        seconds: From the first request to the end of the last stream.
        sent: Tokens that the NIM was asked for.
        arrived: Tokens that arrived.
        whole: Streams that arrived whole.
        streams: Streams that were asked for.
        servers: CPU seconds of the servers.
        nginx: The same of nginx.
        postgres: The same of PostgreSQL.
        memory_mb: Memory of all servers.
    """

    seconds: float
    sent: int
    arrived: int
    whole: int
    streams: int
    servers: float
    nginx: float
    postgres: float
    memory_mb: float

    def per_token(self, *parts: str) -> float:
        """Return the CPU for each token of some of servers, nginx and postgres, in microseconds."""
        return sum(getattr(self, part) for part in parts) / self.arrived * 1e6


def nginx_config(listen: int, ports: Sequence[int], folder: Path) -> str:
    """Return a whole configuration around that of deploy/, with other ports."""
    text = NGINX.read_text(encoding="utf-8")
    lines = "".join(f"    server 127.0.0.1:{port};\n" for port in ports)
    text = re.sub(r"(?:    server 127\.0\.0\.1:\d+;\n)+", lines, text)
    text = re.sub(r"listen 127\.0\.0\.1:\d+;", f"listen 127.0.0.1:{listen};", text)
    temporary = "".join(
        f"    {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = "daemon off;\nworker_processes 1;\n" + ("user root;\n" if os.geteuid() == 0 else "")
    return (
        f"{head}pid {folder}/nginx.pid;\nerror_log stderr;\n"
        f"events {{ worker_connections 4096; }}\n"
        f"http {{\n    access_log off;\n{temporary}{text}}}\n"
    )


@contextlib.contextmanager
def nginx(ports: Sequence[int], folder: Path) -> Iterator[tuple[str, int]]:
    """Run nginx before servers; gives its address and its process id.

    Raises:
        ServerError: It did not start.
    """
    listen = free_port()
    file = folder / "nginx.conf"
    file.write_text(nginx_config(listen, ports, folder), encoding="utf-8")
    command = [str(deploy_tools.path("nginx")), "-p", str(folder), "-c", str(file)]
    log = folder / "nginx.log"
    with Child("nginx", command, log, ready=lambda: taken(listen)) as child:
        yield f"http://127.0.0.1:{listen}", child.pid


@contextlib.contextmanager
def running(setup: Setup, nim: str, database: PrivatePostgres, folder: Path) -> Iterator[Rig]:
    """Run what a setup consists of."""
    text = RUN.read_text(encoding="utf-8")
    text = text.replace("  port: 8321\n", f"  port: 8321\n  workers: {setup.workers}\n")
    file = folder / "run.yaml"
    file.write_text(text, encoding="utf-8")
    nims = {f"{name}_URL": nim for name in ("CHAT", "EMBEDDING", "RERANK")}
    environ = {
        **_QUIET,
        **_COMPILED,
        **nims,
        **database.variables,
        "NVIDIA_API_KEY": "none",
        "SERVER_HOST": "127.0.0.1",
        "CHAT_DIALECT": "nim2-vllm",
    }
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(setup.processes):
            log = folder / f"server-{number}.log"
            made.append(stack.enter_context(StackServer(file, env=environ, log_path=log)))
        url, pid = stack.enter_context(nginx([server.port for server in made], folder))
        yield Rig(url, [server.pid for server in made], pid, database.pid)


@dataclass(frozen=True)
class Rig:
    """Running programs.

    Attributes:
        url: Address of nginx.
        servers: Process groups of the servers.
        nginx: Process group of nginx.
        postgres: Process id of PostgreSQL, whose children have groups of their own.
    """

    url: str
    servers: list[int]
    nginx: int
    postgres: int

    def members(self) -> dict[str, list[int]]:
        """Return the processes of each part, as they are now."""
        return {
            "servers": [pid for leader in self.servers for pid in system.group(leader)],
            "nginx": system.group(self.nginx),
            "postgres": [self.postgres, *children_of(self.postgres)],
        }

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each part."""
        found = {name: system.cpu_seconds(pids) for name, pids in self.members().items()}
        # Connections of PostgreSQL that are closed were processes, too.
        found["postgres"] += system.ended_children_seconds(self.postgres)
        return found

    def settled(self, seconds: float = 10) -> dict[str, float]:
        """Return the CPU seconds once the chats are stored, which is after their responses."""
        end, before = time.monotonic() + seconds, self.cpu()
        while time.monotonic() < end:
            time.sleep(_PAUSE)
            now = self.cpu()
            if sum(now.values()) - sum(before.values()) < _PAUSE * _IDLE:
                return now
            before = now
        return before


def children_of(pid: int) -> list[int]:
    """Return the children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name before the parenthesis may hold spaces; state and parent follow it.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(path.parent.name))
    return found


def measure(rig: Rig, job: Job) -> Measured:
    """Send the streams of a job, and count what came back."""
    target = servers.target(rig.url, "0.7.3", "openai")
    before = rig.cpu()
    seconds, caught = asyncio.run(load.run(target, job))
    after = rig.settled()
    arrived = whole = 0
    for one in caught:
        # An error or a stream that ended early counts as what it brought.
        with contextlib.suppress(ValueError):
            sample = load.as_sample(job, 0, [one], 0)
            arrived += sample.tokens
            whole += sample.tokens == job.chunks
    pids = rig.members()["servers"]
    return Measured(
        seconds=seconds,
        sent=job.units,
        arrived=arrived,
        whole=whole,
        streams=job.streams * job.times,
        servers=after["servers"] - before["servers"],
        nginx=after["nginx"] - before["nginx"],
        postgres=after["postgres"] - before["postgres"],
        memory_mb=sum(system.memory_kb("VmRSS", pid) for pid in pids) / 1024,
    )


@dataclass(frozen=True)
class Results:
    """The figures of a setup.

    Attributes:
        paced: Runs at the pace of a model.
        fast: Runs as fast as they go.
    """

    paced: list[Measured]
    fast: list[Measured]


def measured(setup: Setup, nim: str, paced: Job, fast: Job, rounds: int) -> Results:
    """Measure a setup, with a database of its own.

    Raises:
        ServerError: A program did not start.
    """
    with (
        tempfile.TemporaryDirectory() as scratch,
        PrivatePostgres() as database,
        running(setup, nim, database, Path(scratch)) as rig,
    ):
        # The first requests of a process import and detect.
        measure(rig, Job("stream", "openai", chunks=10, streams=4 * setup.processes))
        return Results(
            [measure(rig, paced) for _ in range(rounds)],
            [measure(rig, fast) for _ in range(rounds)],
        )


def table(results: dict[Setup, Results | None]) -> str:
    """Return the results as a table, each figure the median of its runs."""
    lines = [
        f"| server processes | CPU per token at {RATE} tokens/s: servers | nginx | PostgreSQL "
        "| streams per core of servers | of all three | tokens/s, as fast as they go | memory "
        "| streams lost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for setup, found in results.items():
        if found is None:
            lines.append(f"| {setup.title} | did not start in time | | | | | | | |")
            continue
        own, proxy, store, together = (
            median(run.per_token(*parts) for run in found.paced)
            for parts in (("servers",), ("nginx",), ("postgres",), PARTS)
        )
        speed = median(run.arrived / run.seconds for run in found.fast)
        runs = [*found.paced, *found.fast]
        lost = sum(run.streams - run.whole for run in runs)
        lines.append(
            f"| {setup.title} | {own:.0f} µs | {proxy:.1f} µs | {store:.1f} µs "
            f"| {int(1e6 / own / RATE)} | {int(1e6 / together / RATE)} | {speed:,.0f} "
            f"| {median(run.memory_mb for run in runs):.0f} MiB "
            f"| {lost} of {sum(run.streams for run in runs)} |"
        )
    return "\n".join(lines)


def report(results: dict[Setup, Results | None], job: Job, busy: float) -> str:
    """Return the text for the page."""
    shared = (
        "The machine was busy with other work: more processes then get a larger share of it, so "
        "compare no speeds here, only CPU. "
        if busy > (os.cpu_count() or 1)
        else ""
    )
    text = (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} with Llama Stack 0.7.3 on "
        f"{os.cpu_count()} cores ({platform.machine()}), at a load of {busy:.1f} before the start: "
        f"{job.streams} streams of {job.chunks} tokens at the same time, first at {RATE} tokens "
        "per second each, then as fast as they go. nginx, PostgreSQL, the NIM and the clients "
        "share the cores with the servers, so tokens per second stop growing when the cores are "
        "used up. The CPU per token at the pace of a model is what to plan with; tokens that come "
        f"faster are passed on several at a time and cost less. {shared}"
    )
    return f"\n{text.rstrip()}\n\n{table(results)}\n"


def written(page: str, text: str) -> str:
    """Return a page with the part between the marks replaced.

    Raises:
        ValueError: The page has no marks.
    """
    return marked.replaced(page, BEGIN, END, text)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each setup."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="measure less, and write nothing")
    options = parser.parse_args(argv)
    if said := deploy_tools.missing(deploy_tools.SCALE):
        print(said, file=sys.stderr)
        return 1
    streams, chunks, rounds = (8, 50, 1) if options.quick else (100, 400, 2)
    paced = Job("stream", "openai", chunks=chunks, streams=streams, rate=RATE)
    fast = Job("stream", "openai", chunks=chunks, streams=streams)
    busy = os.getloadavg()[0]
    results: dict[Setup, Results | None] = {}
    with children.replay() as nim:
        for setup in SETUPS:
            print(f"{setup.title}: starting", file=sys.stderr, flush=True)
            try:
                results[setup] = measured(setup, nim.url, paced, fast, rounds)
            except ServerError:
                # The releases' own workers may not come up on a busy machine, see _COMPILED.
                if setup.workers == 1:
                    raise
                results[setup] = None
            print(table({setup: results[setup]}), file=sys.stderr, flush=True)
    text = report(results, paced, busy)
    print(text)
    runs = [run for found in results.values() if found for run in (*found.paced, *found.fast)]
    lost = sum(run.sent - run.arrived for run in runs)
    if lost:
        print(f"{lost} tokens were lost", file=sys.stderr)
        return 1
    if not options.quick:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(written(page, text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    # Else the servers would stay.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        sys.exit(main())
    except (ServerError, deploy_tools.MissingError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
