"""The command ``llama-stack-nvidia init``: a run.yaml for a NIM."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import USAGE, config_of, give_up, subjects_of

if TYPE_CHECKING:
    from ..doctor.inventory import Item
    from ..run_yaml.layout import Layout

EXAMPLES = (
    "llama-stack-nvidia init http://localhost:8000",
    "llama-stack-nvidia init http://localhost:8000 --yes --output stack/run.yaml",
    "NVIDIA_API_KEY=nvapi-... llama-stack-nvidia init --yes --model meta/llama-3.1-8b-instruct",
    "llama-stack-nvidia init http://localhost:8000 --yes --output -",
)
_MANY = 12
"""Of more models than these, all are too many to be registered unasked."""


def init(
    url: Annotated[
        str | None,
        typer.Argument(
            help="Address of the NIM; NVIDIA_BASE_URL or the hosted catalogue if unset."
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="File to write; - is standard output.")
    ] = "run.yaml",
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a model to register; repeat it for several. [default: all, or one of many]",
            show_default=False,
        ),
    ] = None,
    provider_id: Annotated[str, typer.Option(help="Name of the provider.")] = "nvidia",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port that the server is to listen on.")
    ] = 8321,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the server's own databases. [default: llama-stack-data beside the "
            "file]",
            show_default=False,
        ),
    ] = None,
    any_release: Annotated[
        bool,
        typer.Option(
            "--any-release", help="Write a file for every release, not for the installed one."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing, take what is usual.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a run.yaml that starts a Llama Stack server in front of a NIM.

    It fits the installed release of Llama Stack or OGX, and every one where none is installed.
    The key is not written: the server reads it from NVIDIA_API_KEY. A file that exists is never
    overwritten unasked.
    """
    asks = not yes and sys.stdin.isatty()
    path = None if output == "-" else Path(output)
    _may_write(path, asks=asks, force=force)

    import asyncio

    from ..nim.errors import NIMError
    from ..run_yaml.layout import Layout, installed_layout

    if url is None and asks:
        url = typer.prompt("Address of the NIM", default=config_of(None).url)
    try:
        items, hosted = asyncio.run(_served(url))
    except NIMError as error:
        give_up(f"{error}\n`llama-stack-nvidia doctor {url or ''}`".rstrip(" `") + "` says more.")
    if not items:
        give_up("The NIM lists no models: `llama-stack-nvidia doctor` says more.")
    chosen = _chosen(items, model or [], asks=asks)
    layout = Layout() if any_release else installed_layout()
    folder = (store or (path.parent if path else Path()) / "llama-stack-data").resolve()
    _write(_text(url, layout, chosen, folder, provider_id, port, hosted), path, folder)
    if path is not None:
        _say_what_next(path, layout, hosted)


def _may_write(path: Path | None, *, asks: bool, force: bool) -> None:
    if path is None or force or not path.exists():
        return
    if not asks:
        give_up(f"{path} exists: --force overwrites it, --output names another", USAGE)
    if not typer.confirm(f"{path} exists. Overwrite it?", default=False, err=True):
        give_up("Nothing was written.")


async def _served(url: str | None) -> tuple[list[Item], bool]:
    from ..doctor.inventory import inventory
    from ..nim.dialect import Dialect

    (subject,) = subjects_of(config_of(url))
    try:
        items = await inventory(subject, measures=True)
        return items, (await subject.endpoint.finding()).dialect is Dialect.HOSTED
    finally:
        await subject.endpoint.aclose()


def _chosen(items: list[Item], wanted: list[str], *, asks: bool) -> list[Item]:
    """Choose what to register: what the user names, else what is usual."""
    from ..doctor.subject import USUAL_MODEL
    from ..nim.discovery.models import Kind, served_id

    by_id = {item.model.entry.id: item for item in items}
    if not wanted and asks:
        wanted = _asked(list(by_id))
    if wanted:
        ids = [served_id(one, by_id) for one in wanted]
        if unknown := [one for one in ids if one not in by_id]:
            give_up(f"The NIM does not list {unknown[0]}: `llama-stack-nvidia models` shows what.")
    elif len(items) > _MANY:
        chats = [one for one, item in by_id.items() if item.model.entry.kind is Kind.LLM]
        ids = [USUAL_MODEL if USUAL_MODEL in by_id else (chats or list(by_id))[0]]
        typer.echo(
            f"Of {len(items)} models {ids[0]} is registered; --model names others.", err=True
        )
    else:
        ids = list(by_id)
    chosen = []
    for item in (by_id[one] for one in dict.fromkeys(ids)):
        if item.model.entry.kind is Kind.EMBEDDING and item.model.dimension is None:
            why = item.reason or "the length of its vectors could not be found out"
            typer.echo(f"{item.model.entry.id} is left out: {why}", err=True)
        else:
            chosen.append(item)
    return chosen


def _asked(ids: list[str]) -> list[str]:
    for number, one in enumerate(ids, 1):
        typer.echo(f"{number:4} {one}", err=True)
    usual = "all" if len(ids) <= _MANY else ""
    while True:
        said = typer.prompt(
            "Models to register (numbers, ids or all)", default=usual, err=True
        ).replace(",", " ")
        words = said.split()
        if words == ["all"]:
            return ids
        chosen = [
            ids[int(word) - 1] if word.isdigit() and 0 < int(word) <= len(ids) else word
            for word in words
        ]
        if not chosen or set(chosen) <= set(ids):
            return chosen
        typer.echo(f"{next(one for one in chosen if one not in ids)} is not there.", err=True)


def _text(
    url: str | None,
    layout: Layout,
    chosen: list[Item],
    folder: Path,
    provider_id: str,
    port: int,
    hosted: bool,
) -> str:
    from ..run_yaml.writing import Plan, run_yaml

    return run_yaml(
        Plan(
            url=config_of(url).url,
            layout=layout,
            models=[item.model for item in chosen],
            store=folder,
            provider_id=provider_id,
            port=port,
            hosted=hosted,
        )
    )


def _write(text: str, path: Path | None, folder: Path) -> None:
    if path is None:
        typer.echo(text, nl=False)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        give_up(f"{error.filename} cannot be written: {error.strerror}", USAGE)


def _say_what_next(path: Path, layout: Layout, hosted: bool) -> None:
    typer.echo(f"Wrote {path} for {layout.server}. Start the server:\n")
    if hosted:
        typer.echo("  export NVIDIA_API_KEY=nvapi-...")
    typer.echo(f"  {layout.command} {path}")
