"""Results of checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The status of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The check does not apply to this NIM."""
    NOT_RUN = "not run"
    """An earlier check failed, and this one would fail for the same cause."""


@dataclass(frozen=True)
class CheckResult:
    """Result of a check that did not fail.

    Attributes:
        detail: What was found, for people.
        warning: Remedy where something works but is not as it should be.
        data: What was found, for machines.
    """

    detail: str
    warning: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class CheckFailedError(Exception):
    """A check failed.

    Attributes:
        detail: What is wrong.
        remedy: What to do; None for the check's own remedy.
    """

    def __init__(self, detail: str, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class CheckSkippedError(Exception):
    """The check does not apply; the text says why."""


@dataclass(frozen=True)
class CheckReport:
    """One row of the report.

    Attributes:
        check: Name of the check.
        status: Its status.
        detail: What was found, what is wrong, or why the check was not made.
        remedy: What to do, for a failure or a warning.
        seconds: Duration; None if the check was not run.
        data: What was found, for machines.
    """

    check: str
    status: Status
    detail: str
    remedy: str | None = None
    seconds: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if the check did not fail."""
        return self.status is not Status.FAILED

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON data."""
        seconds = None if self.seconds is None else round(self.seconds, 4)
        return {
            "check": self.check,
            "status": self.status.value,
            "ok": self.ok,
            "detail": self.detail,
            "remedy": self.remedy,
            "seconds": seconds,
            "data": dict(self.data),
        }


def not_run(check: str, reason: str) -> CheckReport:
    """Return the row of a check that was not run.

    Args:
        check: Its name.
        reason: Such as ``connection failed``.
    """
    return CheckReport(check, Status.NOT_RUN, f"not tried, because {reason}")
