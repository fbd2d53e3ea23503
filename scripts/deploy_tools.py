"""The programs that test deploy/: where they are, and which Debian package has a missing one.

    python3 -m scripts.deploy_tools          say what is missing; status 1 if something is
    python3 -m scripts.deploy_tools scale    the same for `make scale-test`

Where CI is set, what is missing is installed: by root, or with sudo.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "nginx": "nginx-light",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "docker-compose": "docker-compose",
}
"""Each program's package."""

SCALE = ("nginx", "initdb", "postgres")
"""Those that `make scale-test` needs."""


class MissingError(Exception):
    """Programs are missing; the text has the command that installs them."""


def find(name: str) -> Path | None:
    """Return a program's path; Debian has PostgreSQL's and nginx outside the usual PATH."""
    if found := shutil.which(name):
        return Path(found)
    folders = [Path("/usr/sbin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def path(name: str) -> Path:
    """Return a program's path.

    Raises:
        MissingError: It is not there.
    """
    found = find(name)
    if found is None:
        raise MissingError(missing([name]))
    return found


def missing(names: Iterable[str]) -> str:
    """Return what to do for the programs that are missing, empty if none is."""
    absent = [name for name in names if find(name) is None]
    if not absent:
        return ""
    return (
        f"Missing: {', '.join(absent)}. Install them with: "
        f"apt-get install --no-install-recommends {' '.join(packages_of(absent))}"
    )


def packages_of(names: Iterable[str]) -> list[str]:
    """Return the packages of programs."""
    return sorted({PACKAGES[name] for name in names})


def install(names: Iterable[str]) -> None:
    """Install the packages of the programs that are missing.

    Raises:
        subprocess.CalledProcessError: apt-get failed.
    """
    packages = packages_of(name for name in names if find(name) is None)
    if not packages:
        return
    # The packages' own services are not started.
    run = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"]
    run = [*(["sudo", "-n"] if os.geteuid() else []), *run]
    subprocess.run([*run, "update"], check=True, stdout=sys.stderr)
    command = [*run, "install", "-y", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, stdout=sys.stderr)


def main(argv: Sequence[str]) -> int:
    """Say what is missing of all, or of what the scale test needs."""
    wanted = SCALE if "scale" in argv else tuple(PACKAGES)
    if os.environ.get("CI"):
        install(wanted)
    if said := missing(wanted):
        print(said, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
