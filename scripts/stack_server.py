"""A real Llama Stack server as a child process.

    with StackServer("run.yaml", env={"NVIDIA_BASE_URL": url}) as server:
        client = LlamaStackClient(base_url=server.url)

Standard library only, so that tests, demo and harness can share it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.child_process import Child, ServerError, free_port, taken

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing import Self

ROOT = Path(__file__).resolve().parent.parent


def run_command(python: Path) -> list[str]:
    """Return what starts the server that is installed beside a Python: OGX, or else Llama Stack.

    The script beside the interpreter: the interpreter's own path may be a link elsewhere.
    """
    ogx = python.parent / "ogx"
    return [str(ogx), "run"] if ogx.exists() else [str(python.parent / "llama"), "stack", "run"]


class StackServer(Child):
    """`llama stack run` (or `ogx run`) on a free port, stopped when the `with` block ends.

    Args:
        run_yaml: The configuration to serve.
        env: Variables for the server on top of this process's environment. Without
            `SQLITE_STORE_DIR` the server's databases live in a folder that goes with it.
        python: The Python of the environment to use; this one unless told.
        port: The port to listen on; a free one unless told.
        log_path: The file for the server's output; one in a temporary folder unless told.
        timeout: Seconds it may take until the server answers.
        progress: Called about five times a second with the seconds waited so far.

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
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._scratch = Path(tempfile.mkdtemp(prefix="llama-stack-"))
        self._env = {**os.environ, "SQLITE_STORE_DIR": str(self._scratch / "store"), **(env or {})}
        command = [*run_command(Path(python)), str(Path(run_yaml).resolve())]
        super().__init__(
            "The Llama Stack server",
            [*command, "--port", str(self.port)],
            Path(log_path) if log_path else self._scratch / "server.log",
            ready=self._healthy,
            timeout=timeout,
            progress=progress,
            # run.yaml names the providers' folder relative to the repository.
            cwd=ROOT,
            env=self._env,
        )

    def start(self) -> Self:
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
        return super().start()

    def wait(self) -> int:
        """Block until the server ends by itself; returns its exit status."""
        return self.process.wait()

    def stop(self) -> None:
        """Stop the server if it runs; its temporary files go, the log with them if it is there."""
        super().stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _healthy(self) -> bool:
        # No proxy: a proxy variable that misses 127.0.0.1 would hide the server.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/v1/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
