"""Names and values of OpenTelemetry's semantic conventions for generative AI, release 1.44.

The conventions know neither NVIDIA as a provider nor reranking as an operation: these two values
are the project's own, as the conventions allow.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from ..transport.request_record import Operation, Outcome, RequestRecord

Value = str | int | float | bool

SCOPE = "llama_stack_provider_nvidia"
"""The instrumentation scope of all spans and metrics."""

PROVIDER = "nvidia"

_OPERATIONS = {Operation.COMPLETION: "text_completion"}
_PORTS = {"http": 80, "https": 443}


def operation_name(record: RequestRecord) -> str:
    """Return the operation as the conventions call it."""
    return _OPERATIONS.get(record.operation, str(record.operation))


def request_attributes(record: RequestRecord) -> dict[str, Value]:
    """Return the attributes that spans and metrics share and that the request alone sets."""
    host, port = _address(record.endpoint)
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": operation_name(record),
        "gen_ai.provider.name": PROVIDER,
        "server.address": host,
        "server.port": port,
    }
    if record.model is not None:
        attributes["gen_ai.request.model"] = record.model
    return attributes


def response_attributes(record: RequestRecord) -> dict[str, Value]:
    """Return the attributes that spans and metrics share and that the response adds."""
    attributes: dict[str, Value] = {}
    if record.response_model is not None:
        attributes["gen_ai.response.model"] = record.response_model
    if record.outcome is Outcome.FAILED:
        attributes["error.type"] = record.error or "_OTHER"
    elif record.outcome is Outcome.LEFT:
        attributes["error.type"] = "cancelled"
    return attributes


@lru_cache(maxsize=64)
def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
