"""Detection of the stack's token usage recording in streamed chats."""

from collections.abc import Callable, Mapping
from typing import Any

from . import imports


def telemetry_api() -> Any | None:
    """Return the stack's API that records token usage up to 0.2.24, None in later releases."""
    return getattr(imports.find("Api"), "telemetry", None) if imports.NATIVE else None


def has_usage_metrics() -> bool:
    """Return whether OpenTelemetry records token usage, as from 0.7 on."""
    modules = (f"{home}.telemetry.inference_metrics" for home in ("ogx", "llama_stack"))
    return imports.find_module(*modules) is not None


def add_telemetry_dependency(spec: Any) -> Any:
    """Have the stack hand its telemetry to the provider, where there is any.

    Args:
        spec: The provider's spec; changed in place.
    """
    if (api := telemetry_api()) is not None:
        spec.optional_api_dependencies = [api]
    return spec


def token_usage_recorded(deps: Mapping[Any, object]) -> Callable[[], bool]:
    """Return a function that returns whether the current request's token usage is recorded.

    Up to 0.2.24 the server records it when run.yaml names a telemetry provider. 0.3 would fail
    on usage in the last chunk, and 0.4 to 0.6 look for none. From 0.7 on OpenTelemetry
    measures, and records it with the request's span.

    Args:
        deps: The other APIs that the stack handed over.
    """
    if (api := telemetry_api()) is not None:
        has_telemetry = api in deps
        return lambda: has_telemetry
    if not has_usage_metrics():
        return lambda: False
    from opentelemetry import trace

    return lambda: trace.get_current_span().is_recording()
