"""The resources of a server: memory, file descriptors, sockets, threads, asyncio tasks (Linux)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.system import memory_kb
from scripts.stack_server import StackServer

INSIDE = Path(__file__).with_name("inside")
_SECONDS = 10.0
# The client closes its connection when it has its answer, and the server sees that a moment later.
_CLOSED_S = 0.3


def variables(folder: Path) -> dict[str, str]:
    """Variables that let a server tell about itself."""
    path = os.pathsep.join(filter(None, [str(INSIDE), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "LOAD_FIGURES": str(folder / "figures.json")}


@dataclass(frozen=True)
class Held:
    """The resources of a process at one moment.

    Attributes:
        memory_mb: Resident memory in MiB.
        descriptors: Open file descriptors, without those of the databases in which the stack keeps
            chats: their pools grow as they are used.
        sockets: Those that are sockets.
        threads: Threads.
        tasks: asyncio tasks that are not done.
        task_names: Their coroutines.
    """

    memory_mb: float
    descriptors: int
    sockets: int
    threads: int
    tasks: int
    task_names: tuple[str, ...] = ()

    def more_than(self, before: Held) -> dict[str, int]:
        """Tell what there is more of, memory and threads apart."""
        names = ("descriptors", "sockets", "tasks")
        more = {name: getattr(self, name) - getattr(before, name) for name in names}
        return {name: count for name, count in more.items() if count > 0}

    def as_json(self) -> dict[str, Any]:
        """Plain data, without the names."""
        made = asdict(self)
        del made["task_names"]
        return made


def memory(pid: int) -> float:
    """Resident memory of a process in MiB."""
    return round(memory_kb("VmRSS", pid) / 1024, 1)


def held(server: StackServer, environ: Mapping[str, str]) -> Held:
    """Look into a server that was started with ``variables``."""
    pid = server.pid
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(path))
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    sockets = sum(link.startswith("socket:") for link in links)
    databases = sum(".db" in Path(link).name for link in links)
    descriptors = len(links) - databases
    tasks = _tasks(pid, environ)
    return Held(memory(pid), descriptors, sockets, threads, len(tasks), tuple(tasks))


def _tasks(pid: int, environ: Mapping[str, str]) -> list[str]:
    told = Path(environ["LOAD_FIGURES"])
    told.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    end = time.monotonic() + _SECONDS
    while not told.exists():
        assert time.monotonic() < end, "the server does not tell its tasks"
        time.sleep(0.01)
    names: list[str] = json.loads(told.read_text(encoding="utf-8"))["tasks"]
    return names


async def resting(look: Callable[[], Held], nudge: Callable[[], Awaitable[object]]) -> Held:
    """Tell what a server holds after a small request and no other."""
    await nudge()
    await asyncio.sleep(_CLOSED_S)
    return look()


async def settled(
    look: Callable[[], Held],
    before: Held,
    nudge: Callable[[], Awaitable[object]],
    seconds: float = 20.0,
) -> Held:
    """Wait until a server holds no more than before, and tell what it holds then, or at the end.

    Args:
        look: Looks into it.
        before: What it may hold.
        nudge: Sends a small request: connections to the NIM that were not used for too long are
            closed when the next request is sent.
        seconds: Longest wait.
    """
    end = time.monotonic() + seconds
    while True:
        await asyncio.sleep(1)
        now = await resting(look, nudge)
        if not now.more_than(before) or time.monotonic() > end:
            return now


def growth(samples: list[float]) -> float:
    """Tell how much memory grew in MiB: medians of the second and of the last third of samples.

    The first third is left out: caches fill, and the allocator finds its size.
    """
    third = len(samples) // 3
    return statistics.median(samples[-third:]) - statistics.median(samples[third : 2 * third])
