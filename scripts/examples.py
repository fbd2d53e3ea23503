"""Environment of the examples: a release's, with LangChain and notebooks added.

    python3 -m scripts.examples run -- pytest tests/examples

The release is 0.7.3 unless STACK names another. Standard library only: this runs before anything
is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from scripts import interpreters, layer, venvs
from scripts.phases import PhaseError

PINS = venvs.ROOT / "constraints" / "examples.txt"
DEFAULT_STACK = "0.7.3"


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
        release = venvs.make(stack, python, environ)
        inside = layer.beside("LangChain and notebooks", "examples", PINS, release, environ)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    # The release's programs, such as its server and pytest, are found behind the layer's own.
    return venvs.execute(options.words, venvs.activated(inside, venvs.activated(release, environ)))


if __name__ == "__main__":
    sys.exit(main())
