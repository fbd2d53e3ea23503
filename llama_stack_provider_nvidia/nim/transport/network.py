"""The ``network:`` settings of run.yaml: TLS, proxy, timeouts, headers, pool.

The keys under ``network:`` are those that the built-in providers of Llama Stack 0.5 and OGX
take, so that such a block goes on working; what they lack (HTTP/2, a proxy's exceptions that
really count) is added.
"""

import importlib.util
import os
import re
import ssl
from pathlib import Path
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# These are made anew for each request; a fixed one would break it or stand in for a tenant's key.
_NOT_FIXED = {
    "authorization": "set api_key instead, which a request's own key can take the place of",
    "content-length": "it belongs to each request",
    "content-type": "it belongs to each request",
    "transfer-encoding": "it belongs to each request",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _file(value: object) -> Path:
    """Return the path of a file that exists."""
    path = Path(str(value)).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


class TLSConfig(_Strict):
    """How a NIM's certificate is checked, and which certificate is shown to it."""

    verify: bool | Path = Field(
        default=True,
        description="Verify the NIM's certificate: true, or the path of a file with the CA "
        "certificates to trust. false turns verification off, and with it the protection.",
    )
    min_version: Literal["TLSv1.2", "TLSv1.3"] | None = Field(
        default=None, description="Oldest version of TLS to use."
    )
    ciphers: list[str] | None = Field(
        default=None, description="Cipher suites to allow for TLS 1.2, by OpenSSL's names."
    )
    client_cert: Path | None = Field(
        default=None,
        description="PEM file of a client certificate (mutual TLS). It may be renewed "
        "at any time: files of `tls` are read again when they change.",
    )
    client_key: Path | None = Field(
        default=None, description="PEM file of the key of `client_cert`."
    )

    @field_validator("verify", mode="before")
    @classmethod
    def _flag_or_file(cls, value: object) -> object:
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        return value if isinstance(value, bool) else _file(value)

    @field_validator("client_cert", "client_key", mode="before")
    @classmethod
    def _existing(cls, value: object) -> object:
        return None if value in (None, "") else _file(value)

    @model_validator(mode="after")
    def _pair(self) -> "TLSConfig":
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("client_cert and client_key go together: set both or none")
        if self.model_fields_set:
            self.context()  # what cannot be used is found here, not while connecting
        return self

    @property
    def files(self) -> list[Path]:
        """The files that the context is made of."""
        found = [self.verify, self.client_cert, self.client_key]
        if self.verify is True:
            found.append(Path(os.environ.get("SSL_CERT_FILE", "")))
        return [path for path in found if isinstance(path, Path) and path.is_file()]

    def context(self, extra_ca: Path | None = None) -> ssl.SSLContext:
        """Return the context for connections.

        Args:
            extra_ca: A further file of CA certificates to trust.

        Raises:
            ValueError: A file or a cipher cannot be used; the text names the key.
        """
        # httpx's own: it honours SSL_CERT_FILE and SSL_CERT_DIR, else brings certifi's list.
        context = httpx.create_ssl_context(verify=self.verify is not False)
        try:
            if isinstance(self.verify, Path):
                context = ssl.create_default_context(cafile=self.verify)
            if extra_ca is not None and self.verify is not False:
                context.load_verify_locations(extra_ca)
        except (ssl.SSLError, OSError) as error:
            raise ValueError(f"verify: not a file of CA certificates: {error}") from None
        if self.min_version is not None:
            name = self.min_version.replace(".", "_")
            context.minimum_version = ssl.TLSVersion[name]
        try:
            if self.ciphers is not None:
                context.set_ciphers(":".join(self.ciphers))
        except ssl.SSLError as error:
            raise ValueError(f"ciphers: {error}") from None
        if self.client_cert is not None:
            try:
                # An encrypted key would ask for its password on the terminal.
                context.load_cert_chain(self.client_cert, self.client_key, password="")
            except (ssl.SSLError, OSError) as error:
                raise ValueError(
                    f"client_cert, client_key: not a certificate with its unencrypted key: {error}"
                ) from None
        return context


class ProxyConfig(_Strict):
    """The proxy to go through. Without it the usual environment variables count."""

    url: SecretStr | None = Field(default=None, description="Proxy for all connections.")
    http: SecretStr | None = Field(default=None, description="Proxy for http:// addresses.")
    https: SecretStr | None = Field(default=None, description="Proxy for https:// addresses.")
    cacert: Path | None = Field(
        default=None,
        description="File of CA certificates to trust besides `tls.verify`, for a proxy that "
        "terminates TLS.",
    )
    no_proxy: list[str] | None = Field(
        default=None,
        description="Hosts to reach directly: `host`, `.domain`, or `host:port`.",
    )

    @field_validator("url", "http", "https")
    @classmethod
    def _is_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                httpx.Proxy(value.get_secret_value())
            except (ValueError, httpx.InvalidURL) as error:
                raise ValueError(f"not the address of a proxy: {type(error).__name__}") from None
        return value

    @field_validator("cacert", mode="before")
    @classmethod
    def _existing(cls, value: object) -> object:
        return None if value in (None, "") else _file(value)

    @model_validator(mode="after")
    def _one_way(self) -> "ProxyConfig":
        if self.url and (self.http or self.https):
            raise ValueError("url is for all connections: leave out http and https, or url")
        return self

    def by_pattern(self) -> dict[str, str | None]:
        """Return httpx's patterns of addresses with their proxies; None means none."""
        proxies = {"http://": self.http or self.url, "https://": self.https or self.url}
        made: dict[str, str | None] = {
            pattern: proxy.get_secret_value() for pattern, proxy in proxies.items() if proxy
        }
        for host in self.no_proxy or ():
            made[f"all://*{host}" if host.startswith(".") else f"all://{host}"] = None
        return made


class TimeoutConfig(_Strict):
    """Time limits of a connection, in seconds."""

    connect: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Replaces `connect_timeout`."
    )
    read: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Replaces `timeout`."
    )


