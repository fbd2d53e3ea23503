"""The command ``llama-stack-nvidia capture``: write what a NIM answers on the wire to a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import FAILED, USAGE, CommandError, busy, give_up
from .targets import TARGET, TargetError, contexts_of, read_target

if TYPE_CHECKING:
    from ..capture.calls import Call
    from ..capture.session import CaptureResult
    from ..config.provider import NVIDIAConfig
    from ..doctor.context import CheckContext

EXAMPLES = (
    "llama-stack-nvidia capture http://localhost:8000 -o nim.capture",
    "llama-stack-nvidia capture run.yaml --endpoint chat -o nim.capture.gz",
    "NVIDIA_API_KEY=nvapi-... llama-stack-nvidia capture --model meta/llama-3.1-8b-instruct --yes",
    "nim-emulator --replay nim.capture",
)
_COSTS = "They count against your quota on the hosted catalogue"
SECONDS = typer.Option(min=0.1, help="Seconds that a call may take, its response included.")
MODEL = typer.Option(help="Id of a model to call; repeat it for one of each kind.")
YES = typer.Option("--yes", help="Do not ask, where the calls may cost.")
NAME = typer.Option(
    "--redact", metavar="TEXT", help="A further text to redact, such as a name; repeat for several."
)
ENDPOINT = typer.Option(help="Which NIM of a run.yaml that has several, by its name or address.")


def capture(
    target: Annotated[str | None, TARGET] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; .gz compresses it.")
    ] = Path("nim.capture"),
    model: Annotated[list[str] | None, MODEL] = None,
    endpoint: Annotated[str | None, ENDPOINT] = None,
    redact: Annotated[list[str] | None, NAME] = None,
    timeout: Annotated[float, SECONDS] = 30.0,
    yes: Annotated[bool, YES] = False,
) -> None:
    """Write what a NIM answers to a file, to report or to reproduce what it does.

    Makes the requests of `doctor --probe` and a fixed list of small calls: chats, completions,
    streams, tools, errors, and a good and a bad value for each field that differs between NIMs;
    embeddings and rerank where the NIM has them. It says how many, and asks first on the hosted
    catalogue.

    The file has statuses, headers, bodies and the timing of streams, at most 4 MB. Keys, host
    names, addresses, ids and organisations are redacted; read it before you publish it. Ctrl-C
    leaves a usable file. `nim-emulator --replay FILE` answers from it.

    The exit status is 0 if the NIM answered to the end, 1 if it did not, and 2 if the command was
    called wrongly.
    """
    result = make_capture(
        target, output, model or [], endpoint, redact or [], timeout, has_consent=yes
    )
    size = f"{result.calls} calls, {max(1, result.size // 1024)} KiB"
    typer.echo(f"Wrote {output}: {size}, dialect {result.dialect}. Read it before you publish it.")
    if result.end == "full":
        typer.echo("The file is full: the last calls are not in it.")
    elif result.end != "complete":
        give_up(f"It is not complete: {result.end}.", FAILED)


def make_capture(
    target: str | None,
    output: Path,
    models: list[str],
    endpoint: str | None,
    names: list[str],
    seconds: float,
    *,
    has_consent: bool,
    dialect: str | None = None,
) -> CaptureResult:
    """Capture one NIM of a target, as the command does.

    Args:
        target: The NIM.
        output: The file to write.
        models: Ids of the models to call.
        endpoint: Which NIM of several, by its name or address.
        names: Further texts to redact.
        seconds: Time limit of a call.
        has_consent: Do not ask where the calls may cost.
        dialect: What to take the NIM for, None for what the settings say.

    Raises:
        typer.Exit: It cannot be done; it has been said why.
    """
    import asyncio

    with busy("Asking what it is"):
        from ..capture.session import CHECKS, capture
        from ..nim.errors import NIMError

        try:
            config = _chosen(target, models, endpoint)
            if dialect is not None:
                config = _with_dialect(config, dialect)
            first = _context(config, models, endpoint)
            calls = asyncio.run(_plan(first))
        except CommandError as error:
            give_up(str(error), error.status)
        except NIMError as error:
            give_up(str(error), USAGE)
    typer.echo(
        f"{first.endpoint.url}: {len(calls)} calls, and those of {len(CHECKS)} checks.", err=True
    )
    if _may_cost(first) and not has_consent:
        _ask_for_consent()

    async def run() -> CaptureResult:
        context = _context(config, models, endpoint)
        try:
            return await capture(
                context, calls, output, seconds=seconds, names=names, progress=show_progress
            )
        finally:
            show_progress("")

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        give_up(f"Interrupted; {output} has what came until then.", FAILED)
    except OSError as error:
        give_up(f"{output} cannot be written: {error.strerror or error}", USAGE)


def _chosen(target: str | None, models: list[str], endpoint: str | None) -> NVIDIAConfig:
    """Return the settings of the provider whose NIM is to be captured.

    Raises:
        TargetError: There is none, or there are several.
    """
    found = [
        (config, context.endpoint.name)
        for _, config in read_target(target).configs()
        for context in contexts_of(config, models)
        if endpoint in (None, context.endpoint.name, context.endpoint.url)
    ]
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise TargetError("there is no such NIM" if endpoint else "it names no NIM")
    raise TargetError(f"choose one with --endpoint: {', '.join(name for _, name in found)}")


def _with_dialect(config: NVIDIAConfig, dialect: str) -> NVIDIAConfig:
    """Return settings by which each NIM is of a dialect."""
    each = {"dialect": dialect}
    endpoints = [one.model_copy(update=each) for one in config.endpoints or ()]
    return config.model_copy(update={**each, "endpoints": endpoints or config.endpoints})


def _context(config: NVIDIAConfig, models: list[str], endpoint: str | None) -> CheckContext:
    """Return a context without any connection for the chosen NIM."""
    for context in contexts_of(config, models):
        if endpoint in (None, context.endpoint.name, context.endpoint.url):
            return context
    raise AssertionError(endpoint)


async def _plan(context: CheckContext) -> list[Call]:
    from ..capture.session import plan

    try:
        return await plan(context)
    finally:
        await context.endpoint.aclose()


def _may_cost(context: CheckContext) -> bool:
    from ..nim.dialect import Dialect

    found = context.finding
    return context.endpoint.is_hosted or (found is not None and found.dialect is Dialect.HOSTED)


def _ask_for_consent() -> None:
    """Ask whether to go on.

    Raises:
        typer.Exit: No, or there is nobody to answer.
    """
    if not sys.stdin.isatty():
        give_up(f"{_COSTS}: allow them with --yes.", USAGE)
    if not typer.confirm(f"{_COSTS}. Go on?", err=True):
        raise typer.Exit(USAGE)


def show_progress(text: str) -> None:
    """Show what is being done, on a terminal; an empty text ends it."""
    if sys.stderr.isatty():
        typer.echo(f"\r\x1b[K{text}", err=True, nl=False)
