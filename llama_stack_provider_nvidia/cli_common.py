"""What several commands of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from .nim.endpoint import Endpoint

URL = typer.Argument(help="Address of the NIM; NVIDIA_BASE_URL or the hosted catalogue if unset.")


def endpoint_at(url: str | None) -> Endpoint:
    """Give the NIM at an address, or else the one that the environment names.

    Raises:
        typer.Exit: The address cannot be used; it has been said why.
    """
    from pydantic import ValidationError

    from .config import NVIDIAConfig
    from .doctor import endpoints_of

    try:
        return endpoints_of(NVIDIAConfig.model_validate({"url": url} if url else {}))[0]
    except ValidationError as error:
        typer.echo(f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}", err=True)
        raise typer.Exit(2) from None
