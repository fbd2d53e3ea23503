"""Health checks of a NIM, cached for two seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from .. import errors
from ..json_types import UNREADABLE

# Llama Stack gives a provider one second to say how it is.
QUICK_SECONDS = 0.8
# Probes of several kinds ask at the same time; a NIM need not hear all of them.
_REMEMBER_SECONDS = 2.0

Get = Callable[[str, float], Awaitable[Any]]


@dataclass(frozen=True)
class Health:
    """How a NIM is.

    Attributes:
        live: It answers at all.
        ready: It can take requests for inference. One that loads its model is live only.
        message: What it was asked and said, for people.
    """

    live: bool
    ready: bool
    message: str


class HealthCheck:
    """Checks the health of one endpoint."""

    def __init__(self, url: str, *, is_hosted: bool, get: Get) -> None:
        """Bind the check to an endpoint.

        Args:
            url: Address of the endpoint.
            is_hosted: NVIDIA's catalogue has no health routes.
            get: Gets a path below the endpoint within so many seconds; returns an
                ``httpx.Response`` or raises a ``NIMError``.
        """
        self._url = url
        self._is_hosted = is_hosted
        self._get = get
        self._known: tuple[float, Health] | None = None

    async def health(self, seconds: float = QUICK_SECONDS) -> Health:
        """Return the health of the NIM, from the cache if it was asked in the last two seconds.

        Args:
            seconds: How long it may take to answer.
        """
        now = time.monotonic()
        if self._known is None or now - self._known[0] >= _REMEMBER_SECONDS:
            self._known = (now, await self._ask(seconds))
        return self._known[1]

    async def _ask(self, seconds: float) -> Health:
        try:
            async with asyncio.timeout(seconds):
                return await self._steps(seconds)
        except TimeoutError:
            return Health(False, False, f"{self._url} did not answer in {seconds:g} s")

    async def _steps(self, seconds: float) -> Health:
        if not self._is_hosted:
            try:
                await self._get("/health/ready", seconds)
            except errors.ModelNotFoundError:
                pass  # plain engines, Dynamo and gateways have no such route
            except errors.NIMError as error:
                return _failed(error)
            else:
                return Health(True, True, f"{self._url}/health/ready says ready")
        try:
            response = await self._get("/models", seconds)
        except errors.NIMError as error:
            return _failed(error)
        if _lists_nothing(response.content):
            # Dynamo lists a model once a worker has it.
            return Health(True, False, f"{self._url}/models lists no model yet")
        return Health(True, True, f"{self._url}/models answers")


def _failed(error: errors.NIMError) -> Health:
    """Return the health of a NIM that answers with an error, or does not answer."""
    silent = isinstance(error, errors.NIMConnectionError | errors.NIMTimeoutError)
    return Health(not silent, False, str(error))


def _lists_nothing(body: bytes) -> bool:
    try:
        listed = msgspec.json.decode(body)
    except UNREADABLE:
        return False
    return isinstance(listed, dict) and listed.get("data") == []
