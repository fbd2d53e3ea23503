"""The settings under ``config:`` in run.yaml, and those of a request's provider data."""

import os
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from ..nim.requests.thinking import parse_reasoning_setting
from ..nim.transport.network import NetworkConfig
from .endpoint import BaseEndpointConfig, EndpointConfig, origin
from .ignored_keys import drop_ignored_keys
from .model_overrides import ModelOverrideConfig
from .unknown_keys import with_suggestions

HOSTED_URL = "https://integrate.api.nvidia.com/v1"


class NVIDIAProviderDataValidator(BaseModel):
    """Per-request settings, sent as JSON in the provider-data header.

    Every field is optional: Llama Stack validates this for each request, also for those that
    bring no header. There is no URL here on purpose: request data must never choose the host
    that a server's key is sent to.

    A key that cannot be used still validates, because the stack treats data that does not as
    none at all, and the server's own key would be used in its place.
    ``endpoint.usable_key`` validates it.
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


class NVIDIAConfig(BaseEndpointConfig):
    """Configuration of the NVIDIA NIM inference provider.

    Every key of the built-in ``remote::nvidia`` providers is accepted, from
    Llama Stack 0.2.12 to OGX 1.x, so an existing run.yaml needs no other change
    than the line that names this package. ``guardrails_service_url`` and ``config_id``, which
    the NVIDIA distribution's run-with-safety.yaml gives an inference provider, are ignored with
    a warning. Any other unknown key is an error that names it.

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
        description="Key for the hosted catalogue (`nvapi-...`), or for a gateway in front of "
        "your own NIM. Your own NIM needs none. Default: NVIDIA_API_KEY.",
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
        description="Seconds until the first event of a stream, all attempts included.",
    )
    token_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds between two events of a stream. Unlike `timeout`, it is not reset by "
        "the comments that some proxies send.",
    )
    total_timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for the complete response, streaming or not, all attempts included.",
    )
    max_retries: int = Field(
        default=2,
        ge=0,
        description="How often a request is retried if the NIM cannot be reached or is "
        "overloaded, before any of its response has arrived.",
    )
    retry_timeout: float = Field(
        default=60,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after which a request is not retried. If the NIM asks for a longer "
        "wait (Retry-After), the request fails at once.",
    )
    max_concurrent_requests: int | None = Field(
        default=None,
        ge=1,
        description="Most inference requests to each NIM at the same time. The others wait in "
        "a queue per key, and the keys take turns.",
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="Most inference requests to each NIM within 60 seconds, retries included; the "
        "others wait as above.",
    )
    thinking: Literal["on", "off"] | int | None = Field(
        default=None,
        description="Switches reasoning: `on`, `off`, or a budget in tokens, in each model's own "
        "way. For a model that has no such switch it is an error. Unset, the model decides.",
    )
    reasoning: Literal["drop", "inline", "text"] = Field(
        default="drop",
        description="What happens to reasoning in native responses, which have no field for it: "
        "it is dropped, kept as `<think>...</think>`, or kept as text before the content. "
        "OpenAI-style responses always have it, see docs/reasoning.md.",
    )
    coalesce: bool = Field(
        default=True,
        description="Merge the chunks that the NIM has sent since the last read into one event of "
        "a stream, so that a slow server keeps up with a fast NIM. Nothing is lost, and the first "
        "tokens are not delayed. A stream faster than 250 events per second has one each 4 ms.",
    )
    recover_tool_calls: bool = Field(
        default=False,
        description="Find tool calls that Llama and Nemotron models write into the text if their "
        "server has no tool-call parser.",
    )
    structured_output: Literal["enforce", "validate"] = Field(
        default="enforce",
        description="`enforce`: a request with a schema, regex or choice that the NIM cannot "
        "enforce is refused. `validate`: it is sent, and each constrained response of any NIM is "
        "validated; one that does not match is an error.",
    )
    download_images: bool = Field(
        default=False,
        description="Let this server fetch images that are given by URL, for a NIM without "
        "internet access. Private addresses are refused.",
    )
    batch_concurrency: int = Field(
        default=8,
        ge=1,
        description="Most concurrent requests of one call, if the call is a batch or has more "
        "texts or items than fit into one request.",
    )
    allowed_models: list[str] | None = Field(
        default=None,
        description="NIM model ids to offer. Unset means all that the NIM lists.",
    )
    refresh_models: bool = Field(
        default=False, description="Read the NIM's model list again at each registry refresh."
    )
    model_validation: bool = Field(
        default=True,
        description="Refuse to register a model that no NIM lists. Such a model in run.yaml only "
        "causes a warning.",
    )
    model_overrides: dict[str, ModelOverrideConfig] = Field(
        default_factory=dict,
        description="What is known of models, corrected: a block per model id, or per pattern of "
        "ids such as `meta/llama-3.2-*`. See below.",
    )
    rerank_model_to_url: dict[str, str] = Field(
        default_factory=dict,
        description="Full URL per rerank model, for models not served at `url`. The end of its "
        "path, /ranking, /reranking or /rerank, decides the request's form. With an address "
        "alone, /v1/ranking and then /v1/rerank are attempted.",
    )
    rerank_truncate: Literal["NONE", "END"] | None = Field(
        default=None,
        description="Items that are too long are an error (`NONE`) or truncated at the end. Unset, "
        "the NIM decides.",
    )
    rerank_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Most items in one request to a NIM. Default: what the model takes, else 512.",
    )
    embedding_input_type: Literal["query", "passage"] | None = Field(
        default=None,
        description="Input type of requests that do not set one: see docs/embeddings.md. Unset "
        "means `passage` for models that require an input type, and none for others.",
    )
    embedding_truncate: Literal["NONE", "START", "END"] | None = Field(
        default=None,
        description="Texts that are too long are an error (`NONE`) or truncated at that end, "
        "unless the request sets it. Unset, the NIM decides.",
    )
    embedding_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Most inputs in one request to a NIM; more are sent in batches. Default: 256.",
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
    def _parse_thinking(cls, value: object) -> object:
        return parse_reasoning_setting(value)

    @field_validator("network", mode="before")
    @classmethod
    def _default_network(cls, value: object) -> object:
        return {} if value is None else value

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_known_keys(
        cls, values: Any, handler: ModelWrapValidatorHandler["NVIDIAConfig"]
    ) -> "NVIDIAConfig":
        try:
            return handler(drop_ignored_keys(values))
        except ValidationError as error:
            raise with_suggestions(error, cls) from None

    @model_validator(mode="after")
    def _has_distinct_names(self) -> "NVIDIAConfig":
        names = [one.name or one.api_url for one in self.endpoint_configs()]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(
                f"endpoints: {double} is there twice. Replicas of one NIM belong behind one "
                "address; give different NIMs different names"
            )
        return self

    def endpoint_configs(self) -> list[EndpointConfig]:
        """Return the configuration of each endpoint, with what it inherits from the provider.

        The first is `url`, unless `endpoints` are given without it.
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
        """Return the ``config:`` block that Llama Stack's distribution templates write."""
        return {
            "url": "${env.NVIDIA_BASE_URL:=" + HOSTED_URL + "}",
            "api_key": "${env.NVIDIA_API_KEY:=}",
        }
