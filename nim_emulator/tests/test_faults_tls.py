"""The emulator with TLS: each kind of certificate, as a client sees it."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from nim_emulator import FAULTS, TLS, EmulatorServer
from raw_http import CHAT


def get(nim: EmulatorServer, context: ssl.SSLContext) -> int:
    with httpx.Client(verify=context, trust_env=False) as http:
        return http.post(f"{nim.url}/v1/chat/completions", json=CHAT).status_code


def trusting(nim: EmulatorServer) -> ssl.SSLContext:
    assert nim.certificates is not None
    return ssl.create_default_context(cafile=nim.certificates.ca_file)


def test_good() -> None:
    with EmulatorServer(tls="good") as nim:
        assert nim.url.startswith("https://127.0.0.1:")
        assert get(nim, trusting(nim)) == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            get(nim, ssl.create_default_context())
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(nim.url.replace("https", "http"), trust_env=False)
        assert nim.certificates is not None
        folder = Path(nim.certificates.ca_file).parent
        assert folder.exists()
    assert nim.certificates is None
    assert not folder.exists()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("wrong-host", "IP address mismatch"),
        ("expired", "certificate has expired"),
        ("unknown-ca", "unable to get local issuer|certificate signature failure"),
    ],
)
def test_bad(kind: TLS, text: str) -> None:
    with EmulatorServer(tls=kind) as nim:
        with pytest.raises(httpx.ConnectError, match=text):
            get(nim, trusting(nim))
        assert nim.requests == []
        unchecked = ssl.create_default_context()
        unchecked.check_hostname = False
        unchecked.verify_mode = ssl.CERT_NONE
        assert get(nim, unchecked) == 200


def test_client_certificate() -> None:
    with EmulatorServer(tls="client-certificate") as nim:
        context = trusting(nim)
        # The refusal comes after the client's side of the handshake is done.
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            get(nim, context)
        assert nim.certificates is not None
        context.load_cert_chain(nim.certificates.client_file)
        assert get(nim, context) == 200


@pytest.mark.parametrize("fault", ["reset", "cut:how=reset,after=1", "cut:how=chunk", "hang-up"])
def test_faults_under_tls(fault: str) -> None:
    with EmulatorServer(tls="good") as nim:
        nim.faults([fault])
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            get(nim, trusting(nim))
        assert get(nim, trusting(nim)) == 200


def test_the_kinds_are_those_of_the_table() -> None:
    assert FAULTS["tls"].parameters.model_fields["certificate"].annotation == TLS
    assert set(get_args(TLS)) == {
        "good",
        "wrong-host",
        "expired",
        "unknown-ca",
        "client-certificate",
    }


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "trustme", missing)
    with pytest.raises(RuntimeError, match="pip install trustme"):
        EmulatorServer(tls="good").start()


def test_a_name_that_cannot_be_resolved() -> None:
    assert ".invalid" in FAULTS["dns"].summary
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://nim.invalid/v1/models", trust_env=False)
