"""Fuzz target: the provider's settings from any YAML."""

import httpx
import openai
import yaml
from pydantic import ValidationError

from fuzz.source import Source
from llama_stack_provider_nvidia.config.endpoints import make_endpoints
from llama_stack_provider_nvidia.config.provider import (
    NVIDIAConfig,
    NVIDIAProviderDataValidator,
)

_KEYS = (
    *NVIDIAConfig.model_fields,
    "tls",
    "proxy",
    "headers",
    "limits",
    "name",
    "models",
    "verify",
)
_URLS = (
    "http://",
    "https://",
    "host",
    ":8000",
    "/v1",
    "[::1]",
    "[",
    "]",
    "é",
    "%",
    "..",
    "xn--",
    "\\",
    ":",
)
SEEDS = [
    b"\x00url: http://127.0.0.1:8000\napi_key: x\n",
    b"\x00endpoints: [{url: http://a, models: [m]}, {url: http://b}]\nnetwork: {http2: false}\n",
    b"\x00&a {url: *a}",
    bytes(range(1, 60)),
]
_SECRET = "nvapi-0123456789abcdef"  # noqa: S105 (no key of anybody's)


# One for all: to read the certificates takes longer than all else.
_HTTP = httpx.AsyncClient(trust_env=False)


def _clients(config: NVIDIAConfig) -> None:
    for endpoint in make_endpoints(config):
        client = openai.AsyncOpenAI(base_url=endpoint.url, api_key="k", http_client=_HTTP)
        assert str(client.base_url).startswith(("http://", "https://"))
        request = _HTTP.build_request("GET", str(client._prepare_url("/models")))
        assert request.url.host


def check(data: bytes) -> None:
    """Make a configuration, and clients of it."""
    source = Source(data)
    if source.flag():
        url = "".join(source.pick(_URLS) for _ in range(source.below(7)))
        value = {"url": url, source.pick(_KEYS): source.json(_KEYS, _URLS), "api_key": _SECRET}
    else:
        try:
            value = yaml.safe_load(source.rest())
        except (yaml.YAMLError, ValueError, RecursionError, OverflowError):
            return
        except (AttributeError, TypeError, KeyError):  # PyYAML's own, for strange tags
            return
    try:
        config = NVIDIAConfig.model_validate(value)
    except ValidationError as error:
        said = str(error)
        if _SECRET in said:
            raise
    else:
        assert _SECRET not in f"{config!r}{config}{config.model_dump_json()}"
        _clients(config)
    try:
        NVIDIAProviderDataValidator.model_validate(value)
    except ValidationError:
        if isinstance(value, dict):
            raise
