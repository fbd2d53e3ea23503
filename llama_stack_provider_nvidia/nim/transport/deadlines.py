"""Deadlines of one request: of the whole response, its first event and the pause between events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from .. import errors


@dataclass(frozen=True)
class TimeLimits:
    """How long a response may take, in seconds; None sets no limit.

    Attributes:
        total: From the request to the end of the response.
        first: From the request to the first event of a stream.
        between: Between two events of a stream. Bytes that are no events, such as the comments
            that proxies send to keep a connection, do not count.
    """

    total: float | None = None
    first: float | None = None
    between: float | None = None


NO_LIMITS = TimeLimits()


class Deadlines:
    """The time limits of one request, counted from its start."""

    def __init__(self, limits: TimeLimits, started: float) -> None:
        """Bind limits to a request.

        Args:
            limits: In seconds.
            started: Start of the request, by ``time.monotonic``.
        """
        self._limits = limits
        self._started = started

    def total(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Limit the time until the end of the response."""
        return _until(self._started, self._limits.total, "total_timeout", "is not complete after")

    def first_event(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Limit the time until the first event of a stream."""
        first, total = self._limits.first, self._limits.total
        if first is None or (total is not None and total < first):
            return self.total()
        return _until(self._started, first, "first_token_timeout", "has not begun after")

    def next_event(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Limit the time until the next event of a stream."""
        between, now = self._limits.between, time.monotonic()
        total = self._limits.total
        if between is None or (total is not None and self._started + total < now + between):
            return self.total()
        return _until(now, between, "token_timeout", "has paused for")

    async def enforce(self, batches: AsyncIterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
        """Yield the events of a stream as long as they come in time.

        Raises:
            NIMTimeoutError: They do not; the text names the setting.
        """
        limit = self.first_event
        while True:
            try:
                async with limit():
                    batch = await anext(batches)
            except StopAsyncIteration:
                return
            limit = self.next_event
            yield batch


@contextlib.asynccontextmanager
async def _until(start: float, seconds: float | None, key: str, said: str) -> AsyncIterator[None]:
    if seconds is None:
        yield
        return
    try:
        async with asyncio.timeout(start + seconds - time.monotonic()) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise errors.make(
            key, f"The response {said} {seconds:g} seconds, the `{key}` in run.yaml."
        ) from None
