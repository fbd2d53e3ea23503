"""Messages for failed connections, by the HTTP library's exception."""

import socket

import httpx

from .factory import make
from .types import NIMError, Quote

_LONGEST_REASON = 500


def timeout_error(cause: BaseException) -> NIMError:
    """Return the error for an exception about a time limit."""
    if isinstance(cause, httpx.ConnectTimeout):
        return make("connect_timeout", "The connection to the NIM timed out.")
    if isinstance(cause, httpx.PoolTimeout):
        return make(
            "pool_exhausted",
            "The client pool is exhausted: no connection to the NIM became free in time.",
        )
    return make("response_timeout", "The NIM did not answer in time.")


def connection_error(cause: BaseException) -> NIMError:
    """Return the error for an exception about a connection."""
    code, problem = _reason(cause)
    said = str(cause) or type(cause).__name__
    return make(code, f"{problem}: {{quote}}.", quote=Quote(said, _LONGEST_REASON))


def is_certificate(cause: BaseException | None) -> bool:
    """Return whether TLS has refused the other side's certificate."""
    return isinstance(cause, httpx.ConnectError) and "CERTIFICATE" in str(cause).upper()


def _reason(cause: BaseException) -> tuple[str, str]:
    if is_certificate(cause):
        return "tls_certificate_rejected", "TLS certificate verification failed"
    if isinstance(cause, httpx.ConnectError | httpx.UnsupportedProtocol):
        if _is_name(cause):
            return "dns_failed", "The host name could not be resolved (DNS)"
        if "SSL" in str(cause).upper():
            return "tls_failed", "The TLS handshake failed"
        return "connection_failed", "No connection to the NIM"
    return "connection_lost", "The connection to the NIM broke"


def _is_name(cause: BaseException | None) -> bool:
    """Return whether a host's name could not be resolved: the reason is deep in the chain."""
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
