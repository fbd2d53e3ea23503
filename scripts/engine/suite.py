"""Runs of the engine suite, `tests/engine`, and the servers that it calls."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import interpreters, venvs

STACKS = ("0.2.24", "0.7.3", "ogx-1.5.0")
"""The releases through which the suite calls an engine."""


def stacks(environ: dict[str, str]) -> tuple[str, ...]:
    """Take STACK out of an environment: the release that it names, else ``STACKS``."""
    asked = environ.pop("STACK", "")
    return (asked,) if asked else STACKS


def make(stack: str, environ: Mapping[str, str]) -> Path:
    """Make the environment of a release, and return its Python.

    Raises:
        EnvError: There are no pins for the release.
        NoInterpreterError: No Python here runs it.
        PhaseError: It could not be made.
    """
    chosen, python = interpreters.choose({**environ, "STACK": stack})
    return venvs.make(chosen, python, environ)


def run(
    python: Path,
    environ: Mapping[str, str],
    called: Sequence[str],
    variables: Mapping[str, str],
    words: Sequence[str],
) -> int:
    """Run the suite, and return pytest's status.

    Args:
        python: Of an environment of the project.
        environ: The environment to run it in.
        called: The releases to call the engine through.
        variables: Which engine it is.
        words: Further arguments for pytest.
    """
    done = subprocess.run(
        [python, "-m", "pytest", "-m", "engine", "tests/engine", *words],
        cwd=venvs.ROOT,
        env={**venvs.activated(python, environ), **variables, "ENGINE_STACKS": " ".join(called)},
        check=False,
    )
    return done.returncode
