"""What a check gives: its result, what was seen, and the way out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    """There is nothing of the kind to be checked."""
    NOT_RUN = "not run"
    """An earlier check failed, and this one could only fail with it."""


@dataclass(frozen=True)
class Seen:
    """What a check returns.

    Attributes:
        detail: What was seen, for people.
        warning: What to do about it, where it works but is not as it should be.
        data: The same for machines.
    """

    detail: str
    warning: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class FailedError(Exception):
    """A check failed.

    Attributes:
        detail: What is wrong.
        remedy: What to type or change; None for the remedy of the check itself.
    """

    def __init__(self, detail: str, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


class SkippedError(Exception):
    """There is nothing here that the check could look at; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """A check and what came of it.

    Attributes:
        check: Its name.
        status: Its result.
        detail: What was seen, what is wrong, or why it was not looked at.
        remedy: What to type or change, for a failure or a warning.
        seconds: How long it took; None for one that was not run.
        data: What was seen, for machines.
    """

    check: str
    status: Status
    detail: str
    remedy: str | None = None
    seconds: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.status is not Status.FAILED

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON data."""
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
