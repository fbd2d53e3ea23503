"""The fuzzer: an environment that adds it to a release's, and a bounded run.

    python3 -m scripts.fuzz --seconds 60 [target ...]

The environment of the release (STACK, PYTHON: see `scripts.env`) has all that is tested. Beside
it, .venvs/fuzz holds the fuzzer alone. Standard library only: this runs before anything is
installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import env, interpreters, layer
from scripts.phases import PhaseError

PINS = env.ROOT / "constraints" / "fuzz.txt"
VENV = env.ROOT / ".venvs" / "fuzz"


def make(release: Path, environ: Mapping[str, str]) -> Path:
    """Make the fuzzer's environment unless it is there and up to date; returns its Python.

    Args:
        release: Python of the environment that it adds to.
        environ: The environment variables for what is run.

    Raises:
        PhaseError: A step of the installation failed.
    """
    return layer.make("the fuzzer", VENV, PINS, release, environ)


def main(argv: Sequence[str] | None = None) -> int:
    """Make the environments, and become the fuzzer."""
    environ = dict(os.environ)
    try:
        stack, python = interpreters.choose(environ)
        inside = make(env.make(stack, python, environ), environ)
    except (env.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    words = [str(inside), "-m", "fuzz", *(sys.argv[1:] if argv is None else argv)]
    return env.execute(words, env.activated(inside, environ))


if __name__ == "__main__":
    sys.exit(main())
