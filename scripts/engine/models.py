"""Models that the engines serve: a tiny Llama with random weights, a real small one, and a shell.

Each is written by a script beside this module, run in an engine's environment.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts import venvs
from scripts.engine.installing import STAMP, VENVS, Environment, say

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Model:
    """A model's folder in `.venvs`, made on this machine.

    Attributes:
        name: Of the folder.
        served: The name that it is served under.
        writer: The script that writes it, called with the folder.
        environment: Where the script runs.
    """

    name: str
    served: str
    writer: str
    environment: Environment

    @property
    def path(self) -> Path:
        """Its folder."""
        return VENVS / self.name

    def make(self) -> None:
        """Write it; nothing to do when it is there."""
        self.environment.install()
        script = HERE / self.writer
        source = script.read_bytes() + self.environment.fingerprint().encode()
        wanted = hashlib.sha256(source).hexdigest()
        stamp = self.path / STAMP
        with venvs.locked(self.path.with_name(f"{self.name}.lock")):
            if stamp.exists() and stamp.read_text() == wanted:
                return
            self.path.mkdir(parents=True, exist_ok=True)
            subprocess.run(
                [self.environment.python, script, self.path],
                check=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
                stderr=subprocess.DEVNULL,  # progress bars
            )
            stamp.write_text(wanted)
            say(f"model written to .venvs/{self.name}")
