"""What several commands of the command line share: where the NIMs are, and how errors look."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from ..config import NVIDIAConfig
    from ..doctor.subject import Subject
    from ..nim.endpoint import Endpoint
    from ..run_yaml.entries import Entry

TARGET = typer.Argument(
    metavar="[URL|RUN.YAML]",
    help="Address of a NIM, or a run.yaml with its providers; NVIDIA_BASE_URL or the hosted "
    "catalogue if unset.",
)
USAGE = 2
"""Exit status: what was asked for cannot be done, whatever the NIM says."""
FAILED = 1
"""Exit status: something is wrong with the NIM, or on the way to it."""


def examples(*lines: str) -> str:
    """Write the end of a command's help: typer keeps paragraphs, not lines, apart."""
    return "\n\n".join(["Examples:", *lines])


def give_up(text: str, status: int = FAILED) -> NoReturn:
    """Say on standard error what is wrong, and end."""
    typer.echo(text, err=True)
    raise typer.Exit(status)


def flowing(text: str | None) -> str:
    """Make a line of each paragraph: typer would keep the lines of the source."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


@dataclass(frozen=True)
class Target:
    """What the user points at.

    Attributes:
        name: What it is called in reports.
        entries: Its providers; one without a name for an address.
    """

    name: str
    entries: list[Entry]

    def configs(self) -> list[tuple[str, NVIDIAConfig]]:
        """Give the providers' names and settings.

        Raises:
            typer.Exit: One cannot be used; it has been said why.
        """
        for entry in self.entries:
            if entry.problem:
                give_up(f"{entry.provider_id}: {entry.problem[0]}. {entry.problem[1]}", USAGE)
        return [(entry.provider_id, entry.config) for entry in self.entries if entry.config]


def target_of(given: str | None) -> Target:
    """Tell an address from a file, and read it.

    Raises:
        typer.Exit: It is neither, or cannot be used; it has been said why.
    """
    from ..run_yaml.entries import Entry, FileError, read_entries

    if given is not None and "://" not in given:
        path = Path(given)
        if not path.exists():
            give_up(
                f"{given}: there is no such file, and an address must start with http:// or "
                "https://",
                USAGE,
            )
        try:
            return Target(given, read_entries(path))
        except FileError as error:
            give_up(str(error), USAGE)
    config = config_of(given)
    return Target(given or "the environment", [Entry("", config, None, True)])


def config_of(url: str | None) -> NVIDIAConfig:
    """Make the settings for one address, or else for the one that the environment names.

    Raises:
        typer.Exit: It cannot be used; it has been said why.
    """
    from pydantic import ValidationError

    from ..config import NVIDIAConfig

    try:
        return NVIDIAConfig.model_validate({"url": url} if url else {})
    except ValidationError as error:
        first = error.errors()[0]
        give_up(
            f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}",
            USAGE,
        )


def endpoint_of(url: str | None) -> Endpoint:
    """Give the NIM at an address, or else the one that the environment names.

    Raises:
        typer.Exit: The address cannot be used; it has been said why.
    """
    return subjects_of(config_of(url))[0].endpoint


def subjects_of(
    config: NVIDIAConfig, wanted: list[str] | None = None, *, alone: bool = True
) -> list[Subject]:
    """Give the NIMs of one provider; nothing is sent yet. See ``doctor.subject.subjects``."""
    from ..doctor.subject import subjects

    return subjects(config, wanted or (), alone=alone)
