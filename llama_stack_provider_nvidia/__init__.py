"""NVIDIA NIM inference provider for Llama Stack."""

from typing import Any

__version__ = "0.1.0"


async def get_adapter_impl(config: Any, deps: dict[Any, Any]) -> Any:
    """Make the provider: Llama Stack's entry point for a remote provider.

    Args:
        config: The ``NVIDIAConfig`` made from the run.yaml entry.
        deps: The stack's other APIs; of these, telemetry matters where there is any.

    Returns:
        An initialized ``NVIDIAInferenceAdapter``.
    """
    # Imported here, so that the command line works where no stack is installed.
    from .adapter import NVIDIAInferenceAdapter
    from .token_counts import counter

    adapter = NVIDIAInferenceAdapter(config)
    adapter.counts_tokens = counter(deps)
    await adapter.initialize()
    return adapter
