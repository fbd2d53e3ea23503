"""The documentation site, and the tools that check what is deployed.

    python3 -m scripts.site build              the site, into var/site
    python3 -m scripts.site run -- mkdocs ...  a command in the tools' environment
    python3 -m scripts.site lock               write constraints/docs.txt anew

The tools have an environment of their own, because no stack server needs them. Standard library
only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import interpreters, pip_settings, venvs
from scripts.interpreters import Interpreter
from scripts.phases import PhaseError, Phases

PINS = venvs.ROOT / "constraints" / "docs.txt"
VENV = venvs.ROOT / ".venvs" / "docs"
TARGET = venvs.ROOT / "var" / "site"
EXTRA = "docs"
_HEADER = """\
# What builds the documentation site and checks deploy/: complete, installed with --no-deps.
# Python {python}. Regenerate with: python3 -m scripts.site lock
"""


def requirements() -> list[str]:
    """The extra's requirements, as pyproject.toml has them."""
    import tomllib  # not in every Python that can find the one that is needed

    project = tomllib.loads((venvs.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[str] = project["project"]["optional-dependencies"][EXTRA]
    return found


def make(
    python: Interpreter, environ: Mapping[str, str], pins: Path = PINS, venv: Path = VENV
) -> Path:
    """Make an environment of tools unless it is there and up to date; returns its Python.

    Raises:
        PhaseError: A step of the installation failed.
    """
    stamp = venv / "made-from"
    inside = venvs.venv_python(venv)
    wanted = venvs.fingerprint(python, pins.read_bytes())
    with venvs.locked(venv.with_suffix(".lock")):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and inside.exists():
            return inside
        phases = Phases(venv.with_suffix(".log"))
        title = "the documentation's tools" if venv == VENV else "tools"
        phases.note(f"Setting up {title} in .venvs/{venv.name}")
        phases.run(
            "making the environment", [python.path, "-m", "venv", "--clear", str(venv)], environ
        )
        _install(inside, phases, environ, pins)
        stamp.write_text(wanted, encoding="utf-8")
    return inside


def _install(inside: Path, phases: Phases, environ: Mapping[str, str], pins: Path) -> None:
    """Install the pins: with uv in seconds, or with pip where uv is not to be had."""
    settings = venvs.pip_config(inside, environ)
    uv = venvs.pin(pins.read_text(encoding="utf-8"), "uv")
    wanted = ["--no-deps", "-r", str(pins)]
    try:
        fetch = [str(inside), "-m", "pip", "install", "--quiet", uv]
        phases.run("fetching the installer", fetch, environ)
        phases.run(
            "installing",
            [
                *(str(inside), "-m", "uv", "pip", "install", "--python", str(inside)),
                *(*pip_settings.uv_flags(settings), *wanted),
            ],
            {**environ, **pip_settings.uv_environment(settings, environ)},
        )
    except PhaseError:
        phases.note("  that did not work; trying with pip alone, which takes longer")
        phases.run("installing", [str(inside), "-m", "pip", "install", *wanted], environ)


def lock(python: Interpreter, environ: Mapping[str, str]) -> Path:
    """Resolve the extra and write its constraints file; returns the file.

    Raises:
        PhaseError: The requirements do not go together, or the index is out of reach.
    """
    with tempfile.TemporaryDirectory() as scratch:
        venv = Path(scratch, "venv")
        inside = venvs.venv_python(venv)
        phases = Phases(Path(scratch, "log"))
        phases.run("making an environment", [python.path, "-m", "venv", str(venv)], environ)
        phases.run("fetching uv", [str(inside), "-m", "pip", "install", "--quiet", "uv"], environ)
        settings = venvs.pip_config(inside, environ)
        done = subprocess.run(
            [
                *(str(inside), "-m", "uv", "pip", "compile", "-", "--quiet", "--no-header"),
                *("--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
                *("--python", str(inside), *pip_settings.uv_flags(settings)),
            ],
            input="\n".join([*requirements(), "uv"]),
            capture_output=True,
            text=True,
            env={**environ, **pip_settings.uv_environment(settings, environ)},
            check=False,
        )
        if done.returncode:
            raise PhaseError(done.stderr)
    pins = [line for line in done.stdout.splitlines() if "==" in line and line[:1] != "#"]
    pins.sort(key=lambda line: line.split("=="))
    text = _HEADER.format(python=python.version) + "\n".join(pins) + "\n"
    PINS.write_text(text, encoding="utf-8")
    return PINS


def build_command(python: Path, target: Path = TARGET) -> list[str]:
    """Return the command that builds the site; a warning, such as a dead link, makes it fail."""
    # Not --quiet: warnings that are not shown do not count.
    mkdocs = [str(python), "-m", "mkdocs", "build", "--strict"]
    return [*mkdocs, "--config-file", str(venvs.ROOT / "mkdocs.yml"), "--site-dir", str(target)]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python3 -m scripts.site", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the site")
    run = commands.add_parser("run", help="run a command in the tools' environment")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command ...")
    commands.add_parser("lock", help="write the constraints file anew")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors are told in a sentence, without a traceback."""
    options = parser().parse_args(argv)
    environ = {name: value for name, value in os.environ.items() if name != "STACK"}
    try:
        _, python = interpreters.choose(environ)
        if options.command == "lock":
            print(lock(python, environ))
            return 0
        inside = make(python, environ)
    except (PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    if options.command == "run":
        venvs.execute(options.words, venvs.activated(inside, environ))
    # The theme advertises its successor otherwise.
    environ["NO_MKDOCS_2_WARNING"] = "1"
    # The hook of mkdocs.yml imports this project's scripts.
    command = build_command(inside)
    status = subprocess.run(command, cwd=venvs.ROOT, env=environ, check=False).returncode
    if not status:
        print(f"The site is in {TARGET.relative_to(venvs.ROOT)}.")
    return status


if __name__ == "__main__":
    sys.exit(main())
