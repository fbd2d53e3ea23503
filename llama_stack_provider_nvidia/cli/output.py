"""Exit statuses, help texts and messages of the commands."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

import typer

USAGE = 2
"""Exit status: the command was called wrongly."""
FAILED = 1
"""Exit status: the NIM, or the way to it, failed."""


class CommandError(Exception):
    """A failure that ends the command.

    Attributes:
        status: The exit status.
    """

    status = FAILED


def examples(*lines: str) -> str:
    """Return the epilog of a command's help; typer joins lines that are not paragraphs."""
    return "\n\n".join(["Examples:", *lines])


def paragraphs(text: str | None) -> str:
    """Return a docstring with a line for each paragraph; typer keeps the source's lines."""
    parts = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def give_up(text: str, status: int = FAILED) -> NoReturn:
    """Print an error on standard error and end the command."""
    typer.echo(text, err=True)
    raise typer.Exit(status)


@contextlib.contextmanager
def busy(text: str) -> Iterator[None]:
    """Show what takes a moment, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    # Not Console.status: its first picture is drawn beside the imports that follow.
    console = Console(stderr=True)
    with Live(Spinner("dots", text), console=console, refresh_per_second=12.5, transient=True):
        yield
