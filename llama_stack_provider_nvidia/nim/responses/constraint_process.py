"""Run the checks of ``constraint_checks`` in processes that end after two seconds at most.

A caller's schema can make a check take years, and a thread cannot be stopped. A process can:
it ends itself from a thread of the C runtime, which needs no turn of the interpreter, and the
event loop of the server never waits.

Nearly all checks take milliseconds. So each has a quarter of a second first, and only those that
need longer wait in a second queue for the rest of their time: no number of slow checks keeps the
others waiting for long.
"""

import asyncio
import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import errors
from ..errors import invalid
from .constraint_worker import READY

SECONDS = 2.0
"""For one check. A schema of hundreds of fields takes milliseconds."""
QUICK_SECONDS = 0.25
"""For the first attempt, in the queue for checks of which nothing is known yet."""
WAIT_SECONDS = 20.0
"""For a turn in both queues and the check itself, all in all."""

_MEMORY_BYTES = 1024 * 1024 * 1024
_MOST_BYTES = 4 * 1024 * 1024
"""Of a constraint, as JSON. What is larger is refused before anything is built of it."""
_TOO_LONG = (
    "takes too long to check: write it without repetitions within repetitions, and without "
    "definitions that refer to each other over and over"
)


async def problem_of(kind: str, value: Any, text: str | None, field: str) -> str | None:
    """Return what is wrong with a text, None if it obeys the constraint.

    Args:
        kind: ``regex`` or ``JSON schema``.
        value: The constraint, from the request.
        text: To be checked whole; None checks the constraint alone.
        field: Of the request, for errors.

    Raises:
        InvalidRequestError: The constraint cannot be used, is larger than 4 MiB, or takes longer
            than two seconds or more than 1 GiB of memory to check.
        ServerError: There was no turn for the check within 20 seconds, or no process.
    """
    try:
        constraint = json.dumps([kind, value])
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(field, f"cannot be written as JSON: {error}") from None
    if len(constraint) > _MOST_BYTES:
        raise invalid(field, f"is too large to check: {_MOST_BYTES // 2**20} MiB at most")
    rest = f'"constraint":{constraint},"text":{json.dumps(text)}}}\n'
    reply = b""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for threads, seconds in ((_pools.quick, QUICK_SECONDS), (_pools.slow, SECONDS)):
                request = f'{{"seconds":{min(seconds, SECONDS)},{rest}'.encode()
                loop = asyncio.get_running_loop()
                reply = reply or await loop.run_in_executor(threads, _ask, request)
    except TimeoutError:
        raise _no_check(f"there was no turn for it in {WAIT_SECONDS:g} s") from None
    except OSError as error:
        raise _no_check(f"no process for it could be started ({error})") from None
    if not reply:
        raise invalid(field, _TOO_LONG)
    invalid_because, problem = json.loads(reply)
    if invalid_because is not None:
        raise invalid(field, invalid_because)
    return None if problem is None else str(problem)


def _no_check(reason: str) -> errors.NIMError:
    return errors.make("constraint_not_checked", f"The constraint was not checked: {reason}.")


class _Pools:
    """The threads that wait for replies, one for each process, and the processes that are idle."""

    def __init__(self) -> None:
        self.quick = ThreadPoolExecutor(2, thread_name_prefix="constraint-check")
        self.slow = ThreadPoolExecutor(1, thread_name_prefix="slow-constraint-check")
        self.idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self.busy: set[subprocess.Popen[bytes]] = set()
        self.is_closed = False

    def take(self) -> "subprocess.Popen[bytes]":
        """Return an idle process, a new one if there is none.

        Raises:
            OSError: None can be started.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                process = self.idle.get_nowait()
                if process.poll() is None:
                    return process
                _end(process)
        return _start()

    def close(self) -> None:
        """End all processes, and what waits for them."""
        self.is_closed = True
        for threads in (self.quick, self.slow):
            threads.shutdown(wait=False, cancel_futures=True)
        for process in tuple(self.busy):
            _kill(process)
        with contextlib.suppress(queue.Empty):
            while True:
                _end(self.idle.get_nowait())


_pools = _Pools()


def _ask(request: bytes) -> bytes:
    """Return the reply of an idle process, nothing if the check was ended."""
    pools = _pools
    process = pools.take()
    pools.busy.add(process)
    assert process.stdin is not None
    assert process.stdout is not None
    line = b""
    try:
        if pools.is_closed:
            return b""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(request)
            process.stdin.flush()
        line = process.stdout.readline()
        return line.strip() if line.endswith(b"\n") else b""
    finally:
        pools.busy.discard(process)
        if line.endswith(b"\n") and not pools.is_closed:
            pools.idle.put(process)
        else:
            _end(process)


def _start() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", f"{__package__}.constraint_worker", str(_MEMORY_BYTES)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603 - no word of a caller's
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout is not None
    if process.stdout.readline().strip() != READY:
        _end(process)
        raise OSError(f"{sys.executable} ended with status {process.returncode}")
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    with contextlib.suppress(BrokenPipeError):
        process.communicate()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process with its fork, where there is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg") and process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _forget_parent() -> None:
    """Begin anew in a forked process: threads do not survive a fork, and the pipes are shared."""
    global _pools
    _pools = _Pools()


# Before the interpreter waits for the threads, which it does ahead of what atexit has.
getattr(threading, "_register_atexit", atexit.register)(lambda: _pools.close())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
