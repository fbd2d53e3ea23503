"""Type of a row in the table of errors."""

from dataclasses import dataclass
from enum import StrEnum

from . import types


class When(StrEnum):
    """The point at which a stream fails."""

    FIRST = "before the first event"
    LATER = "in the middle"
    BOTH = "before the first event, or in the middle"
    NEVER = "no streams"


@dataclass(frozen=True)
class Cause:
    """A cause of failure.

    Attributes:
        code: Its name: short, stable, in snake case. OpenAI's own where OpenAI has one.
        title: What has happened.
        kind: The class of the error; None where there is none.
        remedy: What to do. The error's message ends with it, unless ``unsent``.
        page: The page of the documentation that says more, relative to ``docs/``.
        status: HTTP status that the error carries, if it is not the one of its class.
        openai_code: The code of OpenAI's APIs for it, where it is another.
        whole: It can befall a response that is no stream.
        when: How far a stream has come when it befalls one.
        unsent: It is found in the request before anything is sent. The message begins with the
            field and says itself what to do.
        retried: The request is sent again before the caller hears of it, unless some of the
            response has come.
    """

    code: str
    title: str
    kind: type[types.NIMError] | None
    remedy: str
    page: str = ""
    status: int | None = None
    openai_code: str | None = None
    whole: bool = True
    when: When = When.FIRST
    unsent: bool = False
    retried: bool = False

    @property
    def own_status(self) -> int | None:
        """The HTTP status that the error carries."""
        return self.status or (self.kind.default_status if self.kind else None)
