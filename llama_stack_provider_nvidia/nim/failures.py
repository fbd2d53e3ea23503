"""What a lost connection or a long wait is about, in words, and the way out."""

import socket

import httpx

_DOCTOR = "`llama-stack-nvidia doctor`"


def timeout_text(cause: BaseException) -> str:
    """Say what was waited for in vain.

    Args:
        cause: The HTTP library's exception.
    """
    if isinstance(cause, httpx.ConnectTimeout):
        return (
            "No connection to the NIM came about in time. Check the address and the network with "
            f"{_DOCTOR}, or raise `connect_timeout` in run.yaml."
        )
    if isinstance(cause, httpx.PoolTimeout):
        return (
            "No connection to the NIM was free in time: too many requests are under way. Raise "
            "`network.limits` in run.yaml, or lower the load."
        )
    return "The NIM did not answer in time. Raise `timeout` in run.yaml if it needs longer."


def connection_text(cause: BaseException) -> str:
    """Say why there is no connection.

    Args:
        cause: The HTTP library's exception.
    """
    said = str(cause) or type(cause).__name__
    return f"No connection to the NIM, or it broke: {said}. {_remedy(cause)}"


def is_certificate(cause: BaseException | None) -> bool:
    """Tell whether TLS has refused the other side's certificate."""
    return isinstance(cause, httpx.ConnectError) and "CERTIFICATE" in str(cause).upper()


def _remedy(cause: BaseException) -> str:
    if is_certificate(cause):
        return (
            "The NIM's certificate does not prove that it is the NIM: set `network.tls.verify` in "
            "run.yaml to the file of the authority that issued it."
        )
    if isinstance(cause, httpx.ConnectError | httpx.UnsupportedProtocol):
        if _is_name(cause):
            return "Nobody knows a host of that name: check the address, `url` in run.yaml."
        if "SSL" in str(cause).upper():
            return (
                "TLS failed: check that the address, `url` in run.yaml, begins with http:// or "
                "https:// as the NIM speaks it."
            )
        return f"Check the address and that the NIM is up: {_DOCTOR}."
    return f"Send the request again; if it breaks again, check the NIM with {_DOCTOR}."


def _is_name(cause: BaseException | None) -> bool:
    """Tell whether a host's name could not be resolved: the reason is deep in the chain."""
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
