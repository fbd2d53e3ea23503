"""aiohttp's exceptions as httpx's, by what has happened."""

import aiohttp
import httpx
from aiohttp import http as aiohttp_http

INCOMPLETE = "Not enough data"
"""How aiohttp's parser says that a connection was closed within a body."""


def translated(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """Return httpx's exception for one of aiohttp's."""
    kind, text = _kind_of(error)
    return kind(text, request=request)


def _kind_of(error: Exception) -> tuple[type[httpx.TransportError], str]:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return httpx.ConnectError, str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            return httpx.ConnectError, str(cause) or type(cause).__name__
        case aiohttp.ClientHttpProxyError():
            return httpx.ProxyError, f"{error.status} {error.message}"
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout, ""
        case TimeoutError():
            return httpx.ReadTimeout, ""
        case aiohttp.ServerDisconnectedError():
            return (
                httpx.RemoteProtocolError,
                "Server disconnected without sending a response.",
            )
        case aiohttp.ClientPayloadError() if INCOMPLETE in str(error):
            return (
                httpx.RemoteProtocolError,
                "peer closed connection without sending complete message body",
            )
        case aiohttp.ClientPayloadError():
            return httpx.RemoteProtocolError, str(error)
        case aiohttp.ClientResponseError() | aiohttp_http.HttpProcessingError():
            return httpx.RemoteProtocolError, error.message
        case aiohttp.InvalidURL() | ValueError() | TypeError():
            return httpx.LocalProtocolError, str(error)
    return httpx.ReadError, str(error)
