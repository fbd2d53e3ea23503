"""Messages for failed connections, by the HTTP library's exception."""

import socket
from typing import TypeVar

import httpx

from .factory import make
from .types import NIMError, Quote

_LONGEST_REASON = 500

Cause = TypeVar("Cause", bound=BaseException)


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
        if cause_of(cause, socket.gaierror):
            return "dns_failed", "The host name could not be resolved (DNS)"
        if "SSL" in str(cause).upper():
            return "tls_failed", "The TLS handshake failed"
        return "connection_failed", "No connection to the NIM"
    return "connection_lost", "The connection to the NIM broke"


def cause_of(error: BaseException, kind: type[Cause]) -> Cause | None:
    """Return the error of a kind in the chain that led to an error of the HTTP library."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
