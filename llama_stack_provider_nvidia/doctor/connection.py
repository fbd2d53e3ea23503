"""Checks of the way to a NIM: address, host name, connection and TLS certificate."""

import asyncio
import ipaddress
import os
import socket
import ssl
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..nim.errors.connection_messages import cause_of
from ..nim.transport.network import ProxyConfig
from .check import Check
from .context import REQUEST_TIMEOUT, CheckContext
from .results import CheckFailedError, CheckResult, CheckSkippedError

_ROUTES = ("/chat/completions", "/completions", "/embeddings", "/models", "/ranking", "/rerank")
_SOON_DAYS = 14
# OpenSSL's numbers of what is wrong with a certificate (x509_vfy.h).
_EXPIRED, _NOT_YET, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 62, 64
_LOCAL = ("localhost", "127.0.0.1", "::1")
# Steps of a request, by httpcore, that follow the last handshake.
_FIRST_BYTES = ("http11.send_request_headers.started", "http2.send_request_headers.started")
_NO_HANDSHAKE = (
    "Something accepts connections there and does not answer in TLS: check that the port is the "
    "NIM's HTTPS port, and whether the server hangs."
)


class _HandshakeCompleted(Exception):  # noqa: N818 - no error
    """Ends a request before anything is sent."""


async def _check_address(context: CheckContext) -> CheckResult:
    url = context.address.url.rstrip("/")
    route = next((route for route in _ROUTES if url.endswith(route)), None)
    if route is not None:
        raise CheckFailedError(
            f"{url} is the address of one route", f"Set url to {url.removesuffix(route)}"
        )
    return CheckResult(context.endpoint.url)


def _proxy(context: CheckContext) -> tuple[str, int] | None:
    """Return host and port of the proxy that requests go through, if there is one."""
    parts = urlsplit(context.endpoint.url)
    given: ProxyConfig | None = context.network.proxy
    if given is not None:
        patterns = given.by_pattern()
        if any(proxy is None and _matches(pattern, parts) for pattern, proxy in patterns.items()):
            return None
        found = patterns.get(f"{parts.scheme}://")
    elif _bypassed(parts.hostname or "", parts.netloc):
        return None
    else:
        proxies = urllib.request.getproxies()
        found = proxies.get(parts.scheme) or proxies.get("all")
    if not found:
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    return proxy.hostname or "", proxy.port or {"https": 443, "http": 80}.get(proxy.scheme, 1080)


def _matches(pattern: str, parts: Any) -> bool:
    host, _, port = pattern.removeprefix("all://").partition(":")
    name = parts.hostname or ""
    named = name.endswith(host.removeprefix("*")) if host.startswith("*") else name == host
    return named and (not port or port == str(parts.port))


def _bypassed(host: str, netloc: str) -> bool:
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if not excepted:
        return False
    return bool(urllib.request.proxy_bypass(host) or urllib.request.proxy_bypass(netloc))


async def _check_name(context: CheckContext) -> CheckResult:
    proxy = _proxy(context)
    host, port = proxy or (context.host, context.port)
    of = "the proxy " if proxy else ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        context.socket_addresses = [(host, port)]
        return CheckResult(f"{of}{host} is an IP address, no lookup needed")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise CheckFailedError(f"{of}{host} has no address: {said}") from None
    hosts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    context.socket_addresses = [(one, port) for one in hosts]
    more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
    return CheckResult(f"{of}{host} is {hosts[0]}{more}", data={"addresses": hosts})


async def _check_connection(context: CheckContext) -> CheckResult:
    seconds = context.network.timeouts(REQUEST_TIMEOUT, REQUEST_TIMEOUT)[1]
    failure: Exception | None = None
    for host, port in context.socket_addresses:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(min(seconds, context.request_timeout)):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            failure = error
            continue
        taken = (time.perf_counter() - begun) * 1000
        writer.transport.abort()
        of = "the proxy at " if _proxy(context) else ""
        return CheckResult(
            f"{of}{_place(host, port)} accepts connections", data={"milliseconds": taken}
        )
    host, port = context.socket_addresses[-1]
    raise _no_connection(failure, host, port, context)


