"""What a user may write under ``config:`` in run.yaml, and per request in the provider data."""

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from .address import EndpointConfig, NIMAddress, origin
from .nim.requests.thinking import parse_setting
from .nim.transport.network import NetworkConfig

HOSTED_URL = "https://integrate.api.nvidia.com/v1"


class NVIDIAProviderDataValidator(BaseModel):
    """Per-request settings, sent as JSON in the provider-data header.

    Every field is optional: Llama Stack validates this for each request, also for those that
    bring no header. There is no URL here on purpose: request data must never choose the host
    that a server's key is sent to.

    A key that cannot be used still validates, because the stack treats data that does not as
    none at all, and the server's own key would be used in its place. ``address.usable_key``
    tells.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    nvidia_api_key: SecretStr | None = Field(
        default=None, description="API key for this request, in place of the server's own."
    )

    @field_validator("nvidia_api_key", mode="before")
    @classmethod
    def _never_dropped(cls, value: object) -> object:
        return value if value is None or isinstance(value, str | SecretStr) else "\0"


def _environment(name: str, default: Any) -> Any:
    """Read a variable as text, for pydantic to check under its field's name."""
    return os.environ.get(name) or default


class NVIDIAConfig(NIMAddress):
    """Configuration of the NVIDIA NIM inference provider.

    Every key of the built-in ``remote::nvidia`` providers is accepted, from
    Llama Stack 0.2.12 to OGX 1.x, so an existing run.yaml needs no other change
    than the line that names this package. An unknown key is an error that names it.

    Raises:
        pydantic.ValidationError: A value is not usable; the text names the key.
    """

    url: str = Field(
        default_factory=lambda: os.environ.get("NVIDIA_BASE_URL") or HOSTED_URL,
        description="Address of the NIM, with or without a trailing /v1. "
        "Default: NVIDIA_BASE_URL, else NVIDIA's hosted catalogue; with `endpoints`, none.",
    )
    api_key: SecretStr | None = Field(
        default_factory=lambda: SecretStr(os.environ.get("NVIDIA_API_KEY", "")),
        description="Key for the hosted catalogue (`nvapi-...`), or for a gateway in front of a "
        "NIM of your own. A NIM of your own needs none. Default: NVIDIA_API_KEY.",
    )
    append_api_version: bool = Field(
        default_factory=lambda: _environment("NVIDIA_APPEND_API_VERSION", True),
        description="Append /v1 to the address when it does not end with it. Turn it off for a "
        "gateway that serves the API under another path. Default: NVIDIA_APPEND_API_VERSION, "
        "else true.",
    )
    network: NetworkConfig = Field(
        default_factory=NetworkConfig,
        description="TLS, proxy, headers, time limits and pool limits; see below.",
    )
    endpoints: list[EndpointConfig] = Field(
        default_factory=list,
        description="Further NIMs behind this provider, see below. A request goes to the one that "
        "serves its model.",
    )
    timeout: float = Field(
        default_factory=lambda: _environment("NVIDIA_TIMEOUT", 600),
        gt=0,
        allow_inf_nan=False,
        description="Seconds to wait for the NIM to send the next bytes. "
        "Default: NVIDIA_TIMEOUT, else 600.",
    )
    connect_timeout: float = Field(
        default=10,
        gt=0,
        allow_inf_nan=False,
        description="Seconds to wait for a connection to the NIM.",
    )
    first_token_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a streamed answer may take to begin, all tries included.",
    )
    token_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a stream may pause between two events. Unlike `timeout` it is "
        "not put off by the comments that some proxies send.",
    )
    total_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a whole answer may take, streamed or not, all tries included.",
    )
    max_retries: int = Field(
        default=2,
        ge=0,
        description="How often a request is sent again when the NIM could not be reached or was "
        "overloaded, before any of its answer has arrived.",
    )
    retry_timeout: float = Field(
        default=60,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after which a request is not sent again. A NIM that asks to wait "
        "longer (Retry-After) is not waited for: the caller is told.",
    )
    max_concurrent_requests: int | None = Field(
        default=None,
        ge=1,
        description="How many requests for inference each NIM gets at the same time. The others "
        "wait, each key in a line of its own, and the lines take turns.",
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="How many requests for inference each NIM gets within 60 seconds; the others "
        "wait as above.",
    )
    thinking: Literal["on", "off"] | int | None = Field(
        default=None,
        description="Whether models think before they answer: `on`, `off`, or the most tokens to "
        "think. Each model is told in its own way; one that has no such switch is an error. "
        "Unset leaves it to the model.",
    )
    reasoning: Literal["drop", "inline", "text"] = Field(
        default="drop",
        description="What becomes of the thinking in native answers, which have no place for it: "
        "left out, kept as `<think>...</think>`, or kept as text before the answer. OpenAI-style "
        "answers have it in `reasoning_content`.",
    )
    coalesce: bool = Field(
        default=True,
        description="Join what the NIM has sent while nobody read it into one event of a stream. "
        "Nothing is lost, and the first tokens pass at once. A server slower than the NIM then "
        "keeps up with it; of a stream faster than 250 events a second it sends one each 4 ms.",
    )
    recover_tool_calls: bool = Field(
        default=False,
        description="Recognise tool calls that Llama and Nemotron models write into the text "
        "where their server has no tool parser.",
    )
    structured_output: Literal["enforce", "validate"] = Field(
        default="enforce",
        description="`enforce`: a NIM that cannot enforce a schema, regex or choice is not asked. "
        "`validate`: it is, and each such answer is checked here and refused if it does not fit.",
    )
    download_images: bool = Field(
        default=False,
        description="Fetch images that are given by address here, for a NIM without access to "
        "the internet. Private addresses are refused.",
    )
    batch_concurrency: int = Field(
        default=8,
        ge=1,
        description="How many requests of one call are under way at the same time, where the call "
        "is a batch, or has more texts or items than one request takes.",
    )
    allowed_models: list[str] | None = Field(
        default=None,
        description="NIM model ids to offer; unset means all that the NIM lists.",
    )
    refresh_models: bool = Field(
        default=False, description="Ask the NIM for its models again at each registry refresh."
    )
    model_validation: bool = Field(
        default=True,
        description="Refuse models that no NIM lists where a client registers them. In run.yaml "
        "they are only warned of.",
    )
    rerank_model_to_url: dict[str, str] = Field(
        default_factory=dict,
        description="Full URL per rerank model, for models not served at `url`: its path ends with "
        "/ranking, /reranking or /rerank, which tells how requests look. Of an address alone both "
        "/v1/ranking and /v1/rerank are tried.",
    )
    rerank_truncate: Literal["NONE", "END"] | None = Field(
        default=None,
        description="What becomes of items that are too long to be ranked: an error, or cut at "
        "the end. Unset leaves it to the NIM.",
    )
    rerank_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Most items in one request to a NIM. Default: what the model takes, else 512.",
    )
    embedding_input_type: Literal["query", "passage"] | None = Field(
        default=None,
        description="What inputs are taken for where nothing says it: see docs/embeddings.md. "
        "Unset means `passage` with models that want to know, and nothing with others.",
    )
    embedding_truncate: Literal["NONE", "START", "END"] | None = Field(
        default=None,
        description="What becomes of texts that are too long to be embedded, unless the request "
        "says so: an error, or cut at that end. Unset leaves it to the NIM.",
    )
    embedding_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Most inputs in one request to a NIM; more are sent as several. Default: 256.",
    )

    @field_validator("rerank_truncate", "embedding_truncate", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("rerank_model_to_url")
    @classmethod
    def _are_urls(cls, urls: dict[str, str]) -> dict[str, str]:
        return {model: str(cls._is_url(url)) for model, url in urls.items()}

    @field_validator("thinking", mode="before")
    @classmethod
    def _known_thinking(cls, value: object) -> object:
        return parse_setting(value)

    @field_validator("network", mode="before")
    @classmethod
    def _no_network(cls, value: object) -> object:
        return {} if value is None else value

    @model_validator(mode="after")
    def _told_apart(self) -> "NVIDIAConfig":
        names = [address.name or address.endpoint for address in self.addresses()]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(
                f"endpoints: {double} is there twice. Replicas of one NIM belong behind one "
                "address; give different NIMs different names"
            )
        return self

    def addresses(self) -> list[EndpointConfig]:
        """The NIMs: `url`, unless only `endpoints` are given, and then those.

        Each comes with what it takes over from the provider's own keys.
        """
        own = EndpointConfig(
            url=self.url,
            api_key=self.api_key,
            append_api_version=self.append_api_version,
            dialect=self.dialect,
            network=self.network,
        )
        made = [] if self.endpoints and "url" not in self.model_fields_set else [own]
        for endpoint in self.endpoints:
            update: dict[str, Any] = {"network": endpoint.network or self.network}
            if endpoint.api_key is None and origin(endpoint.url) == origin(self.url):
                update["api_key"] = self.api_key
            made.append(endpoint.model_copy(update=update))
        return made

    @classmethod
    def sample_run_config(cls, **_: Any) -> dict[str, Any]:
        """The ``config:`` block that Llama Stack's distribution templates write."""
        return {
            "url": "${env.NVIDIA_BASE_URL:=" + HOSTED_URL + "}",
            "api_key": "${env.NVIDIA_API_KEY:=}",
        }
