"""The keys under ``network:``, one by one."""

from pathlib import Path

import httpx
import pytest
import trustme
from pydantic import ValidationError

from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim.transport.http_client import HTTPClientFactory
from llama_stack_provider_nvidia.nim.transport.network import NetworkConfig, ProxyConfig

SECRET = "s3cret-value"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("client@nim.invalid")
    made = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem", "text": "text.pem"}
    paths = {name: folder / file for name, file in made.items()}
    authority.cert_pem.write_to_path(str(paths["ca"]))
    issued.cert_chain_pems[0].write_to_path(str(paths["cert"]))
    issued.private_key_pem.write_to_path(str(paths["key"]))
    paths["text"].write_text("nothing of the kind")
    return {name: str(path) for name, path in paths.items()}


# What the OGX and Llama Stack 0.5 built-ins take, and what they give.
BUILTIN_BLOCK = {
    "tls": {"verify": True, "min_version": "TLSv1.3", "ciphers": ["ECDHE+AESGCM"]},
    "proxy": {"https": "http://proxy:3128", "no_proxy": ["localhost", ".internal"]},
    "timeout": {"connect": 2, "read": 30.5},
    "headers": {"X-Team": "search"},
    "limits": {"max_connections": 5, "max_keepalive_connections": 2, "keepalive_expiry": 1.5},
}


def test_the_built_ins_block_is_taken_as_it_stands() -> None:
    network = NVIDIAConfig(network=BUILTIN_BLOCK).network
    assert network.timeouts(600, 10) == (30.5, 2)
    assert network.limits.max_connections == 5
    assert HTTPClientFactory(network).headers == {"X-Team": "search"}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({}, (600, 10)),
        ({"timeout": 7}, (7, 7)),
        ({"timeout": {"read": 7}}, (7, 10)),
        ({"timeout": {"connect": 7}}, (600, 7)),
        (None, (600, 10)),
    ],
)
def test_time_limits(network: object, expected: tuple[float, float]) -> None:
    assert NVIDIAConfig(network=network).network.timeouts(600, 10) == expected


@pytest.mark.parametrize(
    ("network", "named", "said"),
    [
        ({"tls": {"verify": "/no/such/file"}}, "network.tls.verify", "there is no file"),
        ({"tls": {"client_cert": "/no"}}, "network.tls.client_cert", "there is no file"),
        ({"tls": {"ciphers": ["NONSENSE"]}}, "network.tls", "ciphers: "),
        ({"tls": {"min_version": "SSLv3"}}, "network.tls.min_version", "TLSv1.2"),
        ({"tls": {"verfy": True}}, "network.tls.verfy", "not permitted"),
        ({"proxy": {"url": "proxy:1"}}, "network.proxy.url", "not the address of a proxy"),
        ({"proxy": {"url": "http://a", "http": "http://b"}}, "network.proxy", "leave out"),
        ({"headers": {"Authorization": SECRET}}, "network.headers", "set api_key instead"),
        ({"headers": {"X A": SECRET}}, "network.headers", "not a header's name"),
        ({"headers": {"X-A": SECRET + "\n"}}, "network.headers", "cannot be sent"),
        ({"timeout": 0}, "network.timeout", "more than 0"),
        ({"timeout": {"read": -1}}, "network.timeout", "greater than 0"),
        ({"limits": {"max_connections": 0}}, "network.limits.max_connections", "greater than"),
        ({"retries": 1}, "network.retries", "not permitted"),
    ],
)
def test_what_cannot_be_used_is_named(network: object, named: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NVIDIAConfig(network=network)
    assert f"\n{named}" in str(caught.value)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_files_that_are_none_are_refused(files: dict[str, str]) -> None:
    cases = [
        ({"verify": files["text"]}, "verify: not a file of CA certificates"),
        ({"client_cert": files["cert"]}, "go together"),
        ({"client_cert": files["cert"], "client_key": files["text"]}, "unencrypted key"),
    ]
    for tls, said in cases:
        with pytest.raises(ValidationError, match=said):
            NetworkConfig(tls=tls)


@pytest.mark.parametrize(("given", "kept"), [("true", True), ("False", False), (False, False)])
def test_verify_may_come_from_the_environment(given: object, kept: bool) -> None:
    assert NetworkConfig(tls={"verify": given}).tls.verify is kept


def test_verify_takes_a_path_below_the_home(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path(files["ca"]).parent))
    assert NetworkConfig(tls={"verify": "~/ca.pem"}).tls.verify == Path(files["ca"])


def test_secrets_do_not_show() -> None:
    network = NetworkConfig(
        headers={"X-Token": SECRET}, proxy={"url": f"http://user:{SECRET}@proxy:1"}
    )
    assert SECRET not in f"{network} {network!r} {network.model_dump_json()}"


@pytest.mark.parametrize(
    ("address", "proxied"),
    [
        ("http://nim", True),
        ("https://nim", True),
        ("http://localhost:8000", False),
        ("https://a.internal", False),
        ("https://internal", True),
        ("http://nim:9000", False),
    ],
)
def test_which_addresses_go_through_the_proxy(address: str, proxied: bool) -> None:
    proxy = ProxyConfig(url="http://proxy:1", no_proxy=["localhost", ".internal", "nim:9000"])
    client = HTTPClientFactory(NetworkConfig(proxy=proxy)).make(httpx.Timeout(1))
    chosen = client._transport_for_url(httpx.URL(address))
    assert (chosen is not client._transport) is proxied


def test_http2_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NetworkConfig(http2=True).http2
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"llama-stack-provider-nvidia\[http2\]"):
        NetworkConfig(http2=True)
