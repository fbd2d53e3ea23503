"""The command ``llama-stack-nvidia models``: list the models that NIMs serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import USAGE, CommandError, aligned, busy, give_up
from .targets import TARGET, contexts_of, read_target

if TYPE_CHECKING:
    from ..doctor.model_listing import ListedModel

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
    probes: Annotated[
        bool,
        typer.Option(
            "--try", help="Send each model one small request to see whether it can be called."
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

    Shows ids, kinds, families, context lengths, embedding dimensions, other names that requests
    may use, and whether a model can be called: the hosted catalogue lists some that an account
    cannot call, which only --try finds out.
    """
    if as_yaml and as_json:
        give_up("--yaml and --json: choose one of them", USAGE)
    try:
        with busy("Asking for the models"):
            models_by_provider = _list_all(target, probes=probes, measures=as_yaml)
    except CommandError as error:
        if as_json:
            _print_json({"error": str(error)})
        give_up(str(error), error.status)
    if as_json:
        _print_json(
            [{"provider": name or None, **one.to_dict()} for name, one in models_by_provider]
        )
    elif as_yaml:
        names = list(dict.fromkeys(name for name, _ in models_by_provider)) or [""]
        if len(names) > 1 and provider_id is None:
            give_up(f"the file has several providers: {', '.join(names)}; see --help", USAGE)
        from ..run_yaml.model_entries import models_yaml

        by_id: dict[str, ListedModel] = {}
        for _, one in models_by_provider:
            by_id.setdefault(one.model.entry.id, one)  # the first NIM's, as for requests
        served = [one.model for one in registrable(by_id.values())]
        typer.echo(models_yaml(served, provider_id or names[0] or "nvidia"), nl=False)
    else:
        _print_table([one for _, one in models_by_provider])


def _list_all(target: str | None, *, probes: bool, measures: bool) -> list[tuple[str, ListedModel]]:
    """List the models of all NIMs, each with its provider's name.

    Raises:
        CommandError: The target is not valid, or a NIM's models cannot be listed.
    """
    import asyncio

    from ..doctor.model_listing import list_models
    from ..nim.errors import NIMError

    async def run() -> list[tuple[str, ListedModel]]:
        models = []
        for name, config in read_target(target).configs():
            for context in contexts_of(config):
                try:
                    found = await list_models(context, probes=probes, measures=measures)
                finally:
                    await context.endpoint.aclose()
                models += [(name, one) for one in found]
        return models

    try:
        return asyncio.run(run())
    except NIMError as error:
        raise CommandError(str(error)) from None


def registrable(items: Iterable[ListedModel]) -> list[ListedModel]:
    """Return the models that Llama Stack registers; the others are named on standard error."""
    from ..nim.model_facts.model_ids import Kind

    found = []
    for item in items:
        if item.model.entry.kind is Kind.EMBEDDING and item.model.dimension is None:
            why = item.reason or "the length of its vectors could not be measured"
            typer.echo(f"{item.model.entry.id} is left out: {why}", err=True)
        else:
            found.append(item)
    return found


def _print_json(document: Any) -> None:
    import json

    typer.echo(json.dumps(document, indent=2))


def _print_table(items: list[ListedModel]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    several = len({item.endpoint for item in items}) > 1
    heads = [*_HEADS, *(["endpoint"] if several else [])]
    table = Table(*heads, box=None)
    rows = [(*_row(item), *([item.endpoint] if several else [])) for item in items]
    if not console.is_terminal:
        for line in aligned([tuple(heads), *rows]):
            typer.echo(line)
        return
    for row in rows:
        table.add_row(*map(escape, row))  # a NIM's words may look like markup
    console.print(table)


def _row(item: ListedModel) -> tuple[str, ...]:
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
