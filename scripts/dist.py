"""Build the distributions, check them, and use the wheel where nothing else of the project is.

    python3 -m scripts.dist     writes dist/

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import env, interpreters, pip_settings
from scripts.phases import PhaseError

PINS = env.ROOT / "constraints" / "dist.txt"
FOLDER = env.ROOT / "dist"
# What a user does first with an installed package, and what a server needs of it.
_USES = (
    ["llama-stack-nvidia", "--help"],
    ["llama-stack-nvidia", "providers-dir"],
    ["python", "-c", "import llama_stack_provider_nvidia.config"],
)


class DistError(Exception):
    """The distributions cannot be used; the text says why."""


def built() -> list[Path]:
    """The wheel, and the archive of sources.

    Raises:
        DistError: There are others, or none.
    """
    found = sorted(FOLDER.iterdir())
    if [path.name.rpartition(".")[2] for path in found] != ["whl", "gz"]:
        raise DistError(f"{FOLDER.name}/ has {', '.join(path.name for path in found) or 'nothing'}")
    return found


def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a command and give what it printed.

    Raises:
        DistError: It failed.
    """
    done = subprocess.run(
        command, env=dict(environ), cwd=env.ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DistError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def use(uv: Sequence[str], wheel: Path, pins: Path, environ: Mapping[str, str]) -> None:
    """Install the wheel into an environment of its own and call it from another folder.

    Raises:
        DistError: It cannot be installed, or does not work.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder) / "venv"
        run([*uv, "venv", "--quiet", "--python", sys.executable, str(venv)], environ)
        inside = env.venv_python(venv)
        install = [*uv, "pip", "install", "--quiet", "--python", str(inside), "-c", str(pins)]
        run([*install, str(wheel)], environ)
        for name, *arguments in _USES:
            command = [str(inside.with_name(name)), *arguments]
            done = subprocess.run(
                command, cwd=folder, env=dict(environ), capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise DistError(f"{name} {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def main() -> int:
    """Build, check and use; returns 1 where that does not work."""
    environ = dict(os.environ)
    try:
        stack, found = interpreters.choose(environ)
        inside = env.make(stack, found, environ)
        settings = env.pip_config(inside, environ)
        environ |= pip_settings.uv_environment(settings, environ)
        uv = [str(inside), "-m", "uv"]
        flags = pip_settings.uv_flags(settings)
        shutil.rmtree(FOLDER, ignore_errors=True)
        run([*uv, "build", "--quiet", *flags, "--build-constraints", str(PINS)], environ)
        (FOLDER / ".gitignore").unlink(missing_ok=True)
        wheel, archive = built()
        twine = [*uv, "tool", "run", *flags, "--constraints", str(PINS), "twine"]
        print(run([*twine, "check", "--strict", str(archive), str(wheel)], environ), end="")
        use(uv, wheel, env.constraints_path(stack), environ)
    except (DistError, env.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"{wheel.name}, installed on its own, answers `llama-stack-nvidia --help`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
