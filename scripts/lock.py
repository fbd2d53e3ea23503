"""Write the constraints file of a release: the newest compatible versions."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scripts import pip_settings, releases, venvs
from scripts.interpreters import Interpreter
from scripts.phases import PhaseError, Phases

_HEADER = """\
# {title} with everything this project installs beside it, at the versions tested.
# Tested on Python {python}. Regenerate with: python3 -m scripts.env lock --stack {stack}
"""


# What a release needs, does not declare, and no extra of the package says for all releases.
_NEEDS = {
    # mcp 2 renamed an exception that it imports.
    "ogx-1.0.0": ("mcp<2",),
}


# A release that was published without a client of its own, and the client that it gets.
_CLIENTS = {"llama-stack-0.2.24": "0.2.23"}


# What the extras name and this repository holds; it gets no pin.
_LOCAL = (f"--editable {venvs.ROOT / 'nim_emulator'}",)


def roots(stack: str) -> list[str]:
    """The requirements that a release adds to the package's own.

    A server refuses clients of another minor release. From 0.4 it takes any version of its API
    package, but works only with its own.
    """
    release = releases.parse(stack)
    name, version = release.project, release.version
    client = _CLIENTS.get(release.slug, version)
    found = [f"{name}=={version}", f"{name}-client=={client}", *venvs.TOOLS]
    if release.age >= releases.parse("0.4").age:
        found.append(f"{name}-api=={version}")
    return [*found, *_NEEDS.get(release.slug, ())]


def render(stack: str, python: Interpreter, pins: str) -> str:
    """The text of a constraints file from the resolver's output."""
    lines = {line for line in pins.splitlines() if "==" in line and line[:1] != "#"}
    kept = sorted(lines, key=lambda line: line.split("=="))
    header = _HEADER.format(title=releases.parse(stack).title, stack=stack, python=python.version)
    return header + "\n".join(kept) + "\n"


def write(stack: str, python: Interpreter, environ: Mapping[str, str]) -> Path:
    """Resolve the release's requirements and write its constraints file.

    Returns:
        The file written.

    Raises:
        PhaseError: The requirements do not go together, or the index is out of reach.
    """
    target = venvs.constraints_path(stack)
    with tempfile.TemporaryDirectory() as scratch:
        venv = Path(scratch, "venv")
        inside = venvs.venv_python(venv)
        phases = Phases(Path(scratch, "log"))
        phases.note(f"Pinning {releases.parse(stack).title} for Python {python.version}")
        phases.run("making an environment", [python.path, "-m", "venv", str(venv)], environ)
        phases.run("fetching uv", [str(inside), "-m", "pip", "install", "--quiet", "uv"], environ)
        settings = venvs.pip_config(inside, environ)
        wanted = Path(scratch, "wanted.in")
        wanted.write_text("\n".join([*roots(stack), *_LOCAL]), encoding="utf-8")
        extras = [word for name in venvs.extras(stack).split(",") for word in ("--extra", name)]
        command = [
            *(str(inside), "-m", "uv", "pip", "compile", "--quiet", "--no-header"),
            *("--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *("--python", str(inside), *pip_settings.uv_flags(settings), *extras),
            *(str(venvs.ROOT / "pyproject.toml"), str(wanted)),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**environ, **pip_settings.uv_environment(settings, environ)},
            check=False,
        )
        if done.returncode:
            raise PhaseError(done.stderr)
    target.parent.mkdir(exist_ok=True)
    target.write_text(render(stack, python, done.stdout), encoding="utf-8")
    return target
