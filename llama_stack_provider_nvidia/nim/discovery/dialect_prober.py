"""Detects and caches an endpoint's dialect; never raises.

A NIM may be replaced by one of another generation behind the same address. NIM 1.x refuses fields
that it does not know, with a 400; NIM 2.x ignores them, and with them the constraint that they
carry. So the finding is invalidated by what does not fit it, and a response under a constraint is
taken for constrained only if the NIM is known to be what the request was written for.
"""

import asyncio
import logging
import re
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import msgspec

from .. import errors
from ..dialect import Dialect
from ..json_types import UNREADABLE
from . import dialect_rules
from .dialect_rules import ProbeResponse
from .finding import Finding

logger = logging.getLogger(__name__)

_REMEMBER_SECONDS = 600.0
# While nothing is known, questions must not slow down each request.
_RETRY_SECONDS = 5.0
# A gateway that never answers the questions is asked less often in the end.
_MOST_GUESSES = 3  # 40 seconds
_ASK_SECONDS = 2.0
# A NIM needs longer to start. Behind a load balancer the change may be sudden.
_CONFIRM_SECONDS = 5.0
# What seemed not to fit and was no change must not cost a question each time.
_MOST_ALARMS = 6  # 63 seconds

# How NIM 1.x, the hosted catalogue and Dynamo name a field that they do not know.
_UNKNOWN_FIELD = re.compile(
    r"extra_forbidden|extra inputs are not permitted|unknown field|unsupported parameter",
    re.IGNORECASE,
)
# Headers that name the server or its release.
_SERVER_HEADERS = ("server", "x-nim-version", "x-vllm-version", "x-powered-by")
# Where the dialects carry a constraint; ``guided_*`` stands at the top level or in ``nvext``.
_CONSTRAINTS = frozenset(("response_format", "structured_outputs", "regex", "ebnf", "json_schema"))

Probe = Callable[[str], Awaitable[httpx.Response]]


