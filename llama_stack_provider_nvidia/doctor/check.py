"""A check: one question, and what to do where the answer is wrong."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from ..nim import error_table, errors
from .outcome import FailedError, Outcome, Seen, SkippedError, Status
from .subject import Subject

_LINK = re.compile(r"\[([^]]+)\]\(([^)]+)\)")
_ELSE = "Try again; if it stays so, look at the NIM's log (`docker logs`, `kubectl logs`)."


@dataclass(frozen=True)
class Check:
    """One question about a NIM.

    Attributes:
        name: What people call it.
        look: Finds out. It returns what it saw, raises ``FailedError`` or ``SkippedError``, or lets
            a ``NIMError`` through, which is a failure too.
        remedy: What to type or change after a failure that names nothing better.
        basic: Nothing that follows can work where this does not.
    """

    name: str
    look: Callable[[Subject], Awaitable[Seen]]
    remedy: str
    basic: bool = False


async def examine(
    subject: Subject,
    checks: Iterable[Check],
    *,
    seconds: float,
    started: Callable[[Check], None] = lambda check: None,
) -> AsyncIterator[Outcome]:
    """Make checks one after the other; those after a failed basic one are not run.

    Args:
        subject: The NIM.
        checks: In their order.
        seconds: The most that one may take.
        started: Told of each before it is made.

    Yields:
        Each outcome as soon as it is known.
    """
    failed: Check | None = None
    for check in checks:
        if failed is not None:
            yield Outcome(check.name, Status.NOT_RUN, f"needs {failed.name}")
            continue
        started(check)
        outcome = await _made(subject, check, seconds)
        if check.basic and not outcome.ok:
            failed = check
        yield outcome


async def _made(subject: Subject, check: Check, seconds: float) -> Outcome:
    begun = time.perf_counter()
    remedy: str | None = None
    data = {}
    try:
        async with asyncio.timeout(seconds):
            seen = await check.look(subject)
        status = Status.WARNING if seen.warning else Status.OK
        detail, remedy, data = seen.detail, seen.warning, dict(seen.data)
    except SkippedError as skipped:
        status, detail = Status.SKIPPED, str(skipped)
    except FailedError as failed:
        status, detail, remedy = Status.FAILED, failed.detail, failed.remedy or check.remedy
    except errors.NIMError as error:
        status, detail, remedy = Status.FAILED, str(error), _way_out(error, check)
        data = {"status_code": error.status_code, "request_id": error.request_id}
    except TimeoutError:
        status, remedy = Status.FAILED, check.remedy
        detail = f"no answer in {seconds:g} s"
    return Outcome(check.name, status, detail, remedy, time.perf_counter() - begun, data)


def _way_out(error: errors.NIMError, check: Check) -> str:
    """What docs/errors.md says; what the check says where the request is what is wrong."""
    about_request = isinstance(error, errors.InvalidRequestError)
    if about_request and not isinstance(error, errors.ModelWithdrawnError):
        return check.remedy
    cause = error_table.cause_of(error)
    return _LINK.sub(r"\1 (docs/\2)", cause.remedy) if cause else _ELSE
