"""The NIMs that a command is pointed at, by address or run.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .output import USAGE, CommandError, give_up

if TYPE_CHECKING:
    from ..config.provider import NVIDIAConfig
    from ..doctor.context import CheckContext
    from ..run_yaml.provider_entries import ProviderEntry

TARGET = typer.Argument(
    metavar="[URL|RUN.YAML]",
    help="Address of a NIM, or a run.yaml with its providers. Default: NVIDIA_BASE_URL, else the "
    "hosted catalogue.",
)
# host, host:port or [address]:port, with or without a path
_ADDRESS = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+|[\w.-]+(?=:\d)|\[[0-9a-f:.]+\])(:\d+)?(/\S*)?")
_FILE_SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".txt", ".capture", ".gz")


class TargetError(CommandError):
    """A target that cannot be used; the text says why."""

    status = USAGE


@dataclass(frozen=True)
class Target:
    """A NIM that the user points at.

    Attributes:
        name: Its name in reports.
        entries: Its providers; an address has one without a name.
    """

    name: str
    entries: list[ProviderEntry]

    def configs(self) -> list[tuple[str, NVIDIAConfig]]:
        """Return the providers' names and settings.

        Raises:
            TargetError: Settings are not valid.
        """
        for entry in self.entries:
            if entry.problem:
                raise TargetError(f"{entry.provider_id}: {entry.problem[0]}. {entry.problem[1]}")
        used = [entry for entry in self.entries if not entry.replaced]
        return [(entry.provider_id, entry.config) for entry in used if entry.config]


def target_name(given: str | None) -> str:
    """Return a target as it may be shown: without user name and password."""
    return re.sub(r"//[^/]*@", "//", given) if given else "the environment"


def read_target(given: str | None) -> Target:
    """Read a run.yaml, or make settings for an address.

    Raises:
        TargetError: It is neither, or is not valid.
    """
    from ..run_yaml.provider_entries import ProviderEntry, RunYamlError, read_provider_entries

    if given is not None and "://" not in given:
        path = Path(given)
        if path.exists():
            try:
                return Target(given, read_provider_entries(path))
            except RunYamlError as error:
                raise TargetError(str(error)) from None
        if not _is_address(given):
            raise TargetError(
                f"{given}: there is no such file, and an address looks like http://HOST:PORT"
            )
    config = read_config(given)
    return Target(target_name(given), [ProviderEntry("", config, None, True)])


def read_config(url: str | None, more: Mapping[str, Any] | None = None) -> NVIDIAConfig:
    """Make settings for an address; http:// is its default scheme.

    Args:
        url: The address; None for that of the environment.
        more: Further settings.

    Raises:
        TargetError: It is not valid.
    """
    from pydantic import ValidationError

    from ..config.provider import NVIDIAConfig

    if url and "://" not in url and _is_address(url):
        url = f"http://{url}"
    try:
        return NVIDIAConfig.model_validate({**({"url": url} if url else {}), **(more or {})})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise TargetError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def config_of(url: str | None) -> NVIDIAConfig:
    """Do as ``read_config``, and end the command where the address is not valid.

    Raises:
        typer.Exit: The address is not valid.
    """
    try:
        return read_config(url)
    except TargetError as error:
        give_up(str(error), USAGE)


def contexts_of(
    config: NVIDIAConfig, wanted: list[str] | None = None, *, alone: bool = True
) -> list[CheckContext]:
    """Make a context for each NIM of a provider; see ``doctor.context.check_contexts``."""
    from ..doctor.context import check_contexts

    return check_contexts(config, wanted or (), alone=alone)


def _is_address(text: str) -> bool:
    """Return whether a text without a scheme is an address rather than a file."""
    return _ADDRESS.fullmatch(text) is not None and not text.lower().endswith(_FILE_SUFFIXES)
