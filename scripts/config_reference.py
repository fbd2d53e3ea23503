"""Write docs/configuration.md from the configuration: `python -m scripts.config_reference`."""

from __future__ import annotations

import typing
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from llama_stack_provider_nvidia.address import EndpointConfig
from llama_stack_provider_nvidia.config import NVIDIAConfig, NVIDIAProviderDataValidator
from llama_stack_provider_nvidia.nim.transport.network import (
    LimitsConfig,
    NetworkConfig,
    ProxyConfig,
    TimeoutConfig,
    TLSConfig,
)

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

HEAD = """\
# Configuration

These keys stand under `config:` of the provider's entry in run.yaml. An empty value counts as
unset, so `${env.SOMETHING:=}` is fine; an unknown key is an error that names it. The table is
written by `python -m scripts.config_reference` from `llama_stack_provider_nvidia/config.py`.

"""

NETWORK = """
## The road to a NIM

Below `network:`, for the provider or for one of its `endpoints`. The blocks are those that the
built-in providers of OGX and Llama Stack 0.5 and later take. Where it is left out, the proxies of
`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` count, and the certificates of `SSL_CERT_FILE`.

"""

ENDPOINTS = """
## Several NIMs

Below `endpoints:`, a list of these. See [Several NIMs](endpoints.md).

"""

PER_REQUEST = """
## Per request

A client sends these as a JSON object in the header `X-LlamaStack-Provider-Data`, or with
`provider_data=` of `LlamaStackClient`.

"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, table(NVIDIAConfig), NETWORK, table(NetworkConfig)]
    for name, block in _BLOCKS.items():
        parts += [f"\n### `{name}`\n\n{(block.__doc__ or '').strip()}\n\n", table(block)]
    parts += [ENDPOINTS, table(EndpointConfig)]
    return "".join([*parts, PER_REQUEST, table(NVIDIAProviderDataValidator)])


_BLOCKS: dict[str, type[BaseModel]] = {
    "tls": TLSConfig,
    "proxy": ProxyConfig,
    "timeout": TimeoutConfig,
    "limits": LimitsConfig,
}


def table(model: type[BaseModel]) -> str:
    """A Markdown table of a model's fields."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", type_name(field.annotation), default(field), field.description or "")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def type_name(kind: object) -> str:
    """A type as users write values of it in YAML."""
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(kind))
    members = [part for part in typing.get_args(kind) if part is not type(None)]
    if typing.get_origin(kind) is list:
        return f"list of {type_name(members[0])}"
    if typing.get_origin(kind) is dict:
        return f"{type_name(members[1])} per {type_name(members[0])}"
    if members:
        return " or ".join(type_name(part) for part in members)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "block"
    return _NAMES[kind]


_NAMES: dict[object, str] = {
    bool: "true or false",
    float: "number",
    int: "integer",
    Path: "path",
    SecretStr: "secret",
    str: "text",
}


def default(field: FieldInfo) -> str:
    """A default as a reader understands it."""
    if field.default_factory is not None and not field.is_required():
        if typing.get_origin(field.annotation) in (dict, list) or field.default_factory in _PARTS:
            return "none"
        return "see there"
    if field.default == "":
        return "needed"
    return "none" if field.default is None else f"`{str(field.default).lower()}`"


_PARTS = (NetworkConfig, TLSConfig, LimitsConfig)


if __name__ == "__main__":
    TARGET.write_text(reference())
