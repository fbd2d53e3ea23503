"""Check the pinned packages for conflicts and known vulnerabilities.

    python3 -m scripts.audit

The second needs the network: pip-audit asks a vulnerability service, and has no data of its own.
Standard library only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts import interpreters, pip_settings, venvs
from scripts.phases import PhaseError

PINS = venvs.ROOT / "constraints" / "audit.txt"


def files() -> list[Path]:
    """The constraints files, each of which is one environment, or a part of one."""
    found = sorted(venvs.ROOT.glob("constraints/*.txt"))
    # What stands in overrides is never installed.
    return [path for path in found if not path.stem.endswith("-overrides")]


def environments() -> list[Path]:
    """Python of each environment that is made, and has all that its packages need."""
    made = (
        venvs.venv_python(path.parent) for path in sorted(venvs.ROOT.glob(".venvs/*/made-from"))
    )
    return [python for python in made if python.exists()]


def check(uv: list[str], python: Path) -> bool:
    """Whether the packages of an environment go together."""
    done = subprocess.run([*uv, "pip", "check", "--python", str(python)], check=False)
    return done.returncode == 0


def main() -> int:
    """Check all; returns 1 where something is wrong, or could not be found out."""
    environ = dict(os.environ)
    try:
        stack, found = interpreters.choose(environ)
        inside = venvs.make(stack, found, environ)
    except (venvs.EnvError, PhaseError, interpreters.NoInterpreterError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    uv = [str(inside), "-m", "uv"]
    wells = [check(uv, python) for python in environments()]
    settings = venvs.pip_config(inside, environ)
    audit = [
        *(*uv, "tool", "run", "--quiet", *pip_settings.uv_flags(settings)),
        *("--constraints", str(PINS), "pip-audit", "--disable-pip"),
        # Strict: a package that the service does not know of is none that was found to be well.
        *("--no-deps", "--strict"),
    ]
    for path in files():
        print(f"\n{path.relative_to(venvs.ROOT)}", flush=True)
        done = subprocess.run(
            [*audit, "-r", str(path)],
            env={**environ, **pip_settings.uv_environment(settings, environ)},
            check=False,
        )
        wells.append(done.returncode == 0)
    return 0 if all(wells) else 1


if __name__ == "__main__":
    sys.exit(main())
