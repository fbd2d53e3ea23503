"""Registration by ``module:`` in run.yaml (Llama Stack 0.2.16 and later)."""

from typing import Any

from .stack.registration import provider_spec
from .stack.token_counting import add_telemetry_dependency

__all__ = ["MODULE", "get_provider_spec"]

MODULE = "llama_stack_provider_nvidia"


def get_provider_spec() -> Any:
    """Return this provider's spec for the stack.

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
    return add_telemetry_dependency(spec)
