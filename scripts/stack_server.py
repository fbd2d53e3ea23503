"""A real Llama Stack server as a child process.

    with StackServer("run.yaml", env={"NVIDIA_BASE_URL": url}) as server:
        client = LlamaStackClient(base_url=server.url)

Standard library only, so that tests, demo and harness can share it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TAIL_LINES = 30
STOP_SECONDS = 10.0
# Linux and macOS give ports from 32768 and from 49152 on.
OWN_PORTS = range(20_000, 32_000)


class ServerError(Exception):
    """A child process did not come up; the text has the end of its log."""


def free_port() -> int:
    """A TCP port on the loopback address that nothing listened on a moment ago.

    It is below those that the system gives to clients and to whoever asks for any: one of them
    could be taken until the server that it is for has started.
    """
    for port in random.sample(OWN_PORTS, 20):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def taken(port: int) -> bool:
    """Whether something listens on a TCP port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_command(python: Path) -> list[str]:
    """Return what starts the server that is installed beside a Python: OGX, or else Llama Stack.

    The script beside the interpreter: the interpreter's own path may be a link elsewhere.
    """
    ogx = python.parent / "ogx"
    return [str(ogx), "run"] if ogx.exists() else [str(python.parent / "llama"), "stack", "run"]


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


class Child:
    """A child that leads its own process group, and writes into a log.

    Args:
        title: What it is called in errors.
        command: Its words.
        log_path: The file for its output.
        options: More for :class:`subprocess.Popen`.
    """

    def __init__(self, title: str, command: Sequence[str], log_path: Path, **options: Any) -> None:
        self._title = title
        self._log_path = log_path
        with log_path.open("wb") as log:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the parent, which then stops the child in order.
                start_new_session=True,
                **options,
            )

    def wait_until(
        self,
        ready: Callable[[], bool],
        seconds: float,
        progress: Callable[[float], object] | None = None,
    ) -> None:
        """Return once it is ready; call `progress` with the seconds waited so far.

        Raises:
            ServerError: It ended, or was not ready in time.
        """
        started = time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            status = self.process.poll()
            if status is not None:
                raise ServerError(self._failure(f"ended with status {status}"))
            if ready():
                return
            if progress:
                progress(waited)
            time.sleep(0.2)
        raise ServerError(self._failure(f"did not answer within {seconds:.0f} s"))

    def stop(self) -> None:
        """Stop it and what it started."""
        stop_process(self.process)

    def _failure(self, what: str) -> str:
        return f"{self._title} {what}. The end of its log:\n{tail(self._log_path)}"


class StackServer:
    """`llama stack run` (or `ogx run`) on a free port, stopped when the `with` block ends.

    Args:
        run_yaml: The configuration to serve.
        env: Variables for the server on top of this process's environment. Without
            `SQLITE_STORE_DIR` the server's databases live in a folder that goes with it.
        python: The Python of the environment to use; this one unless told.
        port: The port to listen on; a free one unless told.
        log_path: The file for the server's output; one in a temporary folder unless told.
        timeout: Seconds it may take until the server answers.
        progress: Called about twice a second with the seconds waited so far.

    Attributes:
        url: The server's address, without a trailing slash.
        log_path: The file with the server's output.
    """

    def __init__(
        self,
        run_yaml: str | Path,
        *,
        env: Mapping[str, str] | None = None,
        python: str | Path = sys.executable,
        port: int | None = None,
        log_path: str | Path | None = None,
        timeout: float = 120.0,
        progress: Callable[[float], object] | None = None,
    ) -> None:
        self._run_yaml = Path(run_yaml).resolve()
        self._python = Path(python)
        self._timeout = timeout
        self._progress = progress
        self._scratch = Path(tempfile.mkdtemp(prefix="llama-stack-"))
        self._env = {**os.environ, "SQLITE_STORE_DIR": str(self._scratch / "store"), **(env or {})}
        self._child: Child | None = None
        self.port = port or free_port()
        self.log_path = Path(log_path) if log_path else self._scratch / "server.log"
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id, which is also that of its process group."""
        if self._child is None:
            message = "the server has not been started"
            raise ServerError(message)
        return self._child.process.pid

    def start(self) -> StackServer:
        """Start the server and return once it answers.

        Raises:
            ServerError: The port is taken, or the server ended or did not answer in time.
        """
        # Whoever has the port would answer in the server's place.
        if taken(self.port):
            message = f"Port {self.port} is in use by another program; choose another one."
            raise ServerError(message)
        Path(self._env["SQLITE_STORE_DIR"]).mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        command = [*run_command(self._python), str(self._run_yaml)]
        self._child = Child(
            "The Llama Stack server",
            [*command, "--port", str(self.port)],
            self.log_path,
            # run.yaml names the providers' folder relative to the repository.
            cwd=ROOT,
            env=self._env,
        )
        try:
            self._child.wait_until(self._healthy, self._timeout, self._progress)
        except BaseException:
            self.stop()
            raise
        return self

    def wait(self) -> int:
        """Block until the server ends by itself; returns its exit status."""
        return 0 if self._child is None else self._child.process.wait()

    def stop(self) -> None:
        """Stop the server if it runs; its temporary files go, the log with them if it is there."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> StackServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _healthy(self) -> bool:
        # No proxy: a proxy variable that misses 127.0.0.1 would hide the server.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/v1/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
