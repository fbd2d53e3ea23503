"""The benchmark's child processes: the replay server and the workers."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import system
from benchmarks.cells import Job, Sample
from scripts.child_process import stop_process
from scripts.stack_server import ROOT

UNDER_TEST, AROUND = 1, 0
"""The core of the process that is measured, and that of all the others."""

_ANSWER_SECONDS = 10
_JOB_SECONDS = 180


class WorkerError(Exception):
    """A worker did not come up, or could not do a job."""


def environment() -> dict[str, str]:
    """Variables of the children: a key for the built-in, nothing else that steers a provider."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NVIDIA_", "OPENAI_", "PYTHONPATH"))
        and not name.upper().endswith("_PROXY")
    }
    return {
        **kept,
        "NVIDIA_API_KEY": "bench",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONHASHSEED": "0",
        "LLAMA_STACK_LOGGING": "all=warning",
        "PYTHONPATH": str(ROOT),
    }


class Replay:
    """The replay server.

    Attributes:
        url: Its address, without ``/v1``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def reset(self) -> None:
        """Count anew."""
        self._get("/reset")

    def stats(self) -> dict[str, int]:
        """Return the counts since then: see ``replay.Stats``."""
        counted: dict[str, int] = self._get("/stats")
        return counted

    def _get(self, path: str) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=_ANSWER_SECONDS) as answer:
            return json.loads(answer.read())


@contextlib.contextmanager
def replay() -> Iterator[Replay]:
    """Run the replay server for as long as a ``with`` block lasts."""
    with _child([sys.executable, "-m", "benchmarks.replay"], None) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        if not line.startswith("replay "):
            raise WorkerError("the replay server did not start")
        system.pin(AROUND, process.pid)
        yield Replay(line.split()[1])


class Worker:
    """A contestant in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._answer()

    def do(self, job: Job) -> Sample:
        """Do a job.

        Raises:
            WorkerError: It could not be done.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        self._process.stdin.flush()
        return Sample(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        # Answers come one at a time, so nothing of one waits in the reader's buffer.
        ready, _, _ = select.select([self._process.stdout], [], [], _JOB_SECONDS)
        if not ready:
            raise WorkerError(f"it did not answer within {_JOB_SECONDS} s")
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failure": self._end()}
        if "failure" in answer:
            raise WorkerError(answer["failure"])
        return answer

    def _end(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return f"it ended: {lines[-1] if lines else 'without a word'}"


@contextlib.contextmanager
def worker(python: Path, name: str, url: str, api: str, log: Path) -> Iterator[Worker]:
    """Run a contestant for as long as a ``with`` block lasts.

    Raises:
        WorkerError: It did not come up.
    """
    command = [str(python), "-m", "benchmarks.worker", name, url, api, str(UNDER_TEST)]
    with _child(command, log) as process:
        yield Worker(process, log)


@contextlib.contextmanager
def _child(command: list[str], log: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
            stop_process(process)
            assert process.stdout is not None
            process.stdout.close()
