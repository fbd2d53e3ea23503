"""An emulated NIM in a process of its own, which can be killed and started again."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from scripts.child_process import Child, free_port

LLM = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"


class NIMProcess(Child):
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
        command = [str(Path(sys.executable).with_name("llama-stack-nvidia")), "emulate"]
        command += ["--port", str(self.port)]
        for model in (LLM, EMBEDDER, RERANKER):
            command += ["--model", model]
        if tokens_per_second:
            command += ["--tokens-per-second", str(tokens_per_second)]
        log = folder / "nim.log"
        super().__init__("The emulator", command, log, ready=self._answers, pause=0.02)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()

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

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self.ask("connections")
            return True
        return False
