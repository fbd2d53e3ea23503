"""Registration by ``module:`` in run.yaml (Llama Stack 0.2.16 and later)."""

from typing import Any

from .stack import provider_spec
from .token_counts import declared

MODULE = "llama_stack_provider_nvidia"


def get_provider_spec() -> Any:
    """Describe this provider to the stack.

    Llama Stack imports ``<module>.provider`` and calls this function. The spec
    takes the place of the built-in ``remote::nvidia``.

    Returns:
        The installed release's own ``RemoteProviderSpec``.
    """
    spec = provider_spec(
        adapter_type="nvidia",
        module=MODULE,
        config_class=f"{MODULE}.config.NVIDIAConfig",
        provider_data_validator=f"{MODULE}.config.NVIDIAProviderDataValidator",
        pip_packages=[MODULE],
    )
    return declared(spec)
