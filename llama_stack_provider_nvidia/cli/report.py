"""How checks are shown: progress while they run, and the table at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status as Spinner
from rich.table import Table

from ..doctor.check import Check
from ..doctor.outcome import Outcome, Status

_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "dim",
    Status.NOT_RUN: "dim",
}


@dataclass
class Section:
    """The checks of one NIM.

    Attributes:
        provider: The provider's name in run.yaml, empty outside of one.
        name: The endpoint's name in run.yaml, empty if it has none.
        url: Its address, empty if the configuration names none that can be used.
        outcomes: What came of the checks.
    """

    provider: str
    name: str
    url: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def title(self) -> str:
        """What stands above its checks."""
        return " ".join(filter(None, (self.provider, self.name, self.url)))

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return {
            "provider": self.provider or None,
            "name": self.name or None,
            "url": self.url or None,
            "ok": self.ok,
            "checks": [outcome.to_dict() for outcome in self.outcomes],
        }


class Progress:
    """Shows on standard error which check is being made.

    A line that changes on a terminal, a line for each check elsewhere.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._spinner: Spinner | None = None
        self._title = ""

    def __enter__(self) -> Progress:
        """Begin."""
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
        """Leave nothing behind on a terminal."""
        if self._spinner is not None:
            self._spinner.stop()

    def section(self, title: str) -> None:
        """Begin with another NIM."""
        self._title = title
        if self._spinner is None:
            self._console.print(escape(title))

    def started(self, check: Check) -> None:
        """Show that a check is being made."""
        if self._spinner is not None:
            self._spinner.update(f"{escape(self._title)}: {check.name}")

    def ended(self, outcome: Outcome) -> None:
        """Show what came of a check."""
        if self._spinner is None:
            self._console.print(f"  {outcome.check} ... {outcome.status}")


def print_report(sections: list[Section]) -> None:
    """Print the tables on standard output, and below each what to do."""
    console = Console(highlight=False)
    for section in sections:
        if console.is_terminal:
            console.print(_table(section))
        else:
            for line in plain_table(section):
                typer.echo(line)
        for remedy, outcomes in _remedies(section).items():
            names = ", ".join(f"[{_STYLES[one.status]}]{one.check}[/]" for one in outcomes)
            text = f"{names}: {escape(remedy)}"
            console.print(text, soft_wrap=not console.is_terminal)
    failed = sum(not outcome.ok for section in sections for outcome in section.outcomes)
    verdict = f"{failed} failed" if failed else "all well"
    console.print(f"[{'bold red' if failed else 'green'}]{verdict}[/]")


def _remedies(section: Section) -> dict[str, list[Outcome]]:
    """Give what to do, and for which checks: one thing may mend several."""
    found: dict[str, list[Outcome]] = {}
    for outcome in section.outcomes:
        if outcome.remedy:
            found.setdefault(outcome.remedy, []).append(outcome)
    return found


def _table(section: Section) -> Table:
    table = Table("check", "result", "detail", "time", title=escape(section.title), box=None)
    table.title_justify = "left"
    table.columns[3].justify = "right"
    for outcome in section.outcomes:
        style = _STYLES[outcome.status]
        table.add_row(
            outcome.check,
            f"[{style}]{outcome.status}[/]",
            escape(outcome.detail),
            duration(outcome.seconds),
        )
    return table


def plain_table(section: Section) -> list[str]:
    """Write the table as lines, however long, for files and other programs."""
    rows = [("check", "result", "time", "detail")]
    rows += [
        (one.check, one.status.value, duration(one.seconds), " ".join(one.detail.split()))
        for one in section.outcomes
    ]
    first, second, third = (max(len(row[n]) for row in rows) for n in range(3))
    return [
        section.title,
        *(
            f"{check:<{first}}  {result:<{second}}  {time:>{third}}  {detail}"
            for check, result, time, detail in rows
        ),
    ]


def duration(seconds: float | None) -> str:
    """Write a time in a few characters."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
