"""The command ``llama-stack-nvidia models``: what NIMs serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .common import TARGET, USAGE, give_up, subjects_of, target_of

if TYPE_CHECKING:
    from ..doctor.inventory import Item

EXAMPLES = (
    "llama-stack-nvidia models http://localhost:8000",
    "llama-stack-nvidia models run.yaml --try",
    "llama-stack-nvidia models http://localhost:8000 --yaml",
)

_HEADS = (
    *("model", "kind", "family", "context", "dimension", "dialect", "callable"),
    "other names",
)


def models(
    target: Annotated[str | None, TARGET] = None,
    tries: Annotated[
        bool,
        typer.Option(
            "--try", help="Send each model one small request, to see whether it can be called."
        ),
    ] = False,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the lines that register them in run.yaml.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    provider_id: Annotated[
        str | None,
        typer.Option(
            help="Provider to name in --yaml. [default: that of the run.yaml, or nvidia]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the models that NIMs serve.

    Their ids, kinds, families, context lengths, embedding dimensions, other names that requests
    may use, and whether they can be called: the hosted catalogue lists some that an account
    cannot, which only --try tells.
    """
    import asyncio
    import json

    from ..doctor.inventory import inventory
    from ..nim.errors import NIMError
    from ..run_yaml.models import models_yaml

    if as_yaml and as_json:
        give_up("--yaml and --json: choose one of them", USAGE)
    providers = target_of(target).configs()

    async def run() -> list[tuple[str, Item]]:
        items = []
        for name, config in providers:
            for subject in subjects_of(config):
                try:
                    found = await inventory(subject, tries=tries, measures=as_yaml)
                finally:
                    await subject.endpoint.aclose()
                items += [(name, item) for item in found]
        return items

    try:
        items = asyncio.run(run())
    except NIMError as error:
        give_up(str(error))
    if as_json:
        rows = [{"provider": name or None, **item.to_dict()} for name, item in items]
        typer.echo(json.dumps(rows, indent=2))
    elif as_yaml:
        names = list(dict.fromkeys(name for name, _ in items)) or [""]
        if len(names) > 1 and provider_id is None:
            give_up(f"the file has several providers: {', '.join(names)}; see --help", USAGE)
        typer.echo(
            models_yaml([item.model for _, item in items], provider_id or names[0] or "nvidia"),
            nl=False,
        )
    else:
        _print([item for _, item in items])


def _print(items: list[Item]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    several = len({item.endpoint for item in items}) > 1
    heads = [*_HEADS, *(["endpoint"] if several else [])]
    table = Table(*heads, box=None)
    rows = [(*_row(item), *([item.endpoint] if several else [])) for item in items]
    if not console.is_terminal:
        for line in _aligned([tuple(heads), *rows]):
            typer.echo(line)
        return
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _row(item: Item) -> tuple[str, ...]:
    entry = item.model.entry
    answers = {True: "yes", False: "no", None: "unknown"}[item.callable]
    return (
        entry.id,
        entry.kind.value,
        f"adapter of {entry.parent}" if entry.parent else item.family,
        str(item.model.context_length or ""),
        str(item.model.dimension or ""),
        item.dialect.value,
        f"{answers}: {item.reason}" if item.reason else answers,
        ", ".join(item.aliases),
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
