"""Jobs of the CI workflow: the sections of .ci/run, and a job for each release of the matrix.

    python3 -m scripts.ci_jobs     prints `sections=[...]` and `releases=[...]` as job outputs

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scripts import matrix, venvs

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci" / "run"
# A runner of the forge is slower than the machine that the limits in .ci/run are for, and
# downloads what it installs.
SLOWER = 2
_SECTION = re.compile(r'^section "([^"]+)" (\d+) (.+)$', re.MULTILINE)


class Section(NamedTuple):
    """One section of .ci/run.

    Attributes:
        title: Its name.
        minutes: Its time limit on a runner.
        command: What it calls.
    """

    title: str
    minutes: int
    command: str


def sections(text: str) -> list[Section]:
    """Return the sections of a script in their order."""
    return [
        Section(title, max(10, int(seconds) * SLOWER // 60), command)
        for title, seconds, command in _SECTION.findall(text)
    ]


def jobs(found: Sequence[Section]) -> list[Section]:
    """Return the jobs of sections, without the matrix, which has a job for each release.

    Coverage is that of the tests and of one release: all three on one runner.
    """
    made = [section for section in found if not is_matrix(section)]
    (tests,) = (section for section in made if section.command == "make test")
    (coverage,) = (section for section in made if section.command == "make coverage")
    made.remove(coverage)
    native = f"make matrix RELEASES={matrix.COVERED_ON}"
    joined = f"{tests.command} && {native} && {coverage.command}"
    made[made.index(tests)] = Section("Tests and coverage", tests.minutes + 20, joined)
    return made


def is_matrix(section: Section) -> bool:
    """Return whether a section tests releases one after the other."""
    return shlex.split(section.command)[:2] == ["make", "matrix"]


def releases(section: Section, pinned: list[str]) -> list[str]:
    """Return the releases that a section of the matrix tests."""
    variables = dict(word.split("=", 1) for word in shlex.split(section.command)[2:] if "=" in word)
    if "RELEASES" in variables:
        return variables["RELEASES"].split()
    left_out = variables.get("EXCEPT", "").split()
    return [stack for stack in pinned if stack not in left_out]


def main() -> int:
    """Print the outputs of the job that plans the others."""
    found = sections(SCRIPT.read_text(encoding="utf-8"))
    plain = [job._asdict() for job in jobs(found)]
    stacks = [
        stack
        for section in found
        if is_matrix(section)
        for stack in releases(section, list(venvs.pinned()))
    ]
    print(f"sections={json.dumps(plain)}")
    print(f"releases={json.dumps(stacks)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
