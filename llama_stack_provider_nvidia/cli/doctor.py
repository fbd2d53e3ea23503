"""The command ``llama-stack-nvidia doctor``: what a NIM is, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import FAILED, TARGET, subjects_of, target_of

if TYPE_CHECKING:
    from ..doctor.subject import Subject
    from ..run_yaml.entries import Entry
    from .report import Progress, Section

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
            help="Also try what the models can do: a few small requests, each for a chat, a "
            "stream, tools, a JSON schema, log probabilities, a completion, embeddings and rerank.",
        ),
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Id of a model to try; repeat it for one of each kind."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that one check may take.")
    ] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document for machines.")
    ] = False,
) -> None:
    """Check a NIM, or the NIMs of a run.yaml, and say what to do about what is wrong.

    Address, name, connection, certificate, key, liveness, readiness, generation and models, one
    after the other. The key is read from NVIDIA_API_KEY or run.yaml, and never shown.

    Ends with status 0 if all is well, 1 if a check failed and 2 if it was called wrongly.
    """
    import asyncio
    import json

    from .. import __version__
    from .report import Progress, print_report

    found = target_of(target)
    progress = Progress(quiet=as_json)

    async def run() -> list[Section]:
        seen: list[Subject] = []
        sections: list[Section] = []
        for entry in found.entries:
            looked = _Look(probe, model or [], timeout, alone=len(found.entries) == 1)
            sections += await _examined(entry, looked, seen, progress)
        return sections + _nowhere(model or [], seen)

    with progress:
        sections = asyncio.run(run())
    ok = all(section.ok for section in sections)
    if as_json:
        document: dict[str, Any] = {
            "target": found.name,
            "version": __version__,
            "ok": ok,
            "endpoints": [section.to_dict() for section in sections],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        print_report(sections)
    if not ok:
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Look:
    """What the user wants looked at.

    Attributes:
        probe: The models, too.
        wanted: Ids of those to try.
        seconds: The most that one check may take.
        alone: There is one provider.
    """

    probe: bool
    wanted: list[str]
    seconds: float
    alone: bool


async def _examined(
    entry: Entry, look: _Look, seen: list[Subject], progress: Progress
) -> list[Section]:
    """Check the NIMs of one provider, and put them to those that were seen."""
    from ..doctor import configuration, connection, probes, service
    from ..doctor.check import examine
    from .report import Section

    first = configuration.outcomes(entry)
    if entry.config is None:
        return [Section(entry.provider_id, "", "", first)]
    checks = (*connection.CHECKS, *service.CHECKS, *(probes.CHECKS if look.probe else ()))
    sections = []
    for subject in subjects_of(entry.config, look.wanted, alone=look.alone):
        name = subject.endpoint.name if subject.address.name else ""
        section = Section(entry.provider_id, name, subject.endpoint.url, [*first])
        progress.section(section.title)
        for outcome in first:
            progress.ended(outcome)
        async for outcome in examine(
            subject, checks, seconds=look.seconds, started=progress.started
        ):
            progress.ended(outcome)
            section.outcomes.append(outcome)
        await subject.endpoint.aclose()
        sections.append(section)
        seen.append(subject)
        first = []
    return sections


def _nowhere(wanted: list[str], seen: list[Subject]) -> list[Section]:
    """Report the models that none of several NIMs has; of one alone, its own checks do."""
    from ..doctor.outcome import Outcome, Status
    from ..doctor.subject import unserved
    from .report import Section

    missing = unserved(wanted, seen) if len(seen) > 1 else []
    detail, remedy = "no NIM lists it", "`llama-stack-nvidia models` lists what there is."
    return [
        Section("", f"--model {one}", "", [Outcome("models", Status.FAILED, detail, remedy)])
        for one in missing
    ]
