"""SSRF guard: an HTTP client that reaches public addresses only.

A request must not make the server fetch from its own network: its own machine, its neighbours,
or a cloud's metadata service.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the IP addresses of a host for a port; fails with ``OSError``."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


class NotPublicError(httpx.ConnectError):
    """The host has an address that is not public."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public internet.

    An IPv6 address that carries one of IPv4 (mapped, 6to4, NAT64) is what the inner one is.

    Args:
        address: In the usual notation, as a resolver gives it.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _carried(ip) or ip
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast  # which may be global


def _carried(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


async def resolve(host: str, port: int) -> list[str]:
    """Resolve a host as the operating system does."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class PublicTransport(httpx.AsyncBaseTransport):
    """Transport that connects to public addresses only.

    The address that was checked is the one connected to, so that a name which resolves to
    something else a moment later changes nothing (DNS rebinding). ``Host`` and TLS keep the name.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, resolver: Resolver) -> None:
        """Wrap another transport.

        Args:
            inner: Makes the connections. It must not keep them: it sees addresses, and two
                names may share one.
            resolver: Finds the addresses.
        """
        self._inner = inner
        self._resolver = resolver

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, trying the host's addresses in turn.

        Raises:
            NotPublicError: An address of the host is not public.
            httpx.ConnectError: The host has no address, or none that answers.
        """
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError("its host is not known", request=request) from error
        if not all(is_public(address) for address in addresses):
            raise NotPublicError("its host is not on the public internet", request=request)
        failure = httpx.ConnectError("its host has no address", request=request)
        for address in addresses:
            try:
                return await self._inner.handle_async_request(_to(address, host, request))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = httpx.ConnectError("its host cannot be reached", request=request)
                failure.__cause__ = error
        raise failure

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _to(address: str, host: str, request: httpx.Request) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )


@functools.cache
def _default_certificates() -> ssl.SSLContext:
    """Load the CA certificates once: that takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def open_client(
    *,
    allow_private: bool = False,
    resolver: Resolver = resolve,
    verify: bool | ssl.SSLContext = True,
) -> httpx.AsyncClient:
    """Return a client that takes nothing from the environment and follows no redirects.

    Args:
        allow_private: Connect to any address.
        resolver: Finds the addresses of hosts.
        verify: Whether, or by what, the certificates of servers are checked.
    """
    # Connections are not kept: the pool knows them by address, and TLS was checked for a name.
    limits = httpx.Limits(max_keepalive_connections=0)
    transport: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(
        verify=_default_certificates() if verify is True else verify,
        trust_env=False,
        limits=limits,
    )
    if not allow_private:
        transport = PublicTransport(transport, resolver)
    return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)
