"""The command line's commands; each imports slow modules when it runs."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from .._version import __version__
from . import capture, chat, compare, doctor, emulate, init, models, providers_dir, rerank
from .output import examples, paragraphs

app = typer.Typer(
    name="llama-stack-nvidia",
    help="NVIDIA NIM inference provider for Llama Stack.",
    epilog=examples(
        "llama-stack-nvidia doctor http://localhost:8000",
        "llama-stack-nvidia init http://localhost:8000",
        "llama-stack-nvidia COMMAND --help",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
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
        # The commands print failures themselves; a stack may have set levels of single loggers.
        before = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        ctx.call_on_close(lambda: logging.disable(before))


for _function, _examples in (
    (doctor.doctor, doctor.EXAMPLES),
    (capture.capture, capture.EXAMPLES),
    (compare.compare, compare.EXAMPLES),
    (models.models, models.EXAMPLES),
    (init.init, init.EXAMPLES),
    (chat.chat, chat.EXAMPLES),
    (rerank.rerank, rerank.EXAMPLES),
    (emulate.emulate, emulate.EXAMPLES),
    (providers_dir.providers_dir, providers_dir.EXAMPLES),
):
    app.command(
        cls=emulate.EmulateCommand if _function is emulate.emulate else None,
        help=paragraphs(_function.__doc__),
        epilog=examples(*_examples),
    )(_function)
