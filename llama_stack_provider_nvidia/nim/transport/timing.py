"""Time limits of a whole answer, of its first token and between tokens."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from .. import errors

Limited = contextlib.AbstractAsyncContextManager[None]


@dataclass(frozen=True)
class TimeLimits:
    """How long an answer may take, in seconds; None sets no limit.

    Attributes:
        total: From the request to the end of the answer.
        first: From the request to the first event of a stream.
        between: Between two events of a stream. Bytes that are no events, such as the comments
            that proxies send to keep a connection, do not count.
    """

    total: float | None = None
    first: float | None = None
    between: float | None = None


class Clock:
    """Runs from the moment in which one request is made.

    Attributes:
        started: That moment, by ``time.monotonic``.
    """

    def __init__(self, limits: TimeLimits) -> None:
        """The request has just come."""
        self._limits = limits
        self.started = time.monotonic()

    def whole(self) -> Limited:
        """Limit the time until the end of the answer."""
        return _until(self.started, self._limits.total, "total_timeout", "is not complete after")

    def first(self) -> Limited:
        """Limit the time until a stream has begun."""
        first, total = self._limits.first, self._limits.total
        if first is None or (total is not None and total < first):
            return self.whole()
        return _until(self.started, first, "first_token_timeout", "has not begun after")

    def next(self) -> Limited:
        """Limit the time until the next event of a stream."""
        between, now = self._limits.between, time.monotonic()
        total = self._limits.total
        if between is None or (total is not None and self.started + total < now + between):
            return self.whole()
        return _until(now, between, "token_timeout", "has paused for")

    def in_time(self, batches: AsyncIterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
        """Hold the events of a stream to the time limits, where there are any.

        Raises:
            NIMTimeoutError: When they are read, and do not come in time; the text names the
                setting.
        """
        # Without limits there is nothing to pay for each token.
        return batches if self._limits == TimeLimits() else self._watched(batches)

    async def _watched(self, batches: AsyncIterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
        limit = self.first
        while True:
            try:
                async with limit():
                    batch = await anext(batches)
            except StopAsyncIteration:
                return
            limit = self.next
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
        raise errors.NIMTimeoutError(
            f"The answer {said} {seconds:g} seconds, the `{key}` in run.yaml. Raise it, or ask "
            "for less."
        ) from None
