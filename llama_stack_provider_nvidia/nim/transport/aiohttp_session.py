"""The aiohttp session of one transport: its limits, and what aiohttp does of its own accord."""

import contextlib
import ssl
from typing import Any

import aiohttp
import httpx

# Of a response; httpx's own transport takes 100 KiB for all headers together.
_MAX_LINE_BYTES = 64 * 1024
_MAX_HEADERS = 512

_FOREVER = 7 * 24 * 3600.0
"""Seconds that stand for "no expiry" of an idle connection."""

_DNS_SECONDS = 1
"""Connections that are opened together share one look-up of the host."""

_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


def open_session(
    context: ssl.SSLContext,
    limits: httpx.Limits,
    request_class: type[aiohttp.ClientRequest],
    response_class: type[aiohttp.ClientResponse],
) -> aiohttp.ClientSession:
    """Open a session in the running event loop.

    Args:
        context: For TLS, with a NIM and with a proxy.
        limits: Which connections are kept; how many there are is not limited here.
        request_class: Of the requests.
        response_class: Of the responses.
    """
    expiry = limits.keepalive_expiry
    keeping: dict[str, Any] = {"keepalive_timeout": _FOREVER if expiry is None else expiry}
    if expiry == 0 or limits.max_keepalive_connections == 0:
        keeping = {"force_close": True}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            ssl=context,
            resolver=aiohttp.ThreadedResolver(),
            ttl_dns_cache=_DNS_SECONDS,
            **keeping,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTOMATIC_HEADERS,
        auto_decompress=False,
        request_class=request_class,
        response_class=response_class,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
        max_headers=_MAX_HEADERS,
    )


def abandon(session: aiohttp.ClientSession) -> None:
    """Close a session that nobody can await any more, for what its connections still allow."""
    connector = session.connector
    if connector is None:
        return
    session.detach()
    with contextlib.suppress(RuntimeError):  # the loop was closed just now
        # The base's closes at once; what it returns only waits for that, and wants to be awaited.
        aiohttp.BaseConnector.close(connector).__await__().close()
