"""The ways on which the suite calls an engine."""

import os
import sys
from importlib import metadata

from scripts import releases, venvs
from scripts.engine.features import DIRECT
from scripts.statuses import SERVERS, Server


def installed() -> str:
    """Return the release in this environment, as STACK names it."""
    for project in ("ogx", "llama-stack"):
        try:
            return releases.parse(f"{project}-{metadata.version(project)}").stack
        except metadata.PackageNotFoundError:
            continue
    raise AssertionError("no server is installed")


def stacks() -> list[str]:
    """Return the releases whose servers are called through."""
    return os.environ.get("ENGINE_STACKS", "").split() or [installed()]


def routes() -> list[str]:
    """Return the routes: directly, and through a server of each release."""
    return [DIRECT, *stacks()]


def python_of(stack: str) -> str:
    """Return the Python beside which a release's server is installed."""
    if stack == installed():
        return sys.executable
    return str(venvs.venv_python(venvs.venv_path(stack)))


def server_of(stack: str) -> Server:
    """Return what a release's server makes of errors."""
    release = releases.parse(stack)
    if release.project == "ogx":
        return SERVERS[8 if release.age >= releases.parse("ogx-1.5.0").age else 7]
    for number, first in ((6, "0.7.3"), (5, "0.6.1"), (4, "0.5.4"), (3, "0.3.5"), (2, "0.2.24")):
        if release.age >= releases.parse(first).age:
            return SERVERS[number]
    return SERVERS[1 if release.age >= releases.parse("0.2.20").age else 0]


def is_native(stack: str) -> bool:
    """Tell a release that is called by its native API."""
    release = releases.parse(stack)
    return release.project == "llama-stack" and release.age < releases.parse("0.3.5").age
