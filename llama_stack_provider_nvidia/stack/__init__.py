"""Access to the installed Llama Stack or OGX: ``stack.X`` is the release's own ``X``."""

from typing import TYPE_CHECKING, Any

from . import imports
from .errors import tie_errors
from .imports import MissingNameError, protocol_base, provider_data_base, with_protocol_signature
from .registration import (
    ModelStore,
    RegisteredModel,
    in_request,
    provider_spec,
    registered_model,
    run_config_keys,
)
from .responses import (
    anthropic_converters,
    count_tokens,
    model,
    response_with_reasoning,
    storable,
    with_reasoning,
)
from .tracebacks import leave_out_tracebacks

if TYPE_CHECKING:
    from .imports import ANTHROPIC, KINDS, NATIVE, REASONING

__all__ = [
    "ANTHROPIC",
    "KINDS",
    "NATIVE",
    "REASONING",
    "MissingNameError",
    "ModelStore",
    "RegisteredModel",
    "anthropic_converters",
    "count_tokens",
    "imports",
    "in_request",
    "leave_out_tracebacks",
    "model",
    "protocol_base",
    "provider_data_base",
    "provider_spec",
    "registered_model",
    "response_with_reasoning",
    "run_config_keys",
    "storable",
    "tie_errors",
    "with_protocol_signature",
    "with_reasoning",
]


def __getattr__(name: str) -> Any:
    """Look up a name of the stack when it is first used, and keep it."""
    value = getattr(imports, name)
    globals()[name] = value
    return value
