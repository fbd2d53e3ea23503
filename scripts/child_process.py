"""A program that runs as a child for as long as a `with` block lasts.

    with Child("nginx", ["nginx", "-g", "daemon off;"], log, ready=lambda: taken(8080)):
        ...

Standard library only, so that tests, demo and benchmarks can share it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing import Self

TAIL_LINES = 30
STOP_SECONDS = 10.0
# Linux and macOS give ports from 32768 and from 49152 on.
OWN_PORTS = range(20_000, 32_000)
_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")


class ServerError(Exception):
    """A child process did not come up; the text has the end of its log."""


def free_port() -> int:
    """A TCP port on the loopback address that nothing listened on a moment ago.

    It is below those that the system gives to clients and to whoever asks for any: one of them
    could be taken until the server that it is for has started. No other call gives the same one
    as long as this process lives.
    """
    for port in random.sample(OWN_PORTS, 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if _reserve(port):
                    return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reserve(port: int) -> bool:
    """Keep a port from other processes that look for one; False if another one keeps it."""
    if not sys.platform.startswith("linux"):
        return True
    with socket.socket(socket.AF_UNIX) as mark:
        try:
            # A name without a file, which is free again when this process ends.
            mark.bind(f"\0scripts.child_process.free_port {port}")
        except OSError:
            return False
        mark.detach()
    return True


def taken(port: int) -> bool:
    """Whether something listens on a TCP port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file, empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])


def stop_process(process: subprocess.Popen[bytes], seconds: float = STOP_SECONDS) -> None:
    """End a child that leads its own process group: politely, then for good.

    The group goes with it, so nothing the child started outlives it.
    """
    for order in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(order)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Let the signals that stop this process wait until the block is over.

    Their handlers raise, and what raises between the start of a child and the moment when it has a
    name leaves the child running.
    """
    # Python runs handlers in the main thread alone, and only there can they be changed.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    numbers = [getattr(signal, name) for name in _STOPPING if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        for number, handler in handlers.items():
            if callable(handler):  # the child inherits what is ignored
                signal.signal(number, note)
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


class Child:
    """A child that leads its own process group, and writes into a log.

    Args:
        title: What it is called in errors.
        command: Its words.
        log_path: The file for its output; a later start begins it anew.
        ready: Says whether it can be used.
        timeout: Seconds it may take until it is ready.
        progress: Called after each look with the seconds waited so far.
        pause: Seconds from one look to the next.
        options: More for :class:`subprocess.Popen`.
    """

    def __init__(
        self,
        title: str,
        command: Sequence[str],
        log_path: Path,
        *,
        ready: Callable[[], bool],
        timeout: float = 60.0,
        progress: Callable[[float], object] | None = None,
        pause: float = 0.2,
        **options: Any,
    ) -> None:
        self.log_path = log_path
        self._title = title
        self._command = command
        self._ready = ready
        self._timeout = timeout
        self._progress = progress
        self._pause = pause
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, which leads a group of the same number.

        Raises:
            ServerError: It has not been started, or was stopped.
        """
        if self._process is None:
            message = f"{self._title} has not been started"
            raise ServerError(message)
        return self._process

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self.process.pid

    def start(self) -> Self:
        """Start it and return once it is ready.

        Raises:
            ServerError: It ended, or was not ready in time.
        """
        try:
            with signals_held(), self.log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C is for the parent, which then stops the child in order.
                    start_new_session=True,
                    **self._options,
                )
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it and what it started, if it runs."""
        if self._process is not None:
            stop_process(self._process)
            self._process = None

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        started = time.monotonic()
        while (waited := time.monotonic() - started) < self._timeout:
            status = process.poll()
            if status is not None:
                raise ServerError(self._failure(f"ended with status {status}"))
            if self._ready():
                return
            if self._progress:
                self._progress(waited)
            time.sleep(self._pause)
        raise ServerError(self._failure(f"did not answer within {self._timeout:.0f} s"))

    def _failure(self, what: str) -> str:
        return f"{self._title} {what}. The end of its log:\n{tail(self.log_path)}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
