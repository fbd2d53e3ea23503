"""The command ``llama-stack-nvidia chat``: talk to a NIM in the terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .output import FAILED, USAGE, CommandError, busy, give_up
from .targets import TARGET, contexts_of, read_target

if TYPE_CHECKING:
    import asyncio

    from ..doctor.context import CheckContext
    from ..nim.routing import Target
    from .conversation import Conversation

EXAMPLES = (
    "llama-stack-nvidia chat http://localhost:8000",
    'llama-stack-nvidia chat http://localhost:8000 --once "Name three moons of Jupiter." --stats',
    "git diff | llama-stack-nvidia chat --system 'Review this change.'",
)
_HOW_TO_LEAVE = "Ctrl-D or /exit leaves the chat."


def chat(
    target: Annotated[str | None, TARGET] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model; Llama descriptors and Hugging Face names work too. "
            "[default: the first chat model]",
            show_default=False,
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    once: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Send this, print the answer and exit.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="Sampling temperature.")] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="Print tokens and speed after each answer.")
    ] = False,
) -> None:
    """Talk to a NIM: answers are streamed, and the conversation is remembered.

    Reasoning is dimmed on a terminal and left out elsewhere. If standard input is not a terminal,
    all of it is one message. Ctrl-C stops the answer; Ctrl-D or /exit leaves, and /help lists the
    commands.
    """
    message = once
    if message is None and not sys.stdin.isatty():
        message = sys.stdin.read().strip()
        if not message:
            give_up("There is nothing to send: standard input is empty.", USAGE)
    fields = {"max_tokens": max_tokens, "temperature": temperature}
    given = {name: value for name, value in fields.items() if value is not None}
    with _Connection() as connection:
        try:
            with busy("Connecting"):
                chosen = connection.open(target, model)
        except CommandError as error:
            give_up(str(error), error.status)
        from .conversation import Conversation

        conversation = Conversation(chosen, system=system, stats=stats, fields=given)
        if message is None:
            _converse(connection, conversation)
        elif not connection.answer(conversation, message):
            raise typer.Exit(FAILED)


class _Connection:
    """The NIMs of the target, and the event loop that their clients belong to."""

    def __enter__(self) -> _Connection:
        """Start the event loop."""
        import asyncio

        self._runner: asyncio.Runner = asyncio.Runner()
        self._contexts: list[CheckContext] = []
        return self

    def __exit__(self, *_: object) -> None:
        """Close the clients."""
        with self._runner:
            for context in self._contexts:
                self._runner.run(context.endpoint.aclose())

    def open(self, target: str | None, model: str | None) -> Target:
        """Return the NIM that serves a model, or the first chat model, with its client.

        Raises:
            CommandError: The target is not valid, or there is no such model.
        """
        for _, config in read_target(target).configs():
            self._contexts += contexts_of(config)
        return self.find(model)

    def find(self, model: str | None) -> Target:
        """Find the NIM of a model, and its id there.

        Raises:
            CommandError: There is no such model.
        """
        from ..nim.errors import NIMError

        try:
            found = self._runner.run(self._find(model))
        except NIMError as error:
            raise CommandError(str(error)) from None
        if found is None:
            raise CommandError(
                "There is no chat model: `llama-stack-nvidia models` lists the rest."
            )
        return found

    async def _find(self, model: str | None) -> Target | None:
        from ..doctor.results import CheckSkippedError
        from ..nim.errors import NIMError
        from ..nim.model_facts.model_ids import Kind
        from ..nim.routing import Target, find_target

        if model is not None:
            found = await find_target([one.endpoint for one in self._contexts], model, None)
            ids: list[str] = []
            with contextlib.suppress(NIMError):  # a gateway may list nothing
                ids = [one.id for one in await found.endpoint.catalogue.models()]
            if ids and found.model not in ids:
                raise CommandError(
                    f"The NIM does not list {model}: `llama-stack-nvidia models` lists its models."
                )
            return found
        for context in self._contexts:
            context.models = await context.endpoint.catalogue.models()
            with contextlib.suppress(CheckSkippedError):
                return Target(context.endpoint, context.choose_model(Kind.LLM))
        return None

    def answer(self, conversation: Conversation, message: str) -> bool:
        """Send a message and print the answer; return whether there was one.

        Ctrl-C ends the answer alone.
        """
        from ..nim.errors import NIMError

        try:
            self._runner.run(conversation.send(message))
        except NIMError as error:
            typer.echo(str(error), err=True)
            return False
        except KeyboardInterrupt:
            conversation.interrupt()
        return True


def _converse(connection: _Connection, conversation: Conversation) -> None:
    """Read messages and commands until the user leaves."""
    from .chat_commands import Leave, run_command

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives input() arrow keys and history
    typer.echo(f"{conversation.model}. {_HOW_TO_LEAVE} /help lists the commands.", err=True)
    while True:
        try:
            line = input("> ")
        except KeyboardInterrupt:
            typer.echo(f"\n{_HOW_TO_LEAVE}", err=True)
            continue
        except EOFError:
            typer.echo()
            return
        if line.startswith("/"):
            try:
                typer.echo(run_command(line, conversation, connection.find), err=True)
            except Leave:
                return
        elif line.strip():
            connection.answer(conversation, line.strip())
