"""Environment of Helm's library, Grafana's types and the writer of SBOMs, in .venvs/deploy."""

from __future__ import annotations

import os
from pathlib import Path

from scripts import interpreters, site, venvs

PINS = venvs.ROOT / "constraints" / "deploy.txt"
VENV = venvs.ROOT / ".venvs" / "deploy"


def make() -> Path:
    """Make the environment unless it is there and up to date; returns its Python.

    Raises:
        PhaseError: A step of the installation failed.
    """
    environ = {name: value for name, value in os.environ.items() if name != "STACK"}
    _, python = interpreters.choose(environ)
    return site.make(python, environ, PINS, VENV)
