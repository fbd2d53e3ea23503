"""Progress of checks, and the report at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status as Spinner
from rich.table import Table

from ..doctor.results import CheckReport, Status

if TYPE_CHECKING:
    from ..doctor.check import Check

_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "dim",
    Status.NOT_RUN: "dim",
}


@dataclass
class EndpointReport:
    """The checks of one NIM.

    Attributes:
        provider: Name of the provider in run.yaml; empty for an address.
        name: Name of the endpoint in run.yaml; empty if it has none.
        url: Its address; empty if the settings are not valid.
        checks: One row for each check.
    """

    provider: str
    name: str
    url: str
    checks: list[CheckReport] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if no check failed."""
        return all(outcome.ok for outcome in self.checks)

    @property
    def title(self) -> str:
        """Heading of its rows."""
        return " ".join(filter(None, (self.provider, self.name, self.url)))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "provider": self.provider or None,
            "name": self.name or None,
            "url": self.url or None,
            "ok": self.ok,
            "checks": [outcome.to_dict() for outcome in self.checks],
        }


class Progress:
    """Shows on standard error which check runs.

    On a terminal it is one line that changes, elsewhere a line for each check.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._spinner: Spinner | None = None
        self._title = ""

    def __enter__(self) -> Progress:
        """Start."""
        if self._console.is_terminal:
            self._spinner = self._console.status("")
            self._spinner.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the line on a terminal."""
        if self._spinner is not None:
            self._spinner.stop()

    def loading(self, target: str) -> None:
        """Show what is about to be checked, before the imports that take long."""
        text = f"Checking {escape(target)}"
        if self._spinner is None:
            self._console.print(text)
        else:
            self._spinner.update(text, spinner="dots")  # with a spinner, it is drawn at once

    def section(self, title: str) -> None:
        """Show the next NIM."""
        self._title = title
        if self._spinner is None:
            self._console.print(escape(title))

    def started(self, check: Check) -> None:
        """Show that a check runs."""
        if self._spinner is not None:
            self._spinner.update(f"{escape(self._title)}: {check.name}")

    def ended(self, row: CheckReport) -> None:
        """Show the result of a check."""
        if self._spinner is None:
            self._console.print(f"  {row.check} ... {row.status}")


def print_report(reports: list[EndpointReport]) -> None:
    """Print a table for each NIM on standard output, and the remedies below."""
    console = Console(highlight=False)
    for report in reports:
        if console.is_terminal:
            console.print(_table(report))
        else:
            for line in plain_table(report):
                typer.echo(line)
        for remedy, rows in _remedies(report).items():
            names = ", ".join(f"[{_STYLES[row.status]}]{row.check}[/]" for row in rows)
            text = f"{names}: {escape(remedy)}"
            console.print(text, soft_wrap=not console.is_terminal)
    failed = sum(not row.ok for report in reports for row in report.checks)
    verdict = f"{failed} failed" if failed else "all well"
    console.print(f"[{'bold red' if failed else 'green'}]{verdict}[/]")


def _remedies(report: EndpointReport) -> dict[str, list[CheckReport]]:
    """Return the remedies, each with the checks that it is for."""
    found: dict[str, list[CheckReport]] = {}
    for row in report.checks:
        if row.remedy:
            found.setdefault(row.remedy, []).append(row)
    return found


def _table(report: EndpointReport) -> Table:
    table = Table("check", "result", "detail", "time", title=escape(report.title), box=None)
    table.title_justify = "left"
    table.columns[3].justify = "right"
    for row in report.checks:
        style = _STYLES[row.status]
        table.add_row(
            row.check,
            f"[{style}]{row.status}[/]",
            escape(row.detail),
            duration(row.seconds),
        )
    return table


def plain_table(report: EndpointReport) -> list[str]:
    """Return the table as lines, however long, for files and other programs."""
    rows = [("check", "result", "time", "detail")]
    rows += [
        (one.check, one.status.value, duration(one.seconds), " ".join(one.detail.split()))
        for one in report.checks
    ]
    first, second, third = (max(len(row[n]) for row in rows) for n in range(3))
    return [
        report.title,
        *(
            f"{check:<{first}}  {result:<{second}}  {time:>{third}}  {detail}"
            for check, result, time, detail in rows
        ),
    ]


def duration(seconds: float | None) -> str:
    """Return a duration in a few characters."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
