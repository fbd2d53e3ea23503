"""The command ``llama-stack-nvidia emulate``: runs the command ``nim-emulator``."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from .output import FAILED, give_up

EXAMPLES = ("llama-stack-nvidia emulate --dialect nim1 --port 8000",)


class EmulateCommand(TyperCommand):
    """Hands arguments, help and completion to ``nim_emulator.cli``, imported when it is used."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Return the context of the emulator's own command.

        Raises:
            typer.Exit: The emulator is not installed; it has been said how to get it.
        """
        try:
            from nim_emulator.cli import command_line
        except ImportError as error:
            give_up(
                f"The emulator needs {error.name}. "
                "Install it with: pip install 'llama-stack-provider-nvidia[emulator]'",
                FAILED,
            )
        command = typer.main.get_command(command_line("llama-stack-nvidia emulate"))
        return command.make_context(info_name, args, parent, **extra)


def emulate() -> None:
    """Run a local NIM without a model or a GPU, for demos and tests."""
