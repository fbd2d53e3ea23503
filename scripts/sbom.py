"""Write the SBOM of the packages that the image of a release has: `make sbom`.

    python3 -m scripts.sbom        var/sbom/<release>.cdx.json, for STACK or 0.7.3

The packages are installed from the pins as the Containerfile does it, into an environment of its
own, and described in CycloneDX. Standard library only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts import deploy_env, interpreters, pip_settings, releases, venvs
from scripts.phases import PhaseError, Phases

FOLDER = venvs.ROOT / "var" / "sbom"
DEFAULT_STACK = "0.7.3"


def install(stack: str, python: interpreters.Interpreter, environ: Mapping[str, str]) -> Path:
    """Install what the image has, and nothing of development; returns the environment's Python.

    Raises:
        PhaseError: A step of the installation failed.
    """
    release = releases.parse(stack)
    pins = venvs.constraints_path(stack)
    venv = venvs.ROOT / ".venvs" / f"sbom-{release.slug}"
    inside = venvs.venv_python(venv)
    tools = deploy_env.make()
    phases = Phases(venv.with_name(f"{venv.name}.log"))
    phases.note(f"Installing what the image of {release.slug} has")
    making = [python.path, "-m", "venv", "--clear", "--without-pip", str(venv)]
    phases.run("making the environment", making, environ)
    settings = venvs.pip_config(tools, environ)
    command = [str(tools), "-m", "uv", "pip", "install", "--python", str(inside)]
    command += [*pip_settings.uv_flags(settings), "--constraints", str(pins)]
    command += ["--build-constraints", str(pins), f"{venvs.ROOT}[{release.project}]"]
    uv_environ = {**environ, **pip_settings.uv_environment(settings, environ)}
    phases.run("installing the pinned packages", command, uv_environ)
    return inside


def write(stack: str, inside: Path) -> Path:
    """Describe an environment; returns the file.

    Raises:
        PhaseError: The SBOM could not be written.
    """
    target = FOLDER / f"{releases.parse(stack).slug}.cdx.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [str(deploy_env.make()), "-m", "cyclonedx_py", "environment", str(inside)]
    command += ["--pyproject", str(venvs.ROOT / "pyproject.toml"), "--mc-type", "application"]
    # The same packages give the same file. It is checked against CycloneDX' own schema.
    command += ["--spec-version", "1.6", "--output-reproducible", "--validate"]
    command += ["--output-file", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PhaseError(done.stderr)
    # Where this checkout lies is nobody's business.
    text = target.read_text(encoding="utf-8")
    target.write_text(re.sub(r"file://[^\"]*", "file:///src", text), encoding="utf-8")
    return target


def main() -> int:
    """Write the SBOM of the release that STACK names."""
    environ = dict(os.environ)
    environ["STACK"] = environ.get("STACK") or DEFAULT_STACK
    try:
        stack, python = interpreters.choose(environ)
        print(write(stack, install(stack, python, environ)))
    except (PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
