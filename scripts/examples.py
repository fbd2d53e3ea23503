"""The examples: an environment that adds LangChain and notebooks to a release's, and its use.

    python3 -m scripts.examples run -- pytest tests/examples

The release is 0.7.3 unless STACK names another. Standard library only: this runs before anything
is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import env, interpreters, layer
from scripts.phases import PhaseError

PINS = env.ROOT / "constraints" / "examples.txt"
DEFAULT_STACK = "0.7.3"


def make(release: Path, environ: Mapping[str, str]) -> Path:
    """Make the environment on top of a release's unless it is there; returns its Python.

    Args:
        release: Python of the release's environment.
        environ: The environment variables for what is run.

    Raises:
        PhaseError: A step of the installation failed.
    """
    below = release.parent.parent
    venv = below.with_name(f"examples-{below.name}")
    return layer.make("LangChain and notebooks", venv, PINS, release, environ)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python3 -m scripts.examples", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = made.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a command in the environment")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command ...")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Make the environments, and become the command."""
    options = parser().parse_args(argv)
    environ = dict(os.environ)
    environ["STACK"] = environ.get("STACK") or DEFAULT_STACK
    try:
        stack, python = interpreters.choose(environ)
        release = env.make(stack, python, environ)
        inside = make(release, environ)
    except (env.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    # The release's programs, such as its server and pytest, are found behind the layer's own.
    return env.execute(options.words, env.activated(inside, env.activated(release, environ)))


if __name__ == "__main__":
    sys.exit(main())
