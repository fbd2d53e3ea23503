"""A running engine: one process or several, of which those that generate can be taken away.

Every process leads a group of its own, so that whatever it starts ends with it. All ports are on
the loopback address.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from scripts.child_process import tail

STOP_SECONDS = 15.0
START_SECONDS = 600.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class EngineError(Exception):
    """The engine did not come up; the text has the end of its log."""


@dataclass(frozen=True)
class Process:
    """A process of an engine.

    Attributes:
        words: Its command.
        folder: Where it runs.
        variables: What it adds to the environment.
        generates: It is taken away when the worker is killed.
        lists: A model that `GET /v1/models` lists once it is ready.
        metrics: The port of the engine's metrics, where that is a port of their own.
    """

    words: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    generates: bool = True
    lists: str | None = None
    metrics: int | None = None


def fetch(url: str, seconds: float = 5) -> bytes | None:
    """Return the body of a 200 answer, None where there is none."""
    try:
        with _OPENER.open(url, timeout=seconds) as answer:
            return bytes(answer.read()) if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def models(url: str) -> list[str] | None:
    """Return the models that an engine lists, None where it does not answer."""
    found = fetch(f"{url}/v1/models")
    return None if found is None else [entry["id"] for entry in json.loads(found)["data"]]


class Engine:
    """A running engine.

    Attributes:
        url: Its address, without `/v1`.
        metrics: Where it has its metrics.
        log: What its processes print.
    """

    def __init__(self, url: str, processes: tuple[Process, ...], folder: Path) -> None:
        """Start nothing yet.

        Args:
            url: Its address.
            processes: In the order in which they are started.
            folder: For the log.
        """
        self.url = url
        ports = [one.metrics for one in processes if one.metrics]
        self.metrics = f"http://127.0.0.1:{ports[0]}/metrics" if ports else f"{url}/metrics"
        self.log = folder / "engine.log"
        self._processes = processes
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._output: IO[bytes] = self.log.open("ab")

    @functools.cached_property
    def model(self) -> str:
        """The first model that it lists."""
        if listed := models(self.url):
            return listed[0]
        raise EngineError(f"{self.url} lists no models")

    def start(self) -> None:
        """Start what does not run, and wait for each until it is ready.

        Raises:
            EngineError: A process ended, or was not ready in time.
        """
        for number, process in enumerate(self._processes):
            if number not in self._running:
                self._running[number] = self._begin(process)
                if process.lists is not None:
                    self.wait(functools.partial(_lists, process.lists))

    def kill_worker(self) -> None:
        """Kill what generates, and tell nobody."""
        for number, process in enumerate(self._processes):
            if process.generates and number in self._running:
                _end(self._running.pop(number), signal.SIGKILL)

    def wait(
        self, fits: Callable[[list[str] | None], bool], seconds: float = START_SECONDS
    ) -> None:
        """Wait until the list of models is as wanted.

        Args:
            fits: Takes the models, or None where nobody answers.
            seconds: How long at most.

        Raises:
            EngineError: It does not become so, or a process has ended.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if fits(models(self.url)):
                return
            if any(running.poll() is not None for running in self._running.values()):
                raise EngineError(f"The engine ended by itself:\n{tail(self.log)}")
            time.sleep(0.25)
        raise EngineError(f"The engine was not ready in {seconds:.0f} s:\n{tail(self.log)}")

    def stop(self) -> None:
        """End all processes, the last one first."""
        for number in sorted(self._running, reverse=True):
            _end(self._running.pop(number), signal.SIGTERM)
        self._output.close()

    def said(self) -> str:
        """Return all that its processes have printed."""
        return self.log.read_text("utf-8", "replace")

    def _begin(self, process: Process) -> subprocess.Popen[bytes]:
        # Bytecode is kept: without it each start compiles thousands of modules.
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.Popen(
            process.words,
            cwd=process.folder,
            env={**inherited, "PYTHONUNBUFFERED": "1", **process.variables},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _lists(wanted: str, found: list[str] | None) -> bool:
    return wanted in (found or ())


def _end(process: subprocess.Popen[bytes], number: int) -> None:
    """End a process and its group."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
        if number != signal.SIGKILL:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def running(engine: Engine) -> Iterator[Engine]:
    """Start an engine, and stop it at the end."""
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()
