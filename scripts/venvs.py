"""The project's virtual environments under .venvs, one for each release of Llama Stack or OGX.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from scripts import interpreters, pip_settings, releases
from scripts.interpreters import Interpreter, Version
from scripts.phases import PhaseError, Phases

ROOT = Path(__file__).resolve().parent.parent
# The package's build backend and the installer are pinned with the rest.
TOOLS = ("editables", "hatchling", "uv")


class EnvError(Exception):
    """The environment cannot be made; the text says what to do."""


def extras(stack: str) -> str:
    """The extras of the package that a release's environment has."""
    return f"{releases.parse(stack).project},emulator,dev"


def constraints_path(stack: str) -> Path:
    """Where the pins of a release are."""
    return ROOT / "constraints" / f"{releases.parse(stack).slug}.txt"


def pinned() -> list[str]:
    """The releases that have pins, oldest first, as STACK names them."""
    folder = constraints_path("0").parent
    files = [*folder.glob("llama-stack-*.txt"), *folder.glob("ogx-*.txt")]
    found = [releases.parse(path.stem) for path in files]
    return [release.stack for release in sorted(found, key=lambda release: release.age)]


def venv_path(stack: str, version: Version | None = None) -> Path:
    """Where the environment of a release is; on another Python than its oldest, one beside."""
    slug = releases.parse(stack).slug
    if version in (None, interpreters.minimum_python(stack)):
        return ROOT / ".venvs" / slug
    return ROOT / ".venvs" / f"{slug}-python{version}"


def venv_python(venv: Path) -> Path:
    """The Python of an environment."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def pin(constraints: str, name: str) -> str:
    """The `name==version` line of a constraints text.

    Raises:
        EnvError: There is none.
    """
    found = re.search(rf"^{re.escape(name)}==\S+$", constraints, re.MULTILINE)
    if not found:
        message = f"The constraints file pins no {name}; make it anew (scripts.env lock)."
        raise EnvError(message)
    return found.group()


def fingerprint(python: Interpreter, *inputs: bytes) -> str:
    """Return one string that says what an environment is made from."""
    digest = hashlib.sha256(str(python.version).encode())
    for content in inputs:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def pip_config(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The pip settings that are in force for an environment's Python."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        env=dict(environ),
        check=False,
    )
    return pip_settings.parse_config_list(listed.stdout)


def install(
    python: Path, constraints: Path, wanted: str, phases: Phases, environ: Mapping[str, str]
) -> None:
    """Install the two distributions, editable, with the extras wanted, all at the pinned versions.

    uv does it in seconds; pip does it in a minute or two where uv is not to be had.
    """
    pins = constraints.read_text(encoding="utf-8")
    packages = ["--editable", str(ROOT / "nim_emulator"), "--editable", f"{ROOT}[{wanted}]"]
    settings = pip_config(python, environ)
    uv_environ = {**environ, **pip_settings.uv_environment(settings, environ)}
    count = sum(1 for line in pins.splitlines() if "==" in line)
    try:
        phases.run(
            "fetching the installer",
            [str(python), "-m", "pip", "install", "--quiet", pin(pins, "uv")],
            environ,
        )
        limits = ["--constraints", str(constraints), "--build-constraints", str(constraints)]
        phases.run(
            f"installing up to {count} pinned packages",
            [
                *(str(python), "-m", "uv", "pip", "install", "--python", str(python)),
                *(*limits, *pip_settings.uv_flags(settings), *packages),
            ],
            uv_environ,
        )
    except PhaseError:
        phases.note("  that did not work; trying with pip alone, which takes longer")
        phases.run(
            f"installing up to {count} pinned packages with pip",
            [str(python), "-m", "pip", "install", "--constraint", str(constraints), *packages],
            # The variable, unlike the flag, holds for the package's build as well.
            {**environ, "PIP_CONSTRAINT": str(constraints)},
        )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let only one process at a time make an environment (where the system can say so)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def make(
    stack: str,
    python: Interpreter,
    environ: Mapping[str, str],
    phases_of: Callable[[Path], Phases] = Phases,
) -> Path:
    """Make the environment of a release unless it is there and up to date.

    Args:
        stack: The release.
        python: The Python to make it from.
        environ: The environment variables for what is run.
        phases_of: Makes the phases that are shown, from the path of their log.

    Returns:
        The environment's Python.

    Raises:
        EnvError: The release has no constraints file.
        PhaseError: A step of the installation failed.
    """
    constraints = constraints_path(stack)
    if not constraints.exists():
        title = releases.parse(stack).title
        message = f"There are no pins for {title}; there are for {', '.join(pinned())}."
        raise EnvError(message)
    venv = venv_path(stack, python.version)
    stamp = venv / "made-from"
    inside = venv_python(venv)
    folders = (ROOT, ROOT / "nim_emulator")
    projects = [(folder / "pyproject.toml").read_bytes() for folder in folders]
    wanted = fingerprint(python, extras(stack).encode(), *projects, constraints.read_bytes())
    with locked(venv.with_suffix(f"{venv.suffix}.lock")):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and inside.exists():
            return inside
        phases = phases_of(venv.with_suffix(f"{venv.suffix}.log"))
        phases.note(
            f"Setting up {releases.parse(stack).title} on Python {python.version} "
            f"in .venvs/{venv.name}"
        )
        phases.run(
            "making the environment",
            [python.path, "-m", "venv", "--clear", str(venv)],
            environ,
        )
        install(inside, constraints, extras(stack), phases, environ)
        stamp.write_text(wanted, encoding="utf-8")
        phases.note(f"  ready after {phases.elapsed():.0f} s")
    return inside


def activated(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a shell in which the environment is active.

    Bytecode is kept, whatever the user's own setting: without it each start of a server compiles
    some 1,700 modules, for seconds.
    """
    without = ("PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    made = {name: value for name, value in environ.items() if name not in without}
    made["VIRTUAL_ENV"] = str(python.parent.parent)
    made["PATH"] = f"{python.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return made


def execute(words: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become the command, run from the repository's root; a leading `--` is no part of it."""
    command = list(words[1:] if words[:1] == ["--"] else words)
    os.chdir(ROOT)
    # exec, not a child: the command then gets Ctrl-C and SIGTERM itself.
    os.execvpe(command[0], command, dict(environ))
