"""NVIDIA NIM inference provider for Llama Stack."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .adapter import NVIDIAInferenceAdapter
    from .config import NVIDIAConfig

__all__ = ["__version__", "get_adapter_impl"]


async def get_adapter_impl(
    config: "NVIDIAConfig", deps: Mapping[Any, object]
) -> "NVIDIAInferenceAdapter":
    """Return the provider: Llama Stack's entry point for a remote provider.

    Args:
        config: Made from the run.yaml entry.
        deps: The stack's other APIs; of these, telemetry matters where there is any.

    Returns:
        The initialized provider.
    """
    # Imported here, so that the command line works where no stack is installed.
    from .adapter import NVIDIAInferenceAdapter
    from .stack.token_counting import token_usage_recorded

    adapter = NVIDIAInferenceAdapter(config)
    adapter.counts_tokens = token_usage_recorded(deps)
    await adapter.initialize()
    return adapter
