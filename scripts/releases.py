"""Names of the releases of Llama Stack and of OGX, its successor.

Standard library only and free of new syntax, like `scripts.interpreters`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OGX = "ogx-"


class Release(NamedTuple):
    """One release of the server.

    Attributes:
        project: `llama-stack` or `ogx`, which is also the name of its distribution.
        version: Such as `0.7.3`.
    """

    project: str
    version: str

    @property
    def slug(self) -> str:
        """The name of its constraints file and environment."""
        return f"{self.project}-{self.version}"

    @property
    def stack(self) -> str:
        """The value of STACK for it: the bare version for Llama Stack."""
        return self.slug if self.project == "ogx" else self.version

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{'OGX' if self.project == 'ogx' else 'Llama Stack'} {self.version}"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, for comparing."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])

    @property
    def age(self) -> tuple[bool, tuple[int, ...]]:
        """A key that sorts releases from the oldest to the newest."""
        return self.project == "ogx", self.numbers


def parse(stack: str) -> Release:
    """Read a release as users write it: `0.7.3`, `llama-stack-0.7.3` or `ogx-1.5.0`."""
    if stack.startswith(OGX):
        return Release("ogx", stack[len(OGX) :])
    return Release("llama-stack", stack[len("llama-stack-") :] if stack[:1] == "l" else stack)
