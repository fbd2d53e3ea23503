"""Connection settings of one endpoint; the provider's own settings include them."""

from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from ..nim.dialect import DialectSetting
from ..nim.transport.network import NetworkConfig

MAX_KEY_LENGTH = 8192


class BaseEndpointConfig(BaseModel):
    """URL, API key and dialect of a NIM.

    Raises:
        pydantic.ValidationError: A value is not usable; the text names the key.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True, hide_input_in_errors=True)

    url: str = Field(default="", description="Address of the NIM, with or without a trailing /v1.")
    base_url: str | None = Field(
        default=None,
        description="The same as `url`, under the name that Llama Stack 0.4 and later use.",
    )
    api_key: SecretStr | None = Field(default=None, description="Key for the address.")
    auth_credential: SecretStr | None = Field(
        default=None,
        description="The same as `api_key`, under the name Llama Stack 0.3 and later use inside.",
    )
    append_api_version: bool = Field(
        default=True,
        description="Append /v1 to the address when it does not end with it. Turn it off for a "
        "gateway that serves the API under another path.",
    )
    dialect: DialectSetting = Field(
        default="auto",
        description="Kind of NIM: decides where request fields go that OpenAI's API does not "
        "have. `auto` detects it; set it for a gateway that hides the NIM behind it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _unset_what_is_empty(cls, values: Any) -> Any:
        """Treat an empty string as unset: it is what an unset ``${env.X:=}`` becomes."""
        if not isinstance(values, dict):
            return values
        kept = {key: value for key, value in values.items() if value not in ("", None)}
        if "base_url" in kept:
            kept.setdefault("url", kept["base_url"])
        return kept

    @field_validator("base_url", "url", mode="before")
    @classmethod
    def _is_url(cls, value: object) -> str | None:
        if value is None:
            return None
        text = str(value).strip()
        if not text.lower().startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        if not text.isprintable() or " " in text:
            raise ValueError("holds white space")
        parts = urlsplit(text)  # raises a ValueError of its own for brackets that do not match
        if not parts.hostname or parts.port == 0:  # as does an impossible port
            raise ValueError("names no host")
        if parts.username is not None:
            raise ValueError("must not hold a user name or password: they would show in errors")
        if parts.query or parts.fragment:
            raise ValueError("must not hold a query or fragment: paths are appended to it")
        try:
            httpx.URL(text).host  # noqa: B018 (it is decoded when it is asked for)
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError("names a host that cannot be one") from None
        return text

    @field_validator("api_key", "auth_credential")
    @classmethod
    def _usable_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = usable_key(value.get_secret_value()) if value else None
        return SecretStr(key) if key else None

    @model_validator(mode="after")
    def _one_name_each(self) -> "BaseEndpointConfig":
        if self.base_url is not None and _bare(self.url) != _bare(self.base_url):
            raise ValueError("`url` and `base_url` name different addresses; keep one of them")
        if self.auth_credential is not None:
            if "api_key" in self.model_fields_set and self.api_key != self.auth_credential:
                raise ValueError("`api_key` and `auth_credential` differ; keep one of them")
            self.api_key = self.auth_credential
        return self

    @property
    def api_url(self) -> str:
        """The URL that request paths are appended to, without a trailing slash."""
        address = self.url.rstrip("/")
        if self.append_api_version and not address.endswith("/v1"):
            address += "/v1"
        return address

    @property
    def key(self) -> str | None:
        """The API key as text."""
        return Key(self.api_key.get_secret_value()) if self.api_key else None


class EndpointConfig(BaseEndpointConfig):
    """One of several NIMs behind the provider."""

    name: str | None = Field(
        default=None, description="Its name in health reports and logs. Default: its address."
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Key for this address. The provider's own `api_key` is used only where the "
        "address has the same scheme, host and port as its `url`.",
    )
    network: NetworkConfig | None = Field(
        default=None, description="Replaces the provider's `network` as a whole."
    )
    models: list[str] | None = Field(
        default=None,
        description="Ids of the models to use of this NIM; others that it lists are not "
        "offered. Unset means all that it lists.",
    )


class Key(str):
    """An API key whose ``repr`` is redacted, as tracebacks show the values of variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def usable_key(key: str) -> Key | None:
    """Return a key as it can be sent, None for an empty one.

    Raises:
        ValueError: It cannot be sent in a header. The text never holds the key.
    """
    text = key.strip()
    if not text:
        return None
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(
            "holds characters that cannot be sent in a header: give the key alone, without spaces"
        )
    if len(text) > MAX_KEY_LENGTH:
        raise ValueError(f"is longer than {MAX_KEY_LENGTH} characters")
    return Key(text)


def origin(address: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _bare(address: str) -> str:
    return address.rstrip("/").removesuffix("/v1")
