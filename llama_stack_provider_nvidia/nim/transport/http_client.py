"""HTTP clients for the ``network:`` settings of run.yaml."""

import contextvars
import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx

from .aiohttp_transport import AiohttpTransport
from .network import NetworkConfig

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""Certificate files are looked at no more often than this."""


class _NoCookies(httpx.Cookies):
    """Takes no cookie: one caller's must not go out with another's request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class Observer(Protocol):
    """Sees what a client sends and receives."""

    async def on_request(self, request: httpx.Request) -> None:
        """See a request that is about to be sent."""

    async def on_response(self, response: httpx.Response) -> None:
        """See a response whose body is yet to be read."""


OBSERVER: contextvars.ContextVar[Observer | None] = contextvars.ContextVar("observer", default=None)
"""Sees the requests and responses of all clients that are made in this context."""


class HTTPClient(httpx.AsyncClient):
    """A client whose transports are ours, those for the environment's proxies included."""

    def __init__(
        self, transport: Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport], **options: Any
    ) -> None:
        self._make_transport = transport
        super().__init__(**options)
        self._cookies = _NoCookies()

    def _init_transport(self, *_: Any, **__: Any) -> httpx.AsyncBaseTransport:
        return self._make_transport(None)

    def _init_proxy_transport(
        self, proxy: httpx.Proxy, *_: Any, **__: Any
    ) -> httpx.AsyncBaseTransport:
        return self._make_transport(proxy)

    def abandon(self) -> None:
        """Let go of connections whose event loop has ended: they cannot be closed any more."""
        for transport in (self._transport, *self._mounts.values()):
            if isinstance(transport, AiohttpTransport):
                transport.abandon()


class HTTPClientFactory:
    """Makes httpx clients for one network configuration; what is costly is made once."""

    def __init__(self, network: NetworkConfig) -> None:
        self._network = network
        self._context: ssl.SSLContext | None = None
        self._seen: list[tuple[int, ...]] = []
        self.look_at = 0.0 if self._files() else float("inf")
        """When to call ``reload`` next, by ``time.monotonic``."""
        self.version = 0
        """Grows when certificates have changed: older clients go on with what they have."""

    def make(self, timeout: httpx.Timeout, *, traced: bool = False, **options: Any) -> HTTPClient:
        """Make a client with connections of its own.

        Args:
            timeout: Of each request, unless it brings another.
            traced: Use httpx's own transport, whose steps the extension ``trace`` shows.
            options: Further arguments of ``httpx.AsyncClient``.
        """
        network = self._network
        if self._context is None:
            # Reading the CA certificates takes longer than a request.
            self._seen, self._context = self._stamps(), self._new_context()
        context, limits = self._context, httpx.Limits(**network.limits.model_dump())

        def transport(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
            is_socks = proxy is not None and proxy.url.scheme.startswith("socks")
            if not (traced or network.http2 or is_socks):
                return AiohttpTransport(context, limits, proxy)
            return httpx.AsyncHTTPTransport(
                proxy=proxy, verify=context, limits=limits, http2=network.http2
            )

        proxies = network.proxy.by_pattern() if network.proxy else {}
        mounts = {
            pattern: transport(httpx.Proxy(address)) if address else None
            for pattern, address in proxies.items()
        }
        if (observer := OBSERVER.get()) is not None:
            hooks = options.pop("event_hooks", {})
            options["event_hooks"] = {
                "request": [*hooks.get("request", ()), observer.on_request],
                "response": [observer.on_response, *hooks.get("response", ())],
            }
        return HTTPClient(transport, timeout=timeout, mounts=mounts, **options)

    def reload(self) -> None:
        """Read the certificates anew if their files have changed.

        Files that do not go together, as while they are being written, are left for later.
        """
        self.look_at = time.monotonic() + _LOOK_SECONDS
        if self._context is None:
            return
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._context = self._new_context()
        except ValueError as error:
            logger.warning("Certificates have changed and cannot be used: %s", error)
            return
        self.version += 1
        logger.info("Certificates have changed: new connections use them")

    def _new_context(self) -> ssl.SSLContext:
        proxy = self._network.proxy
        return self._network.tls.context(proxy.cacert if proxy else None)

    def _files(self) -> list[Path]:
        proxy = self._network.proxy
        return [*self._network.tls.files, *([proxy.cacert] if proxy and proxy.cacert else [])]

    def _stamps(self) -> list[tuple[int, ...]]:
        return [_stamp(path) for path in self._files()]

    @property
    def headers(self) -> dict[str, str]:
        """The headers to add to each request."""
        return {name: value.get_secret_value() for name, value in self._network.headers.items()}


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
