"""Process facts of the operating system: CPU time, memory, CPU affinity."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_PROC = Path("/proc")


def pin(core: int, pid: int = 0) -> bool:
    """Keep a process and its threads on one core; False where that cannot be done."""
    if not hasattr(os, "sched_setaffinity") or core >= (os.cpu_count() or 1):
        return False
    threads = [int(path.name) for path in (_PROC / str(pid or os.getpid()) / "task").glob("*")]
    for thread in threads or [pid]:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(thread, {core})
    return True


def group(leader: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for path in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(path.name)) == leader:
                found.append(int(path.name))
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time that processes have used, user and system.

    From the scheduler's own count where there is one: that of ``stat`` has steps of 10 ms.
    """
    total = 0.0
    for pid in pids:
        for thread in (_PROC / str(pid) / "task").glob("*"):
            with contextlib.suppress(OSError):
                total += _of_thread(thread)
    return total


def ended_children_seconds(pid: int) -> float:
    """CPU time of the children of a process that have ended, and of theirs."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _of_thread(thread: Path) -> float:
    try:
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_peak() -> None:
    """Begin to measure the highest memory use of this process anew."""
    with contextlib.suppress(OSError):
        (_PROC / "self/clear_refs").write_text("5")


def memory_kb(field: str, pid: int | None = None) -> int:
    """A figure of /proc/PID/status, such as ``VmRSS`` or ``VmHWM``; 0 where there is none."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid or "self") / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return 0


def spin() -> float:
    """CPU seconds of a fixed piece of work: how fast this machine is at the moment."""
    started = time.process_time()
    total = 0
    for number in range(400_000):
        total += number * number % 7
    return time.process_time() - started
