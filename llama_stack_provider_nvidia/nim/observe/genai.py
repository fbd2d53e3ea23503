"""Names and values of OpenTelemetry's semantic conventions for generative AI.

Those of the release 1.44 of the conventions. Of the providers that they name NVIDIA is none, nor
is reranking one of the operations: these two values are the project's own, as the conventions
allow.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from ..transport.exchange import Exchange, Operation, Outcome

Value = str | int | float | bool

SCOPE = "llama_stack_provider_nvidia"
"""The instrumentation scope of all spans and metrics."""

PROVIDER = "nvidia"

_OPERATIONS = {Operation.COMPLETION: "text_completion"}
_PORTS = {"http": 80, "https": 443}


def operation_name(exchange: Exchange) -> str:
    """Give the operation as the conventions call it."""
    return _OPERATIONS.get(exchange.operation, str(exchange.operation))


def known_before(exchange: Exchange) -> dict[str, Value]:
    """Give the attributes that spans and metrics have in common, as known before the answer."""
    host, port = _address(exchange.endpoint)
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": operation_name(exchange),
        "gen_ai.provider.name": PROVIDER,
        "server.address": host,
        "server.port": port,
    }
    if exchange.model is not None:
        attributes["gen_ai.request.model"] = exchange.model
    return attributes


def known_after(exchange: Exchange) -> dict[str, Value]:
    """Give what the answer adds to them."""
    attributes: dict[str, Value] = {}
    if exchange.answer_model is not None:
        attributes["gen_ai.response.model"] = exchange.answer_model
    if exchange.outcome is Outcome.FAILED:
        attributes["error.type"] = exchange.error or "_OTHER"
    elif exchange.outcome is Outcome.LEFT:
        attributes["error.type"] = "cancelled"
    return attributes


@lru_cache(maxsize=64)
def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def records(provider: object) -> bool:
    """Tell whether a tracer or meter provider records anything: those of the API itself do not."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )
