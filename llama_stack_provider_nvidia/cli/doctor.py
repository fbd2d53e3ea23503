"""The command ``llama-stack-nvidia doctor``: check a NIM step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import FAILED, USAGE, give_up
from .targets import TARGET, Target, TargetError, contexts_of, read_target, target_name

if TYPE_CHECKING:
    from ..doctor.context import CheckContext
    from ..run_yaml.provider_entries import ProviderEntry
    from .report import EndpointReport, Progress

EXAMPLES = (
    "llama-stack-nvidia doctor http://localhost:8000",
    "llama-stack-nvidia doctor run.yaml --probe",
    "NVIDIA_API_KEY=nvapi-... llama-stack-nvidia doctor --probe --model meta/llama-3.1-8b-instruct",
    "llama-stack-nvidia doctor --json http://localhost:8000 > report.json",
)


def doctor(
    target: Annotated[str | None, TARGET] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Also call the models: a few small requests, one each for a chat, a stream, "
            "tools, a JSON schema, log probabilities, a completion, embeddings and rerank.",
        ),
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Id of a model to call; repeat it for one of each kind."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a check may take.")] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document for machines.")
    ] = False,
) -> None:
    """Check a NIM, or the NIMs of a run.yaml, and say how to fix what is wrong.

    Checks address, host name, connection, certificate, key, liveness, readiness, kind of NIM and
    models, one after the other. The key is read from NVIDIA_API_KEY or run.yaml and never shown.

    The exit status is 0 if no check failed, 1 if one did, and 2 if the command was called wrongly.
    """
    import asyncio

    from .report import Progress, print_report

    options = _Options(probe, model or [], timeout)
    with Progress(quiet=as_json) as progress:
        progress.loading(target_name(target))
        try:
            found = read_target(target)
        except TargetError as error:
            if as_json:
                _print_json(target_name(target), [], error=str(error))
            give_up(str(error), USAGE)
        reports = asyncio.run(_check(found, options, progress))
    if as_json:
        _print_json(found.name, reports)
    else:
        print_report(reports)
    if not all(report.ok for report in reports):
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Options:
    """Options of the command.

    Attributes:
        probe: Call the models, too.
        models: Ids of the models to call.
        seconds: Time limit of each check.
    """

    probe: bool
    models: list[str]
    seconds: float


def _print_json(name: str, reports: list[EndpointReport], error: str | None = None) -> None:
    import json

    from .._version import __version__

    document: dict[str, Any] = {
        "target": name,
        "version": __version__,
        "ok": error is None and all(report.ok for report in reports),
        "error": error,
        "endpoints": [report.to_dict() for report in reports],
    }
    typer.echo(json.dumps(document, indent=2))


async def _check(target: Target, options: _Options, progress: Progress) -> list[EndpointReport]:
    checked: list[CheckContext] = []
    reports: list[EndpointReport] = []
    alone = len(target.entries) == 1
    first = next((e for e in target.entries if e.provider_id and not e.replaced), None)
    for entry in target.entries:
        reports += await _check_provider(
            entry, options, checked, progress, alone=alone, with_server=entry is first
        )
    return reports + _missing_models(options.models, checked)


async def _check_provider(
    entry: ProviderEntry,
    options: _Options,
    checked: list[CheckContext],
    progress: Progress,
    *,
    alone: bool,
    with_server: bool,
) -> list[EndpointReport]:
    """Check the NIMs of one provider, and add them to those checked.

    Args:
        entry: The provider in run.yaml.
        options: Of the command.
        checked: Gets what was checked.
        progress: Is told of each check.
        alone: There is no other provider.
        with_server: Check what belongs to the server as well, once for all providers.
    """
    from ..doctor import configuration, connection, probes, service
    from ..doctor.check import run_checks
    from ..doctor.results import not_run
    from .report import EndpointReport

    checks = (*connection.CHECKS, *service.CHECKS, *(probes.CHECKS if options.probe else ()))
    first = configuration.check_entry(entry)
    if with_server:
        first += configuration.check_server_log()
    if entry.config is None or entry.replaced:
        reason = "the server ignores this entry" if entry.replaced else "configuration failed"
        rows = [*first, *(not_run(check.name, reason) for check in checks)]
        return [EndpointReport(entry.provider_id, "", "", rows)]
    reports = []
    for context in contexts_of(entry.config, options.models, alone=alone):
        name = context.endpoint.name if context.address.name else ""
        report = EndpointReport(entry.provider_id, name, context.endpoint.url, [*first])
        progress.section(report.title)
        for row in first:
            progress.ended(row)
        async for row in run_checks(
            context, checks, seconds=options.seconds, started=progress.started
        ):
            progress.ended(row)
            report.checks.append(row)
        await context.endpoint.aclose()
        reports.append(report)
        checked.append(context)
        first = []
    return reports


def _missing_models(wanted: list[str], checked: list[CheckContext]) -> list[EndpointReport]:
    """Report the models that none of several NIMs lists; one NIM's own checks report them."""
    from ..doctor.context import unlisted_models
    from ..doctor.results import CheckReport, Status
    from .report import EndpointReport

    missing = unlisted_models(wanted, checked) if len(checked) > 1 else []
    detail, remedy = "no NIM lists it", "`llama-stack-nvidia models` lists the models."
    return [
        EndpointReport(
            "", f"--model {one}", "", [CheckReport("models", Status.FAILED, detail, remedy)]
        )
        for one in missing
    ]