class DialectProber:
    """Knows the dialect of one endpoint."""

    def __init__(self, endpoint: str, configured: str, probe: Probe) -> None:
        """Initialize with what is known without probing.

        Args:
            endpoint: Its address.
            configured: ``auto``, or the dialect that the user says it is.
            probe: Sends a GET request for a path below the root; raises a ``NIMError`` if there
                is no response.
        """
        self._endpoint = endpoint
        self._probe = probe
        self._finding = dialect_rules.known_by_address(endpoint)
        if configured != "auto":
            self._finding = Finding(Dialect(configured), "the configuration says so")
        self._is_fixed = self._finding is not None
        self._until = 0.0
        self._asked = 0.0
        self._confirmed = 0.0
        self._guesses = 0
        self._false_alarms = 0
        self._invalidated = False
        self._asking: asyncio.Task[None] | None = None
        self._server: tuple[str | None, ...] | None = None
        # Connections of a NIM that was found to be what it is: none of them outlives its process.
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def known(self) -> Finding | None:
        """The finding so far; it does not ask."""
        return self._finding

    async def finding(self) -> Finding:
        """Return what the endpoint is, asking if that is not known or may be out of date."""
        now = time.monotonic()
        if self._finding is not None and (self._is_fixed or now < self._until):
            return self._finding
        self._until = now + _RETRY_SECONDS  # others go on with what is known meanwhile
        await self._ask()
        assert self._finding is not None
        return self._finding

    async def certain_finding(self) -> Finding:
        """Return what the endpoint is, asking now if that is a guess."""
        if self._finding is None or not self._finding.is_certain:
            await self._ask()
        assert self._finding is not None
        return self._finding

    def invalidate(self) -> None:
        """Ask again with the next request: the connection was lost, and another may come back."""
        if not self._is_fixed:
            self._until = 0.0
            self._connections.clear()

    def see_error(self, error: errors.NIMError) -> None:
        """Invalidate the finding if an error does not fit it."""
        if isinstance(error, errors.NIMConnectionError):
            self.invalidate()
        elif isinstance(error, errors.InvalidRequestError) and _UNKNOWN_FIELD.search(error.message):
            self._suspect()

    def see_response(self, response: httpx.Response) -> None:
        """Invalidate the finding if a response names another server than the one before."""
        server = tuple(map(response.headers.get, _SERVER_HEADERS))
        if self._server is not None and server != self._server:
            self._suspect()
        self._server = server

    async def confirms(
        self, response: httpx.Response, body: Mapping[str, Any], dialect: Dialect
    ) -> bool | None:
        """Return whether the endpoint is still what a request was written for, asking if need be.

        None says that the question was not answered, as under load or by a gateway.

        Only a request that sets a constraint is worth the question.

        Args:
            response: To the request; its headers have come.
            body: The request as it was sent.
            dialect: How it was written.
        """
        # What others make of a constraint is checked in the output: see ``output_guard``.
        if (
            self._is_fixed
            or dialect in (Dialect.GENERIC, Dialect.HOSTED)
            or not _sets_constraint(body)
        ):
            return True
        connection = response.extensions.get("network_stream")
        is_recent = time.monotonic() - self._confirmed < _CONFIRM_SECONDS
        if self._is(dialect) and not (is_recent and connection in self._connections):
            began = time.monotonic()
            await self._ask()
            if self._is(dialect) and self._confirmed < began:
                return None
            if self._is(dialect) and connection is not None:
                self._connections.add(connection)
        return self._is(dialect)

    def _is(self, dialect: Dialect) -> bool:
        return self._finding is not None and self._finding.dialect is dialect

    def _suspect(self) -> None:
        """Ask again with the next request, less soon after each time that nothing had changed."""
        if not self._is_fixed:
            quiet = 2.0 ** min(self._false_alarms, _MOST_ALARMS) - 1
            self._until = min(self._until, self._asked + quiet)
            self._invalidated = True

    async def _ask(self) -> None:
        """Ask, or wait for the responses that another request has asked for."""
        asking = self._asking
        if asking is None or asking.done() or asking.get_loop() is not asyncio.get_running_loop():
            asking = self._asking = asyncio.create_task(self._detect())
        await asyncio.shield(asking)

    async def _detect(self) -> None:
        known = self._finding
        found = await self._found()
        now = self._asked = time.monotonic()
        invalidated, self._invalidated = self._invalidated, False
        if found is not None and found.is_certain:
            self._guesses = 0
            self._until, self._confirmed = now + _REMEMBER_SECONDS, now
            self._false_alarms = self._false_alarms + 1 if invalidated and found == known else 0
        else:
            self._until = now + _RETRY_SECONDS * 2**self._guesses
            if found is not None:
                self._guesses = min(self._guesses + 1, _MOST_GUESSES)
        if found is None:
            if known is None:
                logger.warning("%s does not say yet what it is", self._endpoint)
                self._finding = Finding(Dialect.GENERIC, "it does not answer", is_certain=False)
        elif known is None or _replaces(found, known):
            if found != known:
                logger.info("%s speaks %s: %s", self._endpoint, found.dialect, found.reason)
            self._finding = found

    async def _found(self) -> Finding | None:
        """Ask all that is needed; None if there is no response."""
        responses: dict[str, ProbeResponse] = {}
        connections: list[Any] = []
        while True:
            step = dialect_rules.detect(responses)
            if isinstance(step, Finding):
                self._connections.update(connections)
                return step
            try:
                async with asyncio.timeout(_ASK_SECONDS):
                    response = await self._probe(step)
            except (errors.NIMError, TimeoutError):
                return None
            responses[step] = ProbeResponse(response.status_code, _json_of(response))
            if (connection := response.extensions.get("network_stream")) is not None:
                connections.append(connection)


def _replaces(found: Finding, known: Finding) -> bool:
    """Return whether a finding is worth more than the one that is known.

    A guess never replaces a finding by ``generic``, nor a release that is known by none.
    """
    if found.is_certain or not known.is_certain:
        return True
    return found.dialect not in (Dialect.GENERIC, known.dialect)


def _json_of(response: httpx.Response) -> Any:
    if response.status_code != 200:
        return None
    try:
        return msgspec.json.decode(response.content)
    except UNREADABLE:
        return None


def _sets_constraint(body: Mapping[str, Any]) -> bool:
    nvext = body.get("nvext")
    names = [*body, *(nvext if isinstance(nvext, Mapping) else ())]
    form = body.get("response_format")
    if form is None or (isinstance(form, Mapping) and form.get("type") == "text"):
        names = [name for name in names if name != "response_format"]
    return any(name in _CONSTRAINTS or name.startswith("guided_") for name in names)
