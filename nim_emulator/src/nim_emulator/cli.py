"""The command line ``nim-emulator``; ``llama-stack-nvidia emulate`` is the same command."""

from __future__ import annotations

import inspect
import logging
import signal
import threading
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ._version import __version__
from .capture_file import CaptureError
from .dialects import DIALECTS
from .faults import Fault, parse_persistent_fault
from .server import EmulatorServer

DIALECT_HELP = (
    "API to speak: nim1 (NIM LLM 1.8), nim1-1.15, nim2 (NIM 2.x with vLLM), nim2-sglang (with "
    "SGLang), retriever (NeMo Retriever NIM 2.x: embeddings and ranking), retriever1 (1.x), hosted "
    "(NVIDIA's API catalogue), dynamo (NVIDIA Dynamo), vllm (plain vLLM) or generic (OpenAI's "
    "fields only). nim1-1.8 and nim2-vllm are other names for nim1 and nim2."
)
_EXAMPLES = (
    "{} --dialect nim1 --port 8000",
    "{} --dialect retriever --port 8001",
    "{} --fault status:status=503,probability=0.1",
    "{} --replay nim.capture",
)
_POLL_S = 0.5


class LogLevel(StrEnum):
    """Levels of the emulator's log."""

    critical = "critical"
    error = "error"
    warning = "warning"
    info = "info"
    debug = "debug"


class ToolStreamName(StrEnum):
    """Styles of streamed tool calls, see :data:`~.dialect.ToolStream`."""

    fragments = "fragments"
    whole = "whole"
    two_part = "two-part"


def command_line(program: str) -> typer.Typer:
    """Return the command line under the name that its help shows.

    Args:
        program: What users type, such as ``nim-emulator``.
    """
    made = typer.Typer(name=program, pretty_exceptions_show_locals=False)
    paragraphs = inspect.cleandoc(emulate.__doc__ or "").split("\n\n")
    made.command(
        context_settings={"help_option_names": ["-h", "--help"]},
        # Typer keeps the line ends of a paragraph.
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs),
        epilog="\n\n".join(["Examples:", *(line.format(program) for line in _EXAMPLES)]),
    )(emulate)
    return made


def main() -> None:
    """Run ``nim-emulator``."""
    command_line("nim-emulator")()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _complete_dialect(incomplete: str) -> list[str]:
    return [name for name in DIALECTS if name.startswith(incomplete)]


def emulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    dialect: Annotated[
        str, typer.Option(help=DIALECT_HELP, autocompletion=_complete_dialect)
    ] = "nim2",
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a served model; repeat for several. Ids of embedding and rerank models "
            "are known as such. [default: meta/llama-3.1-8b-instruct; for retriever and "
            "retriever1 an embedding and a rerank model]"
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MODEL",
            help="LoRA adapter of a served model; repeat for several (nim and vllm dialects only).",
        ),
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(help="Require this bearer key for inference.")
    ] = None,
    context: Annotated[
        int, typer.Option(min=1, help="Context length of the models, in tokens.")
    ] = 8192,
    tokens_per_second: Annotated[
        float | None, typer.Option(help="Rate of streams. [default: as fast as it goes]")
    ] = None,
    tool_stream: Annotated[
        ToolStreamName | None,
        typer.Option(help="How tool calls are streamed. [default: as the dialect does]"),
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(help="Release that the version route reports. [default: the dialect's]"),
    ] = None,
    done: Annotated[bool, typer.Option(help="End streams with [DONE].")] = True,
    polls: Annotated[
        int,
        typer.Option(min=0, help="Times that an answer to be fetched is not ready (hosted only)."),
    ] = 1,
    max_batch: Annotated[
        int,
        typer.Option(min=1, help="Most texts per embedding request (retriever and hosted only)."),
    ] = 1024,
    tool_parser: Annotated[
        bool,
        typer.Option(help="Without it, nim1, nim2 and vllm refuse the tool choice auto."),
    ] = True,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:PARAMETER=VALUE,...]",
            help="Answer all requests with a fault, such as stall:after=3 or "
            "status:status=429,probability=0.1; repeat for several. The README lists them.",
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answer from a capture that `llama-stack-nvidia capture` wrote, and from nothing "
            "else. Options of the dialect have no effect then.",
        ),
    ] = None,
    timing: Annotated[
        bool, typer.Option(help="Send recorded responses as slowly as they came.")
    ] = True,
    log_level: Annotated[
        LogLevel, typer.Option(help="Level of the log; info logs each request.")
    ] = LogLevel.warning,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the emulator's version and exit.",
        ),
    ] = False,
) -> None:
    """Run a local NIM without a model or a GPU, for demos and tests.

    It answers at /v1 like the chosen generation of NIM, with made-up but repeatable texts.
    GET /emulator/requests returns the requests it received, POST /emulator/script sets replies,
    and POST /emulator/faults orders faults. --replay answers from a capture of a real NIM.
    """
    logging.basicConfig(level=log_level.value.upper(), format="%(levelname)s %(message)s")
    stopping = _stop_on_signals()
    try:
        server = EmulatorServer(
            dialect,
            model or None,
            host=host,
            port=port,
            api_key=api_key,
            context=context,
            tokens_per_second=tokens_per_second,
            tool_stream=tool_stream.value if tool_stream else None,
            release=release,
            done=done,
            polls=polls,
            tool_parser=tool_parser,
            adapters=_parse_adapters(adapter or ()),
            max_batch=max_batch,
            log_level=log_level.value,
            replay=replay,
            replay_timing=timing,
        )
        faults: list[Fault] = [parse_persistent_fault(text) for text in fault or ()]
        server.faults(faults)
        server.start()
    except CaptureError as error:
        typer.echo(f"{replay} is no usable capture: {error}", err=True)
        raise typer.Exit(2) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        typer.echo(f"The emulator cannot start: {error}", err=True)
        raise typer.Exit(1) from None
    what = f"Emulating NIM ({dialect})" if replay is None else f"Replaying {replay}"
    typer.echo(f"{what} at {server.url}/v1")
    # A limit on each wait, because Windows delivers signals only between waits.
    while server.running and not stopping.wait(_POLL_S):
        pass
    crashed = not server.running
    server.stop()
    if crashed:
        raise typer.Exit(1)


def _parse_adapters(given: Iterable[str]) -> dict[str, str]:
    """Return base models by adapter.

    Raises:
        ValueError: One is not of the form ``name=model``.
    """
    adapters = {}
    for text in given:
        # The name of an adapter may hold "@" and "/", but no model's id holds "=".
        name, equals, model = text.rpartition("=")
        if not equals or not name or not model:
            raise ValueError(f"adapter {text!r} is not of the form name=model")
        if name in adapters:
            raise ValueError(f"adapter {name!r} is given twice")
        adapters[name] = model
    return adapters


def _stop_on_signals() -> threading.Event:
    """Return an event that is set by SIGINT and SIGTERM."""
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopping
