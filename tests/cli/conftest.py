"""Running the command line, in this process or on a terminal of its own."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest
from typer.testing import CliRunner, Result

from llama_stack_provider_nvidia.cli import app
from nim_emulator import EmulatorServer

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-nemotron-rerank-1b-v2"
TOOL = [str(Path(sys.executable).with_name("llama-stack-nvidia"))]

_ON_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write where they are called, and the server's log is as it should be."""
    monkeypatch.chdir(tmp_path)
    for name in ("LLAMA_STACK_LOG_FORMAT", "OGX_LOG_FORMAT"):
        monkeypatch.setenv(name, "json")


@pytest.fixture
def run() -> Run:
    """Run a command in this process; keywords beside ``given`` are variables."""

    def invoke(*arguments: str, given: str | None = None, **env: str) -> Result:
        return CliRunner().invoke(app, list(arguments), input=given, env=env)

    return invoke


@pytest.fixture(scope="session")
def shared_nim() -> Iterator[EmulatorServer]:
    # Slow enough for an answer to be stopped in its middle.
    with EmulatorServer(models=[LLM, EMBEDDER, RERANKER], tokens_per_second=400) as made:
        yield made


@pytest.fixture
def nim(shared_nim: EmulatorServer) -> EmulatorServer:
    """A NIM 2.x with a model of each kind, without requests and faults."""
    shared_nim.clear()
    return shared_nim


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self._master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        self._process = subprocess.Popen(
            # The process itself takes the terminal: a preexec_fn is not safe beside threads.
            [sys.executable, "-c", _ON_TERMINAL, *TOOL, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env=env,
        )
        os.close(slave)
        self._shown = ""
        self._read = 0

    def press(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """Wait until a text is shown after what was waited for before; give all up to it."""
        end = time.monotonic() + seconds
        while True:
            if found := re.compile(pattern).search(self._shown, self._read):
                passed, self._read = self._shown[self._read : found.end()], found.end()
                return passed
            left = end - time.monotonic()
            if left <= 0 or not self._more(left):
                raise AssertionError(f"{pattern!r} is not in {self._shown[self._read :]!r}")

    def ended(self, seconds: float = 30) -> tuple[int, str]:
        """Wait for its end; give its status, and all that was shown."""
        end = time.monotonic() + seconds
        while self._more(max(0, end - time.monotonic())):
            pass
        return self._process.wait(max(0.1, end - time.monotonic())), self._shown

    def _more(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other side has closed
            return False
        self._shown += data.decode("utf-8", "replace")
        return bool(data)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., Terminal]:
    """Start a command on a terminal of its own."""
    return lambda *arguments: Terminal(*arguments, cwd=tmp_path)
