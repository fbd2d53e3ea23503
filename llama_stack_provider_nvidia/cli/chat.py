"""The command ``llama-stack-nvidia chat``: talk to a NIM in the terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .common import FAILED, TARGET, USAGE, give_up, subjects_of, target_of

if TYPE_CHECKING:
    import asyncio

    from ..doctor.subject import Subject
    from ..nim.targets import Target
    from .conversation import Conversation

EXAMPLES = (
    "llama-stack-nvidia chat http://localhost:8000",
    'llama-stack-nvidia chat http://localhost:8000 --once "Name three moons of Jupiter." --stats',
    "git diff | llama-stack-nvidia chat --system 'Review this change.'",
)
_HELP = "Ctrl-C stops an answer, Ctrl-D ends. /clear forgets what was said, /help shows this."


def chat(
    target: Annotated[str | None, TARGET] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model; Llama descriptors and Hugging Face names are understood. "
            "[default: the first that chats]",
            show_default=False,
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    once: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Say this, print the answer and end.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, help="How much chance there is in it.")
    ] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="Print tokens and speed after each answer.")
    ] = False,
) -> None:
    """Talk to a NIM: answers are streamed, and what was said is remembered.

    What a model thinks is shown dimmed on a terminal, and not at all elsewhere. Where standard
    input is no terminal, all of it is one message. Ctrl-C stops the answer, not the program.
    """
    import asyncio

    from .conversation import Conversation

    said = once
    if said is None and not sys.stdin.isatty():
        said = sys.stdin.read().strip()
        if not said:
            give_up("There is nothing to say: standard input is empty.", USAGE)
    fields = {"max_tokens": max_tokens, "temperature": temperature}
    subjects = [one for _, config in target_of(target).configs() for one in subjects_of(config)]
    with asyncio.Runner() as runner:
        try:
            talk = Conversation(
                _found(runner, subjects, model),
                system=system,
                stats=stats,
                fields={name: value for name, value in fields.items() if value is not None},
            )
            if said is None:
                _talk(runner, talk)
            elif not _answered(runner, talk, said):
                raise typer.Exit(FAILED)
        finally:
            for subject in subjects:
                runner.run(subject.endpoint.aclose())


def _found(runner: asyncio.Runner, subjects: list[Subject], model: str | None) -> Target:
    """Find the NIM, and its id of the model."""
    from ..doctor.outcome import SkippedError
    from ..nim.discovery.models import Kind
    from ..nim.errors import NIMError
    from ..nim.targets import Target, find_target

    async def find() -> Target | None:
        if model is not None:
            return await find_target([one.endpoint for one in subjects], model, None)
        for subject in subjects:
            subject.models = await subject.endpoint.catalogue.models()
            with contextlib.suppress(SkippedError):
                return Target(subject.endpoint, subject.model(Kind.LLM))
        return None

    try:
        chosen = runner.run(find())
    except NIMError as error:
        give_up(str(error))
    if chosen is None:
        give_up("There is no chat model: `llama-stack-nvidia models` lists what is there.")
    return chosen


def _answered(runner: asyncio.Runner, talk: Conversation, said: str) -> bool:
    """Ask, and show the answer; Ctrl-C ends the answer alone."""
    from ..nim.errors import NIMError

    try:
        runner.run(talk.say(said))
    except NIMError as error:
        typer.echo(str(error), err=True)
        return False
    except KeyboardInterrupt:
        talk.stopped()
    return True


def _talk(runner: asyncio.Runner, talk: Conversation) -> None:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - input() then knows the arrow keys and earlier lines
    typer.echo(f"{talk.model}. {_HELP}", err=True)
    while True:
        try:
            said = input("> ").strip()
        except KeyboardInterrupt:
            typer.echo()
            continue
        except EOFError:
            typer.echo()
            return
        if said == "/clear":
            talk.clear()
        elif said == "/help":
            typer.echo(_HELP, err=True)
        elif said:
            _answered(runner, talk, said)
