"""Checks and the loop that runs them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from ..nim import errors
from ..nim.errors import troubleshooting
from ..nim.errors.redact import redact_data
from .context import REQUEST_TIMEOUT, CheckContext
from .results import (
    CheckFailedError,
    CheckReport,
    CheckResult,
    CheckSkippedError,
    Status,
    not_run,
)

SLOW = (
    "The server hangs or is overloaded: look at its log (`docker logs`, `kubectl logs`) and its "
    "load. `--timeout` gives each check more time."
)
STALLED = (
    "The model hangs or is overloaded: look at the NIM's log (`docker logs`, `kubectl logs`) and "
    "its load. `--timeout` gives each check more time."
)


@dataclass(frozen=True)
class Check:
    """One check of a NIM.

    Attributes:
        name: Its name in reports.
        run: Makes the check. It returns a ``CheckResult`` or raises ``CheckFailedError``,
            ``CheckSkippedError`` or a ``NIMError``, which is a failure too.
        remedy: What to do after a failure that brings no remedy of its own.
        basic: All later checks need this one.
        group: Name of the checks that call the same model. A timeout before any of them has
            succeeded is the model's, and the others are not run.
        on_timeout: What to do after a timeout, unless it is the model's; the check's remedy by
            default, if it calls a model.
    """

    name: str
    run: Callable[[CheckContext], Awaitable[CheckResult]]
    remedy: str
    basic: bool = False
    group: str | None = None
    on_timeout: str | None = None


async def run_checks(
    context: CheckContext,
    checks: Iterable[Check],
    *,
    seconds: float,
    started: Callable[[Check], None] = lambda check: None,
) -> AsyncIterator[CheckReport]:
    """Run checks one after the other.

    Args:
        context: The NIM.
        checks: In their order.
        seconds: Time limit of each.
        started: Called with each check before it runs.

    Yields:
        The report of each check.
    """
    # A request that times out by itself says what it waited for, and closes its socket.
    context.request_timeout = min(REQUEST_TIMEOUT, seconds / 2)
    failed: str | None = None
    stalled: dict[str, str] = {}
    responded: set[str] = set()
    for check in checks:
        if reason := failed or stalled.get(check.group or ""):
            yield not_run(check.name, reason)
            continue
        started(check)
        stalls = check.group is not None and check.group not in responded
        report, timed_out = await _run_check(context, check, seconds, stalls=stalls)
        if check.group and report.status in (Status.OK, Status.WARNING):
            responded.add(check.group)
        if check.group and stalls and timed_out:
            stalled[check.group] = f"{check.name} got no response in time"
        if check.basic and not report.ok:
            failed = f"{check.name} failed"
        yield report


async def _run_check(
    context: CheckContext, check: Check, seconds: float, *, stalls: bool
) -> tuple[CheckReport, bool]:
    """Run one check; return its report, and whether it timed out.

    Args:
        context: The NIM.
        check: The check.
        seconds: Its time limit.
        stalls: A timeout means that the model stalls.
    """
    begun = time.perf_counter()
    remedy: str | None = None
    data = {}
    timed_out = False
    try:
        async with asyncio.timeout(seconds):
            result = await check.run(context)
        status = Status.WARNING if result.warning else Status.OK
        detail, remedy, data = result.detail, result.warning, dict(result.data)
    except CheckSkippedError as skipped:
        status, detail = Status.SKIPPED, str(skipped)
    except CheckFailedError as failed:
        status, detail, remedy = Status.FAILED, failed.detail, failed.remedy or check.remedy
    except errors.NIMError as error:
        status, detail, remedy = Status.FAILED, str(error), remedy_for(error, check)
        data = {
            "code": error.code,
            "status_code": error.status_code,
            "request_id": error.request_id,
        }
        timed_out = isinstance(error, errors.NIMTimeoutError)
    except TimeoutError:
        status, timed_out = Status.FAILED, True
        detail = f"no response in {seconds:g} s"
        remedy = check.on_timeout or (check.remedy if check.group else SLOW)
        if stalls:
            remedy = STALLED
    seconds_taken = time.perf_counter() - begun
    # A NIM may quote the key it was sent, in whatever it says.
    detail, remedy, data = redact_data([detail, remedy, data], context.secrets)
    report = CheckReport(check.name, status, detail, remedy, seconds_taken, data)
    return report, timed_out


def remedy_for(error: errors.NIMError, check: Check) -> str:
    """Return what docs/errors.md says, or the check's remedy where the request is at fault."""
    about_request = isinstance(error, errors.InvalidRequestError)
    if about_request and not isinstance(error, errors.ModelWithdrawnError):
        return check.remedy
    return troubleshooting.remedy_for(error.code)
