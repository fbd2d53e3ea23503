"""The findings of doctor about the connection to a NIM."""

import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.doctor import connection
from llama_stack_provider_nvidia.doctor.check import run_checks
from llama_stack_provider_nvidia.doctor.context import CheckContext, check_contexts
from llama_stack_provider_nvidia.doctor.results import CheckReport, Status


def context(url: str, **network: object) -> CheckContext:
    (made,) = check_contexts(NVIDIAConfig.model_validate({"url": url, "network": network}))
    return made


@pytest.mark.parametrize(
    ("url", "network", "environ", "proxy"),
    [
        ("http://nim:8000", {}, {}, None),
        ("http://nim:8000", {"proxy": {"url": "http://me:pw@proxy:3128"}}, {}, ("proxy", 3128)),
        ("https://nim", {"proxy": {"http": "http://proxy:1"}}, {}, None),
        ("https://nim", {"proxy": {"https": "https://proxy"}}, {}, ("proxy", 443)),
        ("http://nim:8000", {"proxy": {"url": "http://p:1", "no_proxy": ["nim"]}}, {}, None),
        ("http://a.nims", {"proxy": {"url": "http://p:1", "no_proxy": [".nims"]}}, {}, None),
        ("http://nim:8000", {"proxy": {"url": "http://p:1", "no_proxy": ["nim:9"]}}, {}, ("p", 1)),
        ("http://nim:8000", {}, {"http_proxy": "http://p:1"}, ("p", 1)),
        ("http://nim:8000", {}, {"http_proxy": "http://p:1", "no_proxy": "nim"}, None),
        ("https://nim", {}, {"https_proxy": "p:1"}, ("p", 1)),
        ("https://nim", {}, {"all_proxy": "socks5://p"}, ("p", 1080)),
    ],
)
def test_the_proxy_that_requests_go_through(
    url: str,
    network: dict[str, object],
    environ: dict[str, str],
    proxy: tuple[str, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert connection._proxy(context(url, **network)) == proxy


async def looked(one: CheckContext) -> dict[str, CheckReport]:
    checks = connection.CHECKS
    found = {outcome.check: outcome async for outcome in run_checks(one, checks, seconds=10)}
    await one.endpoint.aclose()
    return found


async def test_a_proxy_is_connected_to_in_the_nim_s_place() -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        there = {"url": f"http://me:secret@127.0.0.1:{port}"}
        found = await looked(context("http://nim.invalid:8000", proxy=there))
    assert found["connection"].detail == f"the proxy at 127.0.0.1:{port} accepts connections"
    assert "secret" not in str(found)


async def test_a_host_that_drops_packets_is_a_matter_of_firewalls() -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    address = full.getsockname()
    waiting = [socket.socket() for _ in range(4)]  # the queue is full: no more are answered
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(address)
    try:
        slow = context(f"http://127.0.0.1:{address[1]}", timeout={"connect": 0.3})
        found = await looked(slow)
    finally:
        for one in [*waiting, full]:
            one.close()
    assert found["connection"].detail.endswith("does not answer")
    assert "firewalls" in str(found["connection"].remedy)


def shown_certificate(days: float) -> ssl.SSLObject:
    """Shake hands in memory with a server whose certificate ends in some days."""
    authority = trustme.CA()
    end = datetime.now(UTC) + timedelta(days=days)
    there, here = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("nim.example", not_after=end).configure_cert(there)
    authority.configure_trust(here)
    ways = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(*ways, server_hostname="nim.example")
    server = there.wrap_bio(*reversed(ways), server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client


@pytest.mark.parametrize(("days", "warned"), [(3.5, True), (20.5, False)])
def test_a_certificate_that_ends_soon_is_a_warning(days: float, warned: bool) -> None:
    seen = connection._check_certificate(shown_certificate(days))
    assert seen.data["expires_in_days"] == int(days)
    assert seen.data["names"] == ["nim.example"]
    assert (seen.warning is not None) is warned


def test_warnings_are_no_failures() -> None:
    assert CheckReport("tls", Status.WARNING, "soon", "renew").ok
    assert not CheckReport("tls", Status.FAILED, "gone", "renew").ok