def _no_connection(
    failure: Exception | None, host: str, port: int, context: CheckContext
) -> CheckFailedError:
    place = _place(host, port)
    if isinstance(failure, ConnectionRefusedError):
        more = (
            " In a container, localhost is the container itself: name the host or the service."
            if context.host in _LOCAL
            else ""
        )
        return CheckFailedError(
            f"{place} refuses connections",
            "Nothing listens there. Start the NIM, or correct the port: `docker ps` or `kubectl "
            f"get service` show it.{more}",
        )
    if isinstance(failure, TimeoutError):
        return CheckFailedError(
            f"{place} does not answer",
            "Packets are lost on the way: check firewalls, security groups and network policies, "
            "and whether a proxy is needed (`network.proxy` in run.yaml, HTTPS_PROXY).",
        )
    return CheckFailedError(f"{place} cannot be reached: {failure}")


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _check_tls(context: CheckContext) -> CheckResult:
    if urlsplit(context.endpoint.url).scheme != "https":
        raise CheckSkippedError("the address is http://, without TLS")
    certificates: list[CheckResult] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        # Through a proxy there may be two handshakes: the last one is with the NIM.
        if event.endswith("start_tls.complete"):
            shown = info["return_value"].get_extra_info("ssl_object")
            certificates.append(_check_certificate(shown))
        elif event in _FIRST_BYTES and info["request"].method != b"CONNECT":
            raise _HandshakeCompleted

    try:
        await context.request("/health/live", trace=trace)
    except _HandshakeCompleted:
        pass  # the answer is for the liveness check to wait for
    except httpx.HTTPError as error:
        cause = cause_of(error, ssl.SSLError)
        if cause is not None:
            raise _no_tls(cause, context) from None
        if not certificates:
            raise _no_handshake(error, context) from None
    return certificates[-1]


def _no_handshake(error: httpx.HTTPError, context: CheckContext) -> CheckFailedError:
    if isinstance(error, httpx.TimeoutException):
        return CheckFailedError(
            f"the TLS handshake is not complete after {context.request_timeout:g} s"
        )
    return CheckFailedError(f"no encrypted connection: {error or type(error).__name__}")


def _no_tls(error: ssl.SSLError, context: CheckContext) -> CheckFailedError:
    text = getattr(error, "verify_message", None) or error.reason or str(error)
    code = getattr(error, "verify_code", None)
    reason = str(error.reason or "")
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        remedy = (
            "The certificate is for another name: set url to the name that is in it. `openssl "
            f"s_client -connect {_place(context.host, context.port)} </dev/null | openssl x509 "
            "-noout -ext subjectAltName` shows it."
        )
    elif code in (_EXPIRED, _NOT_YET):
        remedy = "Renew the NIM's certificate, and check the clocks of both machines."
    elif code is not None:
        remedy = (
            "The certificate's authority is not trusted here: set `network: {tls: "
            "{verify: /path/to/ca.pem}}` in run.yaml to the authority's certificate file, or "
            "SSL_CERT_FILE for the command line."
        )
    elif "CERTIFICATE_REQUIRED" in reason or "ALERT" in reason:
        remedy = (
            "The NIM refuses the connection; it may require a client certificate: set "
            "`network: {tls: {client_cert: ..., client_key: ...}}` in run.yaml."
        )
    elif reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        remedy = "The port speaks no TLS: write http:// in the address."
    else:
        remedy = None
    return CheckFailedError(f"no trusted connection: {text}", remedy)


def _check_certificate(shown: ssl.SSLObject) -> CheckResult:
    version = shown.version() or "TLS"
    certificate = shown.getpeercert()
    if not certificate:
        return CheckResult(
            f"{version}, certificate not checked",
            "Anyone in between can read keys and responses: set `network.tls.verify` to the CA's "
            "certificate file instead of false.",
            {"version": version, "verified": False},
        )
    # "Jun  1 12:00:00 2027 GMT", by ssl.getpeercert.
    left = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86400
    alternatives: Any = certificate.get("subjectAltName", ())  # pairs of kind and name
    names = [str(pair[1]) for pair in alternatives]
    shown_names = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    detail = f"{version}, certificate for {shown_names or 'no name'}, expires in {left:.0f} days"
    warning = "Renew the NIM's certificate before it expires." if left < _SOON_DAYS else None
    data = {"version": version, "verified": True, "names": names, "expires_in_days": int(left)}
    return CheckResult(detail, warning, data)


_CHECK_NAME = (
    "Check the spelling and the name server; in Kubernetes a name is SERVICE.NAMESPACE, and in "
    "docker compose the name of the service."
)
_CHECK_WAY = "Check host and port, and the network between."

CHECKS = (
    Check(
        "address",
        _check_address,
        "Set url to the NIM's address, such as http://localhost:8000",
        basic=True,
    ),
    Check("name", _check_name, _CHECK_NAME, basic=True, on_timeout=_CHECK_NAME),
    Check("connection", _check_connection, _CHECK_WAY, basic=True, on_timeout=_CHECK_WAY),
    Check(
        "tls",
        _check_tls,
        _NO_HANDSHAKE,
        basic=True,
        on_timeout=_NO_HANDSHAKE,
    ),
)
