"""Is there a way to it: address, name, port and certificate."""

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

from ..nim.transport.network import ProxyConfig
from .check import Check
from .outcome import FailedError, Seen, SkippedError
from .subject import ASK_SECONDS, Subject

_ROUTES = ("/chat/completions", "/completions", "/embeddings", "/models", "/ranking", "/rerank")
_SOON_DAYS = 14
# OpenSSL's numbers of what is wrong with a certificate (x509_vfy.h).
_EXPIRED, _NOT_YET, _WRONG_NAME, _WRONG_ADDRESS = 10, 9, 62, 64
_LOCAL = ("localhost", "127.0.0.1", "::1")


async def _address(subject: Subject) -> Seen:
    url = subject.address.url.rstrip("/")
    route = next((route for route in _ROUTES if url.endswith(route)), None)
    if route is not None:
        raise FailedError(
            f"{url} is the address of one route", f"Set url to {url.removesuffix(route)}"
        )
    return Seen(subject.endpoint.url)


def _proxy(subject: Subject) -> tuple[str, int] | None:
    """The proxy that requests go through, by host and port; its password is left out."""
    parts = urlsplit(subject.endpoint.url)
    given: ProxyConfig | None = subject.network.proxy
    if given is not None:
        patterns = given.by_pattern()
        if any(proxy is None and _fits(pattern, parts) for pattern, proxy in patterns.items()):
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


def _fits(pattern: str, parts: Any) -> bool:
    host, _, port = pattern.removeprefix("all://").partition(":")
    name = parts.hostname or ""
    named = name.endswith(host.removeprefix("*")) if host.startswith("*") else name == host
    return named and (not port or port == str(parts.port))


def _bypassed(host: str, netloc: str) -> bool:
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if not excepted:
        return False
    return bool(urllib.request.proxy_bypass(host) or urllib.request.proxy_bypass(netloc))


async def _name(subject: Subject) -> Seen:
    proxy = _proxy(subject)
    host, port = proxy or (subject.host, subject.port)
    of = "the proxy " if proxy else ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        subject.targets = [(host, port)]
        return Seen(f"{of}{host} is no name, there is nothing to look up")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise FailedError(f"{of}{host} has no address: {said}") from None
    hosts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    subject.targets = [(one, port) for one in hosts]
    more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
    return Seen(f"{of}{host} is {hosts[0]}{more}", data={"addresses": hosts})


async def _connect(subject: Subject) -> Seen:
    seconds = subject.network.timeouts(ASK_SECONDS, ASK_SECONDS)[1]
    failure: Exception | None = None
    for host, port in subject.targets:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(min(seconds, ASK_SECONDS)):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            failure = error
            continue
        taken = (time.perf_counter() - begun) * 1000
        writer.transport.abort()
        of = "the proxy at " if _proxy(subject) else ""
        return Seen(f"{of}{_place(host, port)} takes connections", data={"milliseconds": taken})
    host, port = subject.targets[-1]
    raise _no_connection(failure, host, port, subject)


def _no_connection(
    failure: Exception | None, host: str, port: int, subject: Subject
) -> FailedError:
    place = _place(host, port)
    if isinstance(failure, ConnectionRefusedError):
        more = (
            " In a container, localhost is the container itself: name the host or the service."
            if subject.host in _LOCAL
            else ""
        )
        return FailedError(
            f"{place} refuses connections",
            "Nothing listens there. Start the NIM, or correct the port: `docker ps` or `kubectl "
            f"get service` show it.{more}",
        )
    if isinstance(failure, TimeoutError):
        return FailedError(
            f"{place} does not answer",
            "Packets get lost on the way: look at firewalls, security groups and network policies, "
            "and whether a proxy is needed (`network.proxy` in run.yaml, HTTPS_PROXY).",
        )
    return FailedError(f"{place} cannot be reached: {failure}")


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _tls(subject: Subject) -> Seen:
    if urlsplit(subject.endpoint.url).scheme != "https":
        raise SkippedError("the address is http://: nothing is encrypted")
    seen: list[Seen] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        # Through a proxy there may be two: the last one is the NIM's.
        if event.endswith("start_tls.complete"):
            seen.append(_certificate(info["return_value"].get_extra_info("ssl_object")))

    try:
        await subject.ask("/health/live", trace=trace)
    except httpx.HTTPError as error:
        cause = _tls_cause(error)
        if cause is not None:
            raise _no_tls(cause, subject) from None
        if not seen:
            raise FailedError(f"no encrypted connection: {error or type(error).__name__}") from None
    return seen[-1]


def _tls_cause(error: BaseException) -> ssl.SSLError | None:
    """Find what TLS itself complains of, below an error of the HTTP library."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _no_tls(error: ssl.SSLError, subject: Subject) -> FailedError:
    text = getattr(error, "verify_message", None) or error.reason or str(error)
    code = getattr(error, "verify_code", None)
    reason = str(error.reason or "")
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        remedy = (
            "The certificate is for another name: set url to the name that is in it. `openssl "
            f"s_client -connect {_place(subject.host, subject.port)} </dev/null | openssl x509 "
            "-noout -ext subjectAltName` shows it."
        )
    elif code in (_EXPIRED, _NOT_YET):
        remedy = "Renew the NIM's certificate, and check the clocks of both machines."
    elif code is not None:
        remedy = (
            "It was not signed by an authority that is trusted here: set `network: {tls: "
            "{verify: /path/to/ca.pem}}` in run.yaml to the authority's certificate, or "
            "SSL_CERT_FILE for the command line."
        )
    elif "CERTIFICATE_REQUIRED" in reason or "ALERT" in reason:
        remedy = (
            "The NIM refuses the connection, perhaps for want of a certificate of yours: set "
            "`network: {tls: {client_cert: ..., client_key: ...}}` in run.yaml."
        )
    elif reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        remedy = "The port speaks no TLS: write http:// in the address."
    else:
        remedy = None
    return FailedError(f"no trusted connection: {text}", remedy)


def _certificate(shown: ssl.SSLObject) -> Seen:
    version = shown.version() or "TLS"
    certificate = shown.getpeercert()
    if not certificate:
        return Seen(
            f"{version}, certificate not checked",
            "Anybody on the way can read keys and answers: set `network.tls.verify` to the file "
            "of the CA's certificate in the place of false.",
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
    return Seen(detail, warning, data)


CHECKS = (
    Check(
        "address",
        _address,
        "Set url to the NIM's address, such as http://localhost:8000",
        basic=True,
    ),
    Check(
        "name",
        _name,
        "Check the spelling and the name server; in Kubernetes a name is SERVICE.NAMESPACE, and "
        "in docker compose the name of the service.",
        basic=True,
    ),
    Check("connection", _connect, "Check host and port, and the road to them.", basic=True),
    Check("tls", _tls, "Check what serves TLS at that address.", basic=True),
)
