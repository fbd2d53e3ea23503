"""Environment of the fuzzer, and a run of limited time.

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

from scripts import interpreters, layer, venvs
from scripts.phases import PhaseError

PINS = venvs.ROOT / "constraints" / "fuzz.txt"
VENV = venvs.ROOT / ".venvs" / "fuzz"


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
        inside = make(venvs.make(stack, python, environ), environ)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    words = [str(inside), "-m", "fuzz", *(sys.argv[1:] if argv is None else argv)]
    return venvs.execute(words, venvs.activated(inside, environ))


if __name__ == "__main__":
    sys.exit(main())
