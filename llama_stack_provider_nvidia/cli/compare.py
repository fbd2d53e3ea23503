"""The command ``llama-stack-nvidia compare``: where a NIM differs from what is known of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..nim.texts import one_line
from .capture import ENDPOINT, MODEL, SECONDS, YES, make_capture, show_progress
from .output import FAILED, USAGE, aligned, busy, give_up

if TYPE_CHECKING:
    from ..capture.capture_reader import RecordedCapture
    from ..capture.comparison import Row, Subject

EXAMPLES = (
    "llama-stack-nvidia compare http://localhost:8000",
    "llama-stack-nvidia compare nim.capture",
    "llama-stack-nvidia compare nim.capture --dialect nim2-vllm --json",
)
_INSTALL = "pip install 'llama-stack-provider-nvidia[emulator]'"
_HEADS = ("call", "field", "expected", "seen")
_WIDTH = 56
TARGET = typer.Argument(
    metavar="[CAPTURE|URL|RUN.YAML]",
    help="A file that `capture` wrote, or a NIM to be captured now: its address, or a run.yaml. "
    "Default: NVIDIA_BASE_URL, else the hosted catalogue.",
)
DIALECT = typer.Option(
    help="What to hold it to: nim1, nim2-vllm, nim2-sglang, hosted, dynamo or generic. "
    "[default: what it is found to be]",
    show_default=False,
)


def compare(
    target: Annotated[str | None, TARGET] = None,
    dialect: Annotated[str | None, DIALECT] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    model: Annotated[list[str] | None, MODEL] = None,
    endpoint: Annotated[str | None, ENDPOINT] = None,
    timeout: Annotated[float, SECONDS] = 30.0,
    yes: Annotated[bool, YES] = False,
) -> None:
    """Show where a NIM differs from the emulated one, and from the field table.

    Makes the calls of `capture`, or reads a capture, and asks the emulated NIM of the same dialect
    the same. Statuses, media types, fields and types of responses, the course of streams, and the
    texts of errors are compared; what a model writes is not. The field table says where the
    provider sends each field: a field that the NIM refuses there, or ignores, is a difference.

    Without the emulator the field table alone is compared with.

    The exit status is 0 if there is no difference, 1 if there are some, and 2 if the NIM could not
    be compared.
    """
    with busy("Starting"):
        from ..capture.comparison import compare_with_table, subject_of
        from ..nim.dialect import Dialect

    if dialect is not None and dialect not in set(Dialect):
        give_up(f"--dialect: choose one of {', '.join(Dialect)}", USAGE)
    capture = _capture(target, dialect, model or [], endpoint, timeout, has_consent=yes)
    if not any(call.status for call in capture.calls):
        give_up("There is no response to compare.", USAGE)
    if capture.end != "complete":
        typer.echo(f"The capture is not complete: {capture.end or 'it breaks off'}.", err=True)
    subject = subject_of(capture, Dialect(dialect) if dialect else None)
    rows = _beside_emulator(capture, subject)
    if rows is None:
        typer.echo(
            f"Compared with the field table alone: the emulator is not here. {_INSTALL}", err=True
        )
    rows_of_table = compare_with_table(capture, subject.dialect)
    if as_json:
        _print_json(capture, subject, rows, rows_of_table)
    else:
        _print_table(f"Beside the field table, {subject.dialect}", rows_of_table)
        if rows is not None:
            _print_table(f"Beside the emulator, {subject.emulated}", rows)
    if rows or rows_of_table:
        raise typer.Exit(FAILED)


def _capture(
    target: str | None,
    dialect: str | None,
    models: list[str],
    endpoint: str | None,
    seconds: float,
    *,
    has_consent: bool,
) -> RecordedCapture:
    """Read a capture, or make one.

    Raises:
        typer.Exit: It cannot be done; it has been said why.
    """
    from ..capture.capture_reader import CaptureError, read_capture

    if target is not None and _is_capture(target):
        try:
            return read_capture(Path(target))
        except (OSError, CaptureError) as error:
            give_up(f"{target}: {error}", USAGE)
    with tempfile.TemporaryDirectory(prefix="nim-compare-") as folder:
        path = Path(folder) / "nim.capture"
        try:
            make_capture(
                target,
                path,
                models,
                endpoint,
                [],
                seconds,
                has_consent=has_consent,
                dialect=dialect,
            )
        except typer.Exit:
            raise typer.Exit(USAGE) from None
        return read_capture(path)


def _is_capture(target: str) -> bool:
    """Return whether a target is a file that is no run.yaml."""
    path = Path(target)
    return "://" not in target and path.is_file() and path.suffix not in (".yaml", ".yml")


def _beside_emulator(capture: RecordedCapture, subject: Subject) -> list[Row] | None:
    """Return the differences from the emulated NIM; None if the emulator is not installed."""
    try:
        from nim_emulator import EmulatorServer
    except ImportError:
        return None
    import httpx

    from ..capture.comparison import compare_with_emulator

    settings: dict[str, Any] = {}
    if subject.context_length is not None:
        settings["context"] = subject.context_length
    models = [entry.id for entry in subject.models] or None
    try:
        with EmulatorServer(subject.emulated, models, log_level="critical", **settings) as nim:
            return compare_with_emulator(capture, subject, nim.url, show_progress)
    except (httpx.HTTPError, OSError, ValueError) as error:
        give_up(f"The emulated NIM cannot be asked: {error}", USAGE)
    finally:
        show_progress("")


def _print_json(
    capture: RecordedCapture,
    subject: Subject,
    rows: list[Row] | None,
    rows_of_table: list[Row],
) -> None:
    import json

    document = {
        "dialect": str(subject.dialect),
        "release": subject.release,
        "emulator": None if rows is None else subject.emulated,
        "calls": len(capture.calls),
        "differences": [row.to_dict() for row in (*rows_of_table, *(rows or ()))],
    }
    typer.echo(json.dumps(document, indent=2))


def _print_table(title: str, rows: list[Row]) -> None:
    typer.echo(f"{title}: {len(rows) or 'no'} difference{'' if len(rows) == 1 else 's'}")
    if not rows:
        return
    for line in aligned([_HEADS, *_grouped(rows)]):
        typer.echo(line)


def _grouped(rows: list[Row]) -> Iterator[tuple[str, str, str, str]]:
    """Yield a line for each kind of difference, with the first call that shows it."""
    calls: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        kind = (row.field, _cell(row.expected), _cell(row.seen))
        calls.setdefault(kind, []).append(row.call)
    for kind, (first, *others) in calls.items():
        yield (f"{first}, and {len(others)} more" if others else first, *kind)


def _cell(text: str | None) -> str:
    return "nothing" if text is None else one_line(text, _WIDTH)
