"""Asks an endpoint what it is, remembers the answer, and never stands in the way."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .. import errors
from ..dialect import Dialect
from . import detect
from .detect import Answer, Finding

logger = logging.getLogger(__name__)

# A NIM may be replaced by another generation behind the same address.
_REMEMBER_SECONDS = 600.0
# While nothing is known, questions must not slow down each request.
_RETRY_SECONDS = 5.0

Ask = Callable[[str], Awaitable[Answer | None]]


class Prober:
    """Knows the dialect of one endpoint."""

    def __init__(self, endpoint: str, configured: str, ask: Ask) -> None:
        """Nothing is asked yet.

        Args:
            endpoint: Its address.
            configured: ``auto``, or the dialect that the user says it is.
            ask: Asks for a path below the root; None means there was no answer.
        """
        self._endpoint = endpoint
        self._ask = ask
        self._until = 0.0
        self._finding = detect.known_by_address(endpoint)
        if configured != "auto":
            self._finding = Finding(Dialect(configured), "the configuration says so")
        self._is_fixed = self._finding is not None

    async def finding(self) -> Finding:
        """Give what the endpoint is, asking if that is not known or may be out of date."""
        now = time.monotonic()
        if self._finding is not None and (self._is_fixed or now < self._until):
            return self._finding
        self._until = now + _RETRY_SECONDS  # others go on with what is known meanwhile
        found = await self._detect()
        if found is not None:
            if found != self._finding:
                logger.info("%s speaks %s: %s", self._endpoint, found.dialect, found.reason)
            self._until = time.monotonic() + _REMEMBER_SECONDS
            self._finding = found
        elif self._finding is None:
            logger.warning("%s does not say yet what it is", self._endpoint)
            self._finding = Finding(Dialect.GENERIC, "it does not answer")
        return self._finding

    @property
    def dialect(self) -> Dialect | None:
        """What is known so far."""
        return self._finding.dialect if self._finding else None

    def doubt(self) -> None:
        """Ask again with the next request: the endpoint was gone, and may come back another."""
        if not self._is_fixed:
            self._until = 0.0

    async def _detect(self) -> Finding | None:
        answers: dict[str, Answer] = {}
        while True:
            step = detect.detect(answers)
            if isinstance(step, Finding):
                return step
            answer = await self._ask(step)
            if answer is None:
                return None
            answers[step] = answer


async def ask_quickly(fetch: Awaitable[Answer], seconds: float) -> Answer | None:
    """Await an answer for a bounded time; None for a failure of any kind."""
    try:
        async with asyncio.timeout(seconds):
            return await fetch
    except (errors.NIMError, TimeoutError):
        return None
