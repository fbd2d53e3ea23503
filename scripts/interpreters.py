"""Choice of the Llama Stack release to set up, and of a Python that can run it.

Standard library only and free of new syntax: this runs on the bare machine's
own Python, which may be older than any that Llama Stack accepts.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from scripts import releases


class Version(NamedTuple):
    """A Python version without its patch level."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


# The newest release under the name of Llama Stack: what is set up unless STACK names another.
NEWEST_STACK = "0.7.3"
# 0.2.12 is the last release for Python 3.11; every later one requires 3.12.
LAST_STACK_FOR_311 = "0.2.12"
# The pins are tested on these. A newer Python is tried only when none of them is there.
TESTED = (Version(3, 11), Version(3, 12), Version(3, 13))
NEWEST_TRIED = Version(3, 15)


class Interpreter(NamedTuple):
    """A Python that runs: its executable and its (major, minor) version."""

    path: str
    version: Version


class NoInterpreterError(Exception):
    """No Python on this machine can run the wanted Llama Stack release."""


def default_stack(version: Version) -> str:
    """The newest Llama Stack release that is tested and runs on a Python."""
    return LAST_STACK_FOR_311 if version < minimum_python(NEWEST_STACK) else NEWEST_STACK


def minimum_python(stack: str) -> Version:
    """The oldest Python that release `stack` accepts."""
    release = releases.parse(stack)
    last = releases.parse(LAST_STACK_FOR_311).numbers
    old = release.project == "llama-stack" and release.numbers <= last
    return Version(3, 11) if old else Version(3, 12)


def suitable_versions(stack: str) -> tuple[Version, ...]:
    """Python versions for `stack`, best first: the tested ones, then newer ones."""
    newer = (Version(3, minor) for minor in range(TESTED[-1].minor + 1, NEWEST_TRIED.minor + 1))
    return tuple(v for v in (*TESTED, *newer) if v >= minimum_python(stack))


def probe(path: str) -> Version | None:
    """The version of the Python at `path`, or None when it does not run.

    A file on PATH is no proof: version managers leave shims that only print an error.
    """
    code = "import sys; print(sys.version_info[0], sys.version_info[1])"
    try:
        done = subprocess.run(
            [path, "-c", code], capture_output=True, text=True, timeout=20, check=True
        )
        major, minor = done.stdout.split()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Version(int(major), int(minor))


def pyenv_root(environ: Mapping[str, str]) -> str | None:
    """Where pyenv keeps its versions, if this machine has pyenv."""
    if root := environ.get("PYENV_ROOT"):
        return root
    if shutil.which("pyenv"):
        done = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    home = os.path.expanduser("~/.pyenv")
    return home if os.path.isdir(home) else None


def candidates(versions: Iterable[Version], root: str | None) -> Iterator[str]:
    """Paths where a Python of `versions` may be, in the order of preference."""
    for version in versions:
        name = f"python{version}"
        if on_path := shutil.which(name):
            yield on_path
        if root:
            pattern = os.path.join(root, "versions", f"{version}.*", "bin", name)
            yield from sorted(glob.glob(pattern))


def find(
    stack: str,
    current: Interpreter,
    paths: Callable[[Sequence[Version]], Iterable[str]],
    run: Callable[[str], Version | None] = probe,
) -> Interpreter:
    """The Python for `stack`: the current one when it is tested, else the best found.

    Args:
        stack: The release, such as `0.2.24` or `ogx-1.5.0`.
        current: The Python that is running.
        paths: Gives the paths to look at for some versions, best first.
        run: Gives the version of the Python at a path, None when it does not run.

    Raises:
        NoInterpreterError: No suitable Python is here; the text says what to install.
    """
    wanted = suitable_versions(stack)
    if current.version in wanted and current.version in TESTED:
        return current
    for path in paths(wanted):
        version = run(path)
        if version and version in wanted:
            return Interpreter(path, version)
    if current.version in wanted:
        return current
    minimum = minimum_python(stack)
    message = (
        f"{releases.parse(stack).title} needs Python {minimum} or later and this is Python "
        f"{current.version}. "
        f"Install one (your system's package manager, the installer from the Python site, or "
        f"`pyenv install {minimum}`), or name it: make PYTHON=/path/to/python{minimum} ..."
    )
    raise NoInterpreterError(message)


def exactly(version: Version, environ: Mapping[str, str]) -> Interpreter:
    """A Python of just this version.

    Raises:
        NoInterpreterError: None is here; the text says how to get one.
    """
    for path in candidates([version], pyenv_root(environ)):
        if probe(path) == version:
            return Interpreter(path, version)
    message = (
        f"There is no Python {version} on this machine. Install it with your system's package "
        f"manager or `pyenv install {version}`."
    )
    raise NoInterpreterError(message)


def choose(
    environ: Mapping[str, str], note: Callable[[str], object] = sys.stderr.write
) -> tuple[str, Interpreter]:
    """The release and the Python that STACK, PYTHON and this machine lead to.

    Without STACK, that is the newest release that any Python here can run.

    Args:
        environ: The environment variables.
        note: Takes the line that says what a newer Python would give.

    Raises:
        NoInterpreterError: PYTHON does not run or is too old, or no suitable Python is here.
    """
    stack = environ.get("STACK")
    if named := environ.get("PYTHON"):
        python = _named(named)
        stack = stack or default_stack(python.version)
        if python.version < minimum_python(stack):
            message = (
                f"{releases.parse(stack).title} needs Python {minimum_python(stack)} or later; "
                f"PYTHON={named} is {python.version}."
            )
            raise NoInterpreterError(message)
        _note_older(stack, environ, note)
        return stack, python
    # Inside a virtual environment, the Python it was made from: `make` may replace the former.
    base = getattr(sys, "_base_executable", None) or sys.executable
    current = Interpreter(base, Version(*sys.version_info[:2]))
    root = pyenv_root(environ)

    def paths(versions: Sequence[Version]) -> Iterator[str]:
        return candidates(versions, root)

    if stack:
        return stack, find(stack, current, paths, probe)
    try:
        return NEWEST_STACK, find(NEWEST_STACK, current, paths, probe)
    except NoInterpreterError:
        python = find(LAST_STACK_FOR_311, current, paths, probe)
    _note_older(LAST_STACK_FOR_311, environ, note)
    return LAST_STACK_FOR_311, python


def _named(name: str) -> Interpreter:
    """The Python that PYTHON names."""
    path = shutil.which(name) or name
    version = probe(path)
    if version is None:
        message = f"PYTHON={name} does not run; name a Python that does, or leave it out."
        raise NoInterpreterError(message)
    return Interpreter(path, version)


def _note_older(stack: str, environ: Mapping[str, str], note: Callable[[str], object]) -> None:
    """Say what a newer Python gives, unless the user chose the release."""
    if stack == LAST_STACK_FOR_311 and not environ.get("STACK"):
        note(
            f"This uses Llama Stack {stack}, the last release for Python 3.11. With Python "
            f"{minimum_python(NEWEST_STACK)} or later it would be {NEWEST_STACK}, the newest.\n"
        )
