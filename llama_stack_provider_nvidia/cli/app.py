"""The commands, put together. What takes long to import is imported inside them."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from .. import __version__
from . import chat, doctor, emulate, init, models, providers_dir, rerank
from .common import examples, flowing

app = typer.Typer(
    name="llama-stack-nvidia",
    help="NVIDIA NIM inference provider for Llama Stack.",
    epilog=examples(
        "llama-stack-nvidia doctor http://localhost:8000",
        "llama-stack-nvidia init http://localhost:8000",
        "llama-stack-nvidia COMMAND --help",
    ),
    no_args_is_help=True,
    # A traceback with local variables could show a key.
    pretty_exceptions_show_locals=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """NVIDIA NIM inference provider for Llama Stack."""
    if ctx.invoked_subcommand != "emulate":
        # What a server logs of failures, the commands say themselves.
        log = logging.getLogger(__package__.partition(".")[0])
        level = log.level
        log.setLevel(logging.CRITICAL + 1)
        ctx.call_on_close(lambda: log.setLevel(level))


for _function, _examples in (
    (doctor.doctor, doctor.EXAMPLES),
    (models.models, models.EXAMPLES),
    (init.init, init.EXAMPLES),
    (chat.chat, chat.EXAMPLES),
    (rerank.rerank, rerank.EXAMPLES),
    (emulate.emulate, emulate.EXAMPLES),
    (providers_dir.providers_dir, providers_dir.EXAMPLES),
):
    app.command(help=flowing(_function.__doc__), epilog=examples(*_examples))(_function)
