"""An emulated NIM in a process of its own, which can be killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from scripts.stack_server import free_port, stop_process, tail

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
_START_SECONDS = 30.0


class NIMProcess:
    """The emulator, on one port for all its lives.

    Args:
        folder: For its log.
        tokens_per_second: Rate of streams, None for no limit.

    Attributes:
        url: Its address, without ``/v1``.
    """

    def __init__(self, folder: Path, tokens_per_second: float | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "nim.log"
        self._rate = tokens_per_second
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; gives the moment (monotonic) in which it answered first."""
        command = [str(Path(sys.executable).with_name("llama-stack-nvidia")), "emulate"]
        command += ["--port", str(self.port)]
        for model in (LLM, EMBEDDER, RERANKER):
            command += ["--model", model]
        if self._rate:
            command += ["--tokens-per-second", str(self._rate)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                self.ask("connections")
            except OSError:
                time.sleep(0.02)
            else:
                return time.monotonic()
        raise AssertionError(f"the emulator did not start: {tail(self._log)}")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            stop_process(self._process)

    def ask(self, what: str, data: Any = None, method: str | None = None) -> Any:
        """Ask the emulator about itself, or order something.

        Args:
            what: ``requests``, ``connections``, ``script`` or ``faults``.
            data: What is ordered.
            method: Of the HTTP request, unless GET, or POST with data.
        """
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{self.url}/emulator/{what}",
            data=body,
            method=method,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def connections(self) -> int:
        """Count the connections that are open; asking is one of them."""
        return len(self.ask("connections")["open"]) - 1

    def __enter__(self) -> NIMProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
