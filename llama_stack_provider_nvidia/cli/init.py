"""The command ``llama-stack-nvidia init``: write a run.yaml for a NIM."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .models import registrable
from .output import USAGE, CommandError, busy, give_up
from .targets import config_of, contexts_of, read_config

if TYPE_CHECKING:
    from ..doctor.model_listing import ListedModel
    from ..run_yaml.release_format import RunYamlFormat

EXAMPLES = (
    "llama-stack-nvidia init http://localhost:8000",
    "llama-stack-nvidia init http://localhost:8000 --yes --output stack/run.yaml",
    "NVIDIA_API_KEY=nvapi-... llama-stack-nvidia init --yes --model meta/llama-3.1-8b-instruct",
    "llama-stack-nvidia init http://localhost:8000 --yes --output -",
)
_MANY = 12
"""Most models that are registered unasked."""


def init(
    url: Annotated[
        str | None,
        typer.Argument(
            help="Address of the NIM. Default: NVIDIA_BASE_URL, else the hosted catalogue."
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
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for the server.")] = 8321,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the server's databases. [default: llama-stack-data beside the file]",
            show_default=False,
        ),
    ] = None,
    any_release: Annotated[
        bool,
        typer.Option(
            "--any-release", help="Write a file for all releases, not just the installed one."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing, use the defaults.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a run.yaml that starts a Llama Stack server in front of a NIM.

    The file is for the installed release of Llama Stack or OGX, or for all releases if none is
    installed. The key is not written: the server reads it from NVIDIA_API_KEY. An existing file is
    never overwritten unasked.
    """
    asks = not yes and sys.stdin.isatty()
    path = None if output == "-" else Path(output)
    _may_write(path, asks=asks, force=force)

    if url is None and asks:
        with busy("Starting"):
            default = config_of(None).url
        url = typer.prompt("Address of the NIM", default=default)
    try:
        with busy("Asking for the models"):
            items, hosted = _list_models(url)
    except CommandError as error:
        give_up(str(error), error.status)
    if not items:
        give_up("The NIM lists no models: `llama-stack-nvidia doctor` says more.")
    chosen = _choose(items, model or [], asks=asks)
    with busy("Looking at the installed release"):
        keys = _format(any_release)
    folder = (store or (path.parent if path else Path()) / "llama-stack-data").resolve()
    _write(_render(url, keys, chosen, folder, provider_id, port, hosted), path, folder)
    if path is not None:
        _print_next_steps(path, keys, port, hosted)


def _may_write(path: Path | None, *, asks: bool, force: bool) -> None:
    if path is None or force or not path.exists():
        return
    if not asks:
        give_up(f"{path} exists: --force overwrites it, --output names another file", USAGE)
    if not typer.confirm(f"{path} exists. Overwrite it?", default=False, err=True):
        give_up("Nothing was written.")


def _list_models(url: str | None) -> tuple[list[ListedModel], bool]:
    """List the NIM's models; return whether it is the hosted catalogue, too.

    Raises:
        CommandError: They cannot be listed.
    """
    import asyncio

    from ..doctor.model_listing import list_models
    from ..nim.dialect import Dialect
    from ..nim.errors import NIMError

    async def run() -> tuple[list[ListedModel], bool]:
        (context,) = contexts_of(read_config(url))
        try:
            items = await list_models(context, measures=True)
            return items, (await context.endpoint.finding()).dialect is Dialect.HOSTED
        finally:
            await context.endpoint.aclose()

    try:
        return asyncio.run(run())
    except NIMError as error:
        command = " ".join(filter(None, ("llama-stack-nvidia doctor", url)))
        raise CommandError(f"{error}\n`{command}` says more.") from None


def _format(any_release: bool) -> RunYamlFormat:
    from ..run_yaml.release_format import RunYamlFormat, installed_format

    return RunYamlFormat() if any_release else installed_format()


def _choose(items: list[ListedModel], wanted: list[str], *, asks: bool) -> list[ListedModel]:
    """Choose the models to register: those named, else the default ones."""
    from ..doctor.context import DEFAULT_MODEL
    from ..nim.model_facts.model_ids import Kind, served_id

    by_id = {item.model.entry.id: item for item in items}
    if not wanted and asks:
        wanted = _prompt_for_models(list(by_id))
    if wanted:
        ids = [served_id(one, by_id) for one in wanted]
        if unknown := [one for one in ids if one not in by_id]:
            give_up(
                f"The NIM does not list {unknown[0]}: `llama-stack-nvidia models` lists its models."
            )
    elif len(items) > _MANY:
        chats = [one for one, item in by_id.items() if item.model.entry.kind is Kind.LLM]
        ids = [DEFAULT_MODEL if DEFAULT_MODEL in by_id else (chats or list(by_id))[0]]
        typer.echo(
            f"Of {len(items)} models {ids[0]} is registered; --model names others.", err=True
        )
    else:
        ids = list(by_id)
    return registrable([by_id[one] for one in dict.fromkeys(ids)])


def _prompt_for_models(ids: list[str]) -> list[str]:
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
        typer.echo(f"{next(one for one in chosen if one not in ids)} is not in the list.", err=True)


def _render(
    url: str | None,
    keys: RunYamlFormat,
    chosen: list[ListedModel],
    folder: Path,
    provider_id: str,
    port: int,
    hosted: bool,
) -> str:
    from ..run_yaml.writer import RunYamlOptions, render_run_yaml

    return render_run_yaml(
        RunYamlOptions(
            url=config_of(url).url,
            format=keys,
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


def _print_next_steps(path: Path, keys: RunYamlFormat, port: int, hosted: bool) -> None:
    typer.echo(f"Wrote {path} for {keys.server}. Start the server:\n")
    if hosted:
        typer.echo("  export NVIDIA_API_KEY=nvapi-...")
    typer.echo(f"  {keys.run_command(str(path), port)}")