class LimitsConfig(_Strict):
    """How many connections one key may have to one NIM."""

    max_connections: int | None = Field(
        default=1000, ge=1, description="Most open connections. Further requests wait."
    )
    max_keepalive_connections: int | None = Field(
        default=100,
        ge=0,
        description="Most connections to keep for reuse. A request beyond so many at a time closes "
        "its connection at the end.",
    )
    keepalive_expiry: float | None = Field(
        default=4,
        ge=0,
        description="Seconds that an idle connection is kept open. NIMs close theirs after 5.",
    )


class NetworkConfig(_Strict):
    """How a NIM is reached."""

    tls: TLSConfig = Field(default_factory=TLSConfig, description="Certificates.")
    proxy: ProxyConfig | None = Field(default=None, description="Proxy to use.")
    timeout: float | TimeoutConfig | None = Field(
        default=None,
        description="Seconds, for connecting and for reading, or a block with `connect` and "
        "`read`. Overrides `timeout` and `connect_timeout`.",
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Headers to add to each request, for a gateway. Not for the key.",
    )
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="Connection pool.")
    http2: bool = Field(
        default=False,
        description="Use HTTP/2 if the NIM supports it over TLS. Needs the extra `http2`.",
    )

    @field_validator("tls", "limits", "headers", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("timeout")
    @classmethod
    def _positive(cls, value: object) -> object:
        if isinstance(value, float) and not 0 < value < float("inf"):
            raise ValueError("must be more than 0 and not infinite")
        return value

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a header's name")
            if reason := _NOT_FIXED.get(name.lower()):
                raise ValueError(f"{name} cannot be set here: {reason}")
            text = value.get_secret_value()
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"{name} holds characters that cannot be sent")
        return headers

    @field_validator("http2")
    @classmethod
    def _installed(cls, value: bool) -> bool:
        if value and importlib.util.find_spec("h2") is None:
            raise ValueError("needs: pip install 'llama-stack-provider-nvidia[http2]'")
        return value

    def timeouts(self, read: float, connect: float) -> tuple[float, float]:
        """Return the seconds for reading and for connecting.

        Args:
            read: The default for reading.
            connect: The default for connecting.
        """
        if isinstance(self.timeout, TimeoutConfig):
            return self.timeout.read or read, self.timeout.connect or connect
        return (read, connect) if self.timeout is None else (self.timeout, self.timeout)
