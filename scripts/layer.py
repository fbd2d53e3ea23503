"""Environments that extend a release's own by a few packages.

What a layer holds is pinned in a constraints file of its own, the rest is the release's. Standard
library only: this runs before anything is installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from scripts import pip_settings, venvs
from scripts.phases import Phases


def beside(title: str, prefix: str, pins: Path, release: Path, environ: Mapping[str, str]) -> Path:
    """Make a layer in a folder beside its release's, named after both; returns its Python.

    Raises:
        PhaseError: A step of the installation failed.
    """
    below = release.parent.parent
    return make(title, below.with_name(f"{prefix}-{below.name}"), pins, release, environ)


def make(title: str, venv: Path, pins: Path, release: Path, environ: Mapping[str, str]) -> Path:
    """Make a layer unless it is there and up to date; returns its Python.

    Args:
        title: What it adds, for people.
        venv: Its folder.
        pins: The packages it adds, with all that the release has not.
        release: Python of the environment that it lies on.
        environ: The environment variables for what is run.

    Raises:
        PhaseError: A step of the installation failed.
    """
    stamp = venv / "made-from"
    inside = venvs.venv_python(venv)
    wanted = f"{release}\n{pins.read_text(encoding='utf-8')}"
    # A release's version has dots, which are no suffix.
    with venvs.locked(venv.with_name(f"{venv.name}.lock")):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and inside.exists():
            return inside
        phases = Phases(venv.with_name(f"{venv.name}.log"))
        phases.note(f"Setting up {title} in .venvs/{venv.name}")
        making = [str(release), "-m", "venv", "--clear", "--without-pip", str(venv)]
        phases.run("making the environment", making, environ)
        settings = venvs.pip_config(release, environ)
        phases.run(
            "installing",
            [
                *(str(release), "-m", "uv", "pip", "install", "--python", str(inside)),
                *(*pip_settings.uv_flags(settings), "--no-deps", "-r", str(pins)),
            ],
            {**environ, **pip_settings.uv_environment(settings, environ)},
        )
        # A line of Python in a .pth file runs at each start: the other folder's .pth files, such
        # as that of the editable package, count as well.
        others = _packages(release)
        line = f"import site; site.addsitedir({str(others)!r})\n"
        (_packages(inside) / "release.pth").write_text(line, encoding="utf-8")
        stamp.write_text(wanted, encoding="utf-8")
    return inside


def _packages(python: Path) -> Path:
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.check_output(asked, text=True).strip())
