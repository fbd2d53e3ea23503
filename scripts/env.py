"""Make and use the project's environments, one for each release of Llama Stack or OGX.

    python3 -m scripts.env run -- pytest     make the environment if needed, run a command in it
    python3 -m scripts.env make              only make it
    python3 -m scripts.env lock              write the release's constraints file anew

STACK names the release (`0.7.3`, or `ogx-1.5.0`) and PYTHON the interpreter; both may be
left out.
Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from scripts import interpreters, lock, venvs
from scripts.phases import PhaseError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python3 -m scripts.env", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="make the environment and print its Python")
    run = commands.add_parser("run", help="run a command in the environment")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command ...")
    locking = commands.add_parser("lock", help="write the constraints file of a release anew")
    locking.add_argument("--stack", help="the release (else STACK, else the default)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors are told in a sentence, without a traceback."""
    options = parser().parse_args(argv)
    environ = dict(os.environ)
    if getattr(options, "stack", None):
        environ["STACK"] = options.stack
    try:
        stack, python = interpreters.choose(environ)
        if options.command == "lock":
            print(lock.write(stack, python, environ))
            return 0
        inside = venvs.make(stack, python, environ)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.command == "make":
        print(inside)
        return 0
    return venvs.execute(options.words, venvs.activated(inside, environ))


if __name__ == "__main__":
    sys.exit(main())
