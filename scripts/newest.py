"""Environment with the newest openai, httpx, aiohttp, pydantic and anyio in pyproject's bounds.

    python3 -m scripts.newest run -- pytest    make the environment if needed, run a command in it
    python3 -m scripts.newest lock             write constraints/newest.txt anew

The environment adds the newest openai, httpx, aiohttp, pydantic and anyio to that of the newest
release whose tests are all there: 0.2.24 is the last with the native API. Standard library only:
this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import interpreters, layer, pip_settings, venvs
from scripts.phases import PhaseError

PINS = venvs.ROOT / "constraints" / "newest.txt"
DEFAULT_STACK = "0.2.24"
NAMES = ("aiohttp", "anyio", "httpx", "openai", "pydantic")

_HEADER = """\
# The newest releases within pyproject's bounds that {slug}.txt has not: of
# {names}, and of what they need. Installed with --no-deps.
# Made anew with: python3 -m scripts.newest lock
"""


def bounds(pyproject: str) -> list[str]:
    """The requirements of pyproject.toml for the packages to be renewed."""
    # Python has a reader of TOML since 3.11 only.
    return re.findall(rf'^  "((?:{"|".join(NAMES)})[<>=][^"]*)"', pyproject, re.MULTILINE)


def render(resolved: str, release: str, slug: str) -> str:
    """The text of the constraints file.

    Args:
        resolved: The newest pins.
        release: The release's pins, which need no repetition.
        slug: Name of the release's file.
    """
    known = set(release.splitlines())
    found = [line for line in resolved.splitlines() if "==" in line and line not in known]
    header = _HEADER.format(slug=slug, names=", ".join(NAMES))
    return header + "".join(f"{line}\n" for line in sorted(found))


def lock(python: Path, stack: str, environ: Mapping[str, str]) -> Path:
    """Write the constraints file anew; returns it.

    Args:
        python: Of the release's environment.
        stack: The release.
        environ: The environment variables for what is run.

    Raises:
        PhaseError: The index is out of reach, or the bounds do not go together.
    """
    settings = pip_settings.uv_flags(venvs.pip_config(python, environ))
    done = subprocess.run(
        [
            *(str(python), "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--upgrade"),
            *("--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--python", str(python), *settings, "-"),
        ],
        input="\n".join(bounds((venvs.ROOT / "pyproject.toml").read_text(encoding="utf-8"))),
        capture_output=True,
        text=True,
        env={
            **environ,
            **pip_settings.uv_environment(venvs.pip_config(python, environ), environ),
        },
        check=False,
    )
    if done.returncode:
        raise PhaseError(done.stderr)
    release = venvs.constraints_path(stack)
    text = render(done.stdout, release.read_text(encoding="utf-8"), release.stem)
    PINS.write_text(text, encoding="utf-8")
    return PINS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python3 -m scripts.newest", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = made.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a command in the environment")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command ...")
    commands.add_parser("lock", help="write constraints/newest.txt anew")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Make the environments, and become the command."""
    options = parser().parse_args(argv)
    environ = dict(os.environ)
    environ["STACK"] = environ.get("STACK") or DEFAULT_STACK
    try:
        stack, python = interpreters.choose(environ)
        release = venvs.make(stack, python, environ)
        if options.command == "lock":
            print(lock(release, stack, environ))
            return 0
        inside = layer.beside("the newest dependencies", "newest", PINS, release, environ)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return venvs.execute(options.words, venvs.activated(inside, venvs.activated(release, environ)))


if __name__ == "__main__":
    sys.exit(main())
