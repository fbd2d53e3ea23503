"""TLS certificates for tests, from an authority that lives as long as the server."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

TLS = Literal["good", "wrong-host", "expired", "unknown-ca", "client-certificate"]
"""Kinds of servers: a right certificate; one for another host; one that is no longer valid; one
from an authority other than the file says; one that wants a certificate of the client too."""


@dataclass(frozen=True)
class Certificates:
    """Files of a server with TLS, in PEM.

    Attributes:
        folder: Holds the files; removed by ``close``.
        ca_file: Certificate of the authority that clients are to trust.
        server_file: The server's certificate, its chain and its key.
        client_file: Certificate and key of a client, from the same authority.
        options: What uvicorn is configured with.
    """

    folder: tempfile.TemporaryDirectory[str]
    ca_file: str
    server_file: str
    client_file: str
    options: dict[str, Any]

    def close(self) -> None:
        """Remove the files."""
        self.folder.cleanup()


def make_certificates(kind: TLS, host: str) -> Certificates:
    """Make an authority, and the certificates of a server and a client.

    Args:
        kind: What is wrong with them.
        host: Name or address of the server.

    Raises:
        RuntimeError: The library ``trustme`` is not installed.
    """
    try:
        import trustme
    except ImportError:
        raise RuntimeError("tls needs trustme: pip install trustme") from None
    authority, other = trustme.CA(), trustme.CA()
    name = "other.invalid" if kind == "wrong-host" else host
    end = datetime.now(UTC) - timedelta(days=1) if kind == "expired" else None
    server = authority.issue_cert(name, not_after=end)
    client = authority.issue_cert("client@emulator.invalid")
    folder = tempfile.TemporaryDirectory(prefix="nim-emulator-")
    root = Path(folder.name)
    shown = other if kind == "unknown-ca" else authority
    shown.cert_pem.write_to_path(str(root / "ca.pem"))
    server.private_key_and_cert_chain_pem.write_to_path(str(root / "server.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(root / "client.pem"))
    options: dict[str, Any] = {"ssl_certfile": str(root / "server.pem")}
    if kind == "client-certificate":
        options |= {"ssl_ca_certs": str(root / "ca.pem"), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return Certificates(
        folder, str(root / "ca.pem"), str(root / "server.pem"), str(root / "client.pem"), options
    )
