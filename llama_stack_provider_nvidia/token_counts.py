"""Whether the stack counts the tokens of streamed chats, which it reads off their last chunk."""

from collections.abc import Callable, Mapping
from typing import Any

from . import stack


def declared(spec: Any) -> Any:
    """Have the stack hand its telemetry to the provider, where it knows of any.

    Args:
        spec: The provider's spec; changed in place.
    """
    if stack.TELEMETRY is not None:
        spec.optional_api_dependencies = [stack.TELEMETRY]
    return spec


def counter(deps: Mapping[Any, Any]) -> Callable[[], bool]:
    """Make what tells for a request whether its tokens are counted.

    Up to 0.2.24 the server counts them when run.yaml names a telemetry provider. 0.3 would fail
    on a count in the last chunk, and 0.4 to 0.6 look for none. From 0.7 on OpenTelemetry
    measures, and counts when it records the request.

    Args:
        deps: The other APIs that the stack handed over.
    """
    if stack.TELEMETRY is not None:
        has_any = stack.TELEMETRY in deps
        return lambda: has_any
    if not stack.MEASURES:
        return lambda: False
    from opentelemetry import trace

    return lambda: trace.get_current_span().is_recording()
